"""Cells of lists: hidden patient values, states, progress."""

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.widgets import Static

from tui.inert import fit, inert
from tui.look import Look, colour

if TYPE_CHECKING:
    from tui.app import Console

HIDDEN_NAME = 8
HIDDEN_NUMBER = 5


def hidden(look: Look, length: int = HIDDEN_NAME) -> Text:
    """A patient value that is not shown; the length is always the same and tells nothing."""
    return Text(look.hidden * length, "dim")


def patient_cell(look: Look, value: str | None, *, revealed: bool, width: int, length: int = HIDDEN_NAME) -> Text:
    """A patient value in a list cell: hidden, the value, or `None` where the study has none."""
    if not revealed:
        return hidden(look, length)
    if not (value and inert(value).strip()):
        return Text("None", "dim italic")
    return Text(fit(value, width, look.ellipsis).rstrip(), "bold")


def state_text(look: Look, glyph: str, plain_glyph: str, word: str, *, dark: bool) -> Text:
    """Glyph and word in the state's colour."""
    shown = look.glyph(inert(glyph)[:1] or " ", inert(plain_glyph)[:1] or " ")
    return Text(f"{shown} {inert(word)}", colour(plain_glyph, dark=dark))


class PatientText(Static):
    """A text that may hold revealed values: while it does, the mouse cannot select and copy it."""

    @property
    def allow_select(self) -> bool:
        """Copying a revealed value past the audit log is not offered."""
        return super().allow_select and not cast("Console", self.app).reveals.open
