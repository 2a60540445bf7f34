"""The filter bar: the filter in force, and a line to type another; what is wrong with it shows under its place."""

from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Static

from tui.inert import inert, short

_PREFIX = " Filter: "


class FilterBar(Vertical):
    """Shown while it is open, while a filter is set, or while something is wrong with it."""

    BINDINGS = [Binding("escape", "leave", "Leave the filter", show=False)]
    DEFAULT_CSS = """
    FilterBar { height: auto; display: none; }
    FilterBar.-shown { display: block; }
    FilterBar Horizontal { height: 1; }
    FilterBar Label { width: 9; text-style: bold; }
    FilterBar Input { width: 1fr; background: $background; }
    FilterBar Input:focus { background: $surface; }
    FilterBar #wrong { height: auto; color: $text-error; display: none; }
    FilterBar.-wrong #wrong { display: block; }
    """

    @dataclass
    class Asked(Message):
        """Somebody wants this filter."""

        text: str

    class Left(Message):
        """Somebody went back to the list without a new filter."""

    def __init__(self, example: str) -> None:
        super().__init__()
        self.in_force = ""
        self._example = example

    def compose(self) -> ComposeResult:
        """The line and the place for what is wrong."""
        with Horizontal():
            yield Label(_PREFIX, markup=False)
            field = Input(compact=True, placeholder=self._example, id="filter")
            field.cursor_blink = False
            yield field
        yield Static(id="wrong", markup=False)

    @property
    def typing(self) -> bool:
        """Whether a filter is being typed."""
        return self.screen.focused is self.query_one(Input)

    def open(self) -> None:
        """Takes the keys at once."""
        self.add_class("-shown")
        self.screen.set_focus(self.query_one(Input))

    def accepted(self, text: str) -> None:
        """The list shows this filter now."""
        self.in_force = text
        self.remove_class("-wrong")
        field = self.query_one(Input)
        field.value = text
        self.set_class(bool(text), "-shown")

    def refused(self, message: str, position: int | None) -> None:
        """Shows what is wrong under the place in the text where it is."""
        message = inert(message)
        room = self.size.width
        start = len(_PREFIX) + (position or 0)
        pointer = "" if position is None else " " * start + "^ "
        if position is not None and len(pointer) + len(message) > room:
            where = max(len(_PREFIX), start - len(message) - 1)
            if start >= room or where + len(message) > start:
                pointer, message = "", f" At {(position or 0) + 1}: {message}"
            else:
                pointer, message = "", " " * where + message + " ^"
        self.query_one("#wrong", Static).update(Text(pointer + (message if pointer else short(message, 4 * room).rstrip())))
        self.add_class("-wrong", "-shown")
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Asked(event.value.strip()))

    def action_leave(self) -> None:
        """Back to the list with the filter that was in force."""
        self.query_one(Input).value = self.in_force
        self.remove_class("-wrong")
        self.set_class(bool(self.in_force), "-shown")
        self.post_message(self.Left())
