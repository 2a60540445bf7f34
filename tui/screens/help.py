"""Help: every key that works on the screen below, made from its bindings; Enter runs one."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.inert import fit
from tui.widgets.lines import Hint


class HelpScreen(ModalScreen[str | None]):
    """A list of keys; gives the action that was chosen."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss(None)", "Close"),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, hints: Sequence[Hint]) -> None:
        super().__init__()
        self._hints = hints

    def compose(self) -> ComposeResult:
        """One line a key."""
        with Vertical(classes="dialog -tall") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Enter runs one, Esc closes"
            yield OptionList(
                *(Option(Text.assemble((fit(hint.key, 16), "bold"), hint.label), id=hint.action) for hint in self._hints),
                compact=True,
            )

    def action_down(self) -> None:
        """One line down."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """One line up."""
        self.query_one(OptionList).action_cursor_up()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)
