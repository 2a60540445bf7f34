"""What all screens share: the notice for a small terminal, the key line's clicks, help, and one way to meet trouble."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.geometry import Size
from textual.screen import Screen

from tui.messages import SessionEnded
from tui.trouble import Problem, Trouble
from tui.widgets.lines import SMALLEST, Hint, KeyLine, TooSmall
from tui.widgets.live_table import LiveTable

if TYPE_CHECKING:
    from tui.app import Console


class Frame(Screen[None]):
    """A full screen of the console."""

    CSS_PATH = "frame.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "Help", key_display="?"),
    ]
    KEYS: ClassVar[tuple[str, ...]] = ()
    """Actions of the key line, most important first; their keys and labels come from the bindings."""

    _seen_size: Size | None = None

    @property
    def console(self) -> "Console":
        """The application, with its client, clock and look."""
        return cast("Console", self.app)

    def on_resize(self, event: events.Resize) -> None:
        """Shows the notice below 80x24; hides patients, because the screen may be another person's now."""
        if self._seen_size not in (None, event.size):
            self.console.hide_patients()
        self._seen_size = event.size
        self._check_size(event.size.width, event.size.height)
        self.draw()

    def on_mount(self) -> None:
        """The size is known before the first resize."""
        self._check_size(*self.app.size)

    def draw(self) -> None:
        """Draws everything that depends on size, clock or look."""
        self.draw_keys()

    def draw_keys(self) -> None:
        """Draws the key line from the bindings that are active now."""
        for line in self.query(KeyLine):
            line.show(self.hints(), self.app.size.width)

    def hints(self) -> list[Hint]:
        """The key line: `KEYS` in order as far as they apply now, then help."""
        offered = {hint.action: hint for hint in self.every_key()}
        return [offered[name] for name in (*self.KEYS, "help") if name in offered]

    def every_key(self) -> list[Hint]:
        """All keys of ours that do something on this screen now, one line for each action."""
        found: dict[str, Hint] = {}
        for node in (self, *self.query(LiveTable), self.app):
            for binding in bindings_of(node):
                name = binding.action.partition("(")[0].removeprefix("screen.").removeprefix("app.")
                if binding.action not in found and binding.description and node.check_action(name, ()):
                    found[binding.action] = Hint(self.key_name(binding), binding.description, binding.action)
        return list(found.values())

    def key_name(self, binding: Binding) -> str:
        """A key as the key line writes it."""
        look = self.console.look
        first = binding.key.partition(",")[0]
        shown = {"enter": look.enter, "space": look.space, "escape": "Esc", "tab": "Tab", "f5": "F5"}.get(first)
        return shown or binding.key_display or self.app.get_key_display(Binding(first, binding.action))

    def on_descendant_focus(self) -> None:
        """Another widget has the keys; the key line may differ."""
        self.draw_keys()

    async def action_run_hint(self, action: str) -> None:
        """Runs what was clicked on the key line."""
        if action:
            await self.run_action(action)

    def action_help(self) -> None:
        """Lists every key that works here; Enter runs one."""
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.every_key()), self._run_from_help)

    def say(self, text: str, *, bad: bool = False) -> None:
        """A toast; the text is shown as it is."""
        self.app.notify(text, severity="error" if bad else "information", markup=False, timeout=8 if bad else 4)

    def meet(self, trouble: Trouble) -> None:
        """Trouble after something that a person asked for: sign in again, or a toast that says what, why and next."""
        if isinstance(trouble, Problem) and trouble.signed_out:
            self.app.post_message(SessionEnded())
            return
        from tui.inert import inert

        parts = [trouble.what, trouble.why, *(f"{name}: {why}" for name, why in fields_of(trouble).items())]
        if trouble.next_step:
            parts.append(f"Next: {trouble.next_step}")
        self.say("\n".join(inert(part) for part in parts if part), bad=True)

    async def _run_from_help(self, action: str | None) -> None:
        if action:
            await self.run_action(action)

    def _check_size(self, width: int, height: int) -> None:
        self.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-small")


def bindings_of(node: DOMNode) -> Iterator[Binding]:
    """The bindings that our own classes declare, the nearest class first; Textual's own are left out."""
    for kind in type(node).__mro__:
        if kind.__module__.startswith("tui."):
            yield from (one for one in kind.__dict__.get("BINDINGS", ()) if isinstance(one, Binding))


def fields_of(trouble: Trouble) -> dict[str, str]:
    """The fields that a problem names."""
    return trouble.fields if isinstance(trouble, Problem) else {}


def notice() -> TooSmall:
    """The notice for a terminal that is too small; hidden elsewhere."""
    return TooSmall(Text(""), id="too-small")
