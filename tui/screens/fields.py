"""Fields that take typing faster than the screen is drawn.

A key goes to the widget that has the keys when the terminal's bytes are read. Over a slow line `admin<Tab>secret` comes in one
piece: if Tab took effect only after the first field had worked off its own queue, the password would be typed into the user
field. So keys that move on between fields act at once (priority), and what a form does with its values waits behind the keys
that are still on their way to its last field.
"""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen, ScreenResultType
from textual.widgets import Input


class Fields(Screen[ScreenResultType]):
    """A screen with input fields and one thing to do with them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "next_field", "Next field", priority=True),
        Binding("shift+tab", "previous_field", "Field before", show=False, priority=True),
        Binding("enter", "enter_field", "Next field", show=False, priority=True),
    ]

    def action_next_field(self) -> None:
        """The next field or button has the keys from now on."""
        self.focus_next()

    def action_previous_field(self) -> None:
        """The field or button before has the keys from now on."""
        self.focus_previous()

    def action_enter_field(self) -> None:
        """On to the next field; in the last one, accept."""
        fields = list(self.query(Input))
        here = fields.index(self.focused) if isinstance(self.focused, Input) else 0
        if here + 1 < len(fields):
            self.set_focus(fields[here + 1])
        else:
            fields[here].call_later(self.accept)

    def accept(self) -> None:
        """All fields are filled in."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter on a button presses it."""
        if action == "enter_field":
            return isinstance(self.focused, Input)
        return super().check_action(action, parameters)
