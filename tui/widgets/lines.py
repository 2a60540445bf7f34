"""The lines above and below a page: tabs, status, keys, and the notice for a terminal that is too small."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import events
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from tui.inert import short

SMALLEST = (80, 24)


@dataclass(frozen=True)
class Tab:
    """One page on the tab line."""

    key: str
    title: str
    current: bool = False


class TabLine(Static):
    """The site's name, the pages with their keys, and who is signed in where there is room."""

    def show(self, site: str, tabs: Sequence[Tab], who: str, width: int) -> None:
        """Draws the line for a terminal of `width` columns."""
        line = Text(no_wrap=True, overflow="crop")
        names = sum(len(tab.key) + len(tab.title) + 3 for tab in tabs)
        room = max(4, min(24, width - names - 2))
        line.append(f" {short(site, room)} ", "bold")
        for tab in tabs:
            label = f"{tab.key} {tab.title}"
            line.append(f"[{label}]" if tab.current else f" {label} ", "bold reverse" if tab.current else "")
        left = width - cell_len(line.plain) - cell_len(who) - 1
        if who and left >= 2:
            line.append(" " * left + who, "dim")
        self.update(line)


class StatusLine(Static):
    """One line about what is shown and how fresh it is."""

    def show(self, parts: Sequence[Text | str], dot: str) -> None:
        """Joins the parts that are not empty."""
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        for index, part in enumerate(part for part in parts if part):
            if index:
                line.append(f" {dot} ", "dim")
            line.append_text(part if isinstance(part, Text) else Text(part))
        self.update(line)


@dataclass(frozen=True)
class Hint:
    """One key of the key line."""

    key: str
    label: str
    action: str


class KeyLine(Static):
    """The keys that matter here, as many as fit; a click runs one."""

    def show(self, hints: Sequence[Hint], width: int) -> None:
        """Draws as many hints as fit; the last one (help) always stays."""
        *others, last = hints or [Hint("", "", "")]
        kept: list[Hint] = []
        used = 1 + len(last.key) + len(last.label) + 1
        for hint in others:
            size = cell_len(hint.key) + len(hint.label) + 3
            if used + size > width:
                continue
            used += size
            kept.append(hint)
        parts = [Content(" ")]
        for hint in [*kept, last]:
            clicked = Style.from_meta({"@click": f"screen.run_hint({hint.action!r})"})
            label = Content.assemble((hint.key, "bold $text-accent"), (f" {hint.label}  ", ""))
            parts.append(label.stylize(clicked, 0, len(label) - 2))
        self.update(Content("").join(parts))


class TooSmall(Static):
    """Takes the place of everything in a terminal under 80x24."""

    def on_resize(self, event: events.Resize) -> None:
        """Says how large the terminal is and how large it must be."""
        wide, high = self.app.size
        self.update(Text(f"This terminal is {wide}x{high}.\nThe console needs at least {SMALLEST[0]}x{SMALLEST[1]}.\n^q Quit"))


@dataclass(frozen=True)
class Field:
    """A named value of a summary; a long value wraps under itself, not under its name."""

    name: str
    value: Text | str


def sheet(lines: Sequence[Text | Field], name_width: int = 11) -> RenderableType:
    """Fields and free lines below each other."""
    parts: list[RenderableType] = []
    grid: Table | None = None
    for line in lines:
        if isinstance(line, Text):
            grid = None
            parts.append(line)
            continue
        if grid is None:
            grid = Table.grid(expand=True)
            grid.add_column(width=name_width, style="dim")
            grid.add_column(ratio=1, overflow="fold")
            parts.append(grid)
        grid.add_row(Text(line.name), Text(line.value) if isinstance(line.value, str) else line.value)
    return Group(*parts)
