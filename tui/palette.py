"""What the command palette offers: pages, the actions of the screen, sign out, theme, times."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.screen import Screen

if TYPE_CHECKING:
    from tui.app import Console


def commands(console: "Console", screen: Screen[Any]) -> Iterator[SystemCommand]:
    """Every command that makes sense on this screen."""
    from tui.app import PAGES
    from tui.screens.frame import Frame
    from tui.screens.studies import StudiesPage

    offered: set[str] = set()
    if console.signed_in:
        for entry in PAGES:
            offered.add(f"page({entry.mode!r})")
            yield SystemCommand(f"{entry.title}", f"Go to page {entry.key}", partial(console.action_page, entry.mode))
    if isinstance(screen, Frame):
        for hint in screen.every_key():
            if hint.action in offered or hint.action.startswith(("scroll", "page", "command_palette")):
                continue
            offered.add(hint.action)
            yield SystemCommand(hint.label, f"Key {hint.key}", partial(screen.run_action, hint.action))
    if isinstance(screen, StudiesPage):
        yield SystemCommand("Reveal all", "Show the patients of this page for 30 s (audited)", screen.action_reveal_all)
        for row in screen.rows.values():
            yield SystemCommand(row.study, "Open this study", partial(screen.open_study, row.study))
    if console.signed_in:
        for name, roles, title, help_text, make in _DETAILS:
            if name not in offered and console.me.role in roles:
                yield SystemCommand(title, help_text, partial(_open, console, make))
    if console.signed_in:
        yield SystemCommand("Relative or absolute times", "How long ago, or when", console.action_relative_times)
        yield SystemCommand("Sign out", "End the session on the appliance", console.action_sign_out)


async def _open(console: "Console", make: Callable[[], Screen[Any]]) -> None:
    await console.action_page("system")
    await console.push_screen(make())


def nodes() -> Screen[Any]:
    """The page of PACS nodes."""
    from tui.screens.nodes import NodesPage

    return NodesPage()


def schedule() -> Screen[Any]:
    """The page of scheduled tasks."""
    from tui.screens.schedule import SchedulePage

    return SchedulePage()


def notices() -> Screen[Any]:
    """The page of notices."""
    from tui.screens.notices import NoticesPage

    return NoticesPage()


_PEOPLE, _ADMINS = ("admin", "user", ""), ("admin", "")
_DETAILS = (
    ("nodes", _PEOPLE, "PACS nodes", "Test them, find studies on them, pull studies", nodes),
    ("schedule", _PEOPLE, "Schedule", "What runs by the clock: results, run now, on and off", schedule),
    ("notices", _ADMINS, "Notices", "What was told to people, what failed, what was held back and why", notices),
)
"""Pages above System: action, who may, title, help."""
