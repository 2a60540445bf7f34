"""The cron expression of a cadence."""

import re

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label, Static

from tui.screens.dialogs import AskForm

_FORM = re.compile(r"^[0-9*,/\-]+( [0-9*,/\-]+){4}$", re.ASCII)


class AskCron(AskForm):
    """Five fields of numbers; gives the expression. Whether it names a moment is for the API to say."""

    TITLE_LINE = "Cron"
    ACCEPT = "Save"

    def fields(self) -> ComposeResult:
        """One field."""
        yield Static(
            Text("Minute, hour, day of the month, month, weekday (0 is Sunday), in the site's time zone: 0 6 * * 1,4"),
            classes="say",
        )
        with Horizontal(classes="row"):
            yield Label("Expression")
            yield Input(compact=True, id="cron", placeholder="0 3 * * *", max_length=128)

    def accept(self) -> None:
        """Five fields."""
        given = " ".join(self.query_one("#cron", Input).value.split())
        if not _FORM.match(given):
            self.wrong("Five fields of numbers, *, lists, ranges and steps.")
            return
        self.dismiss(given)
