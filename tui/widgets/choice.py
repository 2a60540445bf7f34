"""One of a few values on one line: space, arrows or a click go to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from tui.inert import inert


class Choice(Static, can_focus=True):
    """Shows its value; tells when it changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,right,l", "step(1)", "", show=False),
        Binding("left,h", "step(-1)", "", show=False),
    ]
    DEFAULT_CSS = """
    Choice { height: 1; width: 1fr; background: $surface; }
    Choice:focus { background: $panel; text-style: bold; }
    Choice:disabled { opacity: 60%; }
    """

    @dataclass
    class Changed(Message):
        """Another value was chosen."""

        choice: "Choice"
        value: str

        @property
        def control(self) -> "Choice":
            """The widget that this is about."""
            return self.choice

    def __init__(self, choices: Sequence[str], value: str, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._choices = list(choices)
        self.value = value

    def on_mount(self) -> None:
        """Shows the value."""
        self._draw()

    def action_step(self, step: int) -> None:
        """The next or previous value."""
        here = self._choices.index(self.value) if self.value in self._choices else -1
        self.value = self._choices[(here + step) % len(self._choices)]
        self._draw()
        self.post_message(self.Changed(self, self.value))

    def on_click(self) -> None:
        """The next value."""
        if not self.disabled:
            self.action_step(1)

    def _draw(self) -> None:
        self.update(Text.assemble(("< ", "dim"), inert(self.value), (" >", "dim")))
