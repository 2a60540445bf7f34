"""What the command palette offers: pages, the actions of the screen, sign out, theme, times."""

from collections.abc import Iterator
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
    if console.signed_in and "nodes" not in offered and console.me.role in {"admin", "user", ""}:
        yield SystemCommand("PACS nodes", "Test them, find studies on them, pull studies", partial(_open_nodes, console))
    if console.signed_in:
        yield SystemCommand("Relative or absolute times", "How long ago, or when", console.action_relative_times)
        yield SystemCommand("Sign out", "End the session on the appliance", console.action_sign_out)


async def _open_nodes(console: "Console") -> None:
    from tui.screens.nodes import NodesPage

    await console.action_page("system")
    await console.push_screen(NodesPage())
