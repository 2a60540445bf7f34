"""A page: tab line, body, status line, key line; live updates and the countdown of revealed values."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.clock import clock_time
from tui.messages import Happened, LiveLost, LiveUp, NotLoaded, SessionEnded, Went, WentWrong
from tui.screens.frame import Frame, notice
from tui.trouble import Problem, Trouble
from tui.widgets.lines import KeyLine, StatusLine, TabLine


class Page(Frame):
    """One of the pages on the number keys, or a detail above one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "refresh", "Refresh"),
        Binding("r", "reveal", "Reveal"),
        Binding("y", "copy", "Copy"),
        Binding("escape", "back", "Back"),
    ]
    trouble: Trouble | None = None
    """Why what it shows did not come."""
    MODE: ClassVar[str] = ""
    """The page whose number is lit on the tab line."""

    def compose(self) -> ComposeResult:
        """Tab line, body, status line, key line."""
        yield notice()
        yield TabLine(markup=False)
        yield from self.body()
        yield StatusLine(markup=False)
        yield KeyLine(markup=False)

    def body(self) -> ComposeResult:
        """What the page is about."""
        yield from ()

    def draw(self) -> None:
        """Draws the lines around the body; pages add their own."""
        if not self.ready:
            return
        super().draw()
        self.draw_tabs()
        self.draw_status()

    @property
    def ready(self) -> bool:
        """Whether there is something to draw on: not before the page is composed, and not while it is taken apart."""
        return self.is_mounted and bool(self.query(KeyLine))

    @property
    def mode(self) -> str:
        """The page whose number is lit."""
        return self.MODE

    def draw_tabs(self) -> None:
        """The tab line."""
        console = self.console
        who = f"{console.me.user} ({console.me.role})" if console.me.user else ""
        width = self.app.size.width
        self.query_one(TabLine).show(console.site, console.tabs(self.mode), who if width >= 100 else "", width)

    def draw_status(self) -> None:
        """The status line."""
        if self.ready:
            self.query_one(StatusLine).show(
                [*self.status(), *self.pauses(), self.privacy(), self.liveness()], self.console.look.dot
            )

    def status(self) -> list[Text | str]:
        """What the page says about itself on the status line."""
        return []

    def pauses(self) -> list[Text | str]:
        """What is paused for maintenance, on every page."""
        words = self.paused_words()
        return [Text(f"paused: {', '.join(words)}", self.console.colour("!"))] if words else []

    def paused_words(self) -> list[str]:
        """What the page does not say by itself."""
        status = self.console.appliance
        parts = (("receiving", status.receiving_paused), ("processing", status.paused), ("delivery", status.delivery_paused))
        return [word for word, paused in parts if paused]

    def privacy(self) -> Text | str:
        """Whether patients are shown, and for how long."""
        reveals = self.console.reveals
        if reveals.open:
            return Text(f"PHI shown {reveals.seconds_left} s", "bold reverse")
        return "PHI hidden"

    def liveness(self) -> Text | str:
        """Whether the list follows the appliance, and when it last did."""
        live, look = self.console.live, self.console.look
        if live.connected:
            when = clock_time(live.heard_at, self.console.place)
            return Text.assemble("live ", (look.glyph("●", "*"), self.console.colour("*")), f" {when}")
        if not live.reason:
            return "connecting"
        return Text(f"live {look.glyph('✖', 'X')} retry {live.wait_s:.0f} s", self.console.colour("X"))

    @on(NotLoaded)
    def _not_loaded(self, message: NotLoaded) -> None:
        if isinstance(message.trouble, Problem) and message.trouble.signed_out:
            self.app.post_message(SessionEnded())
            return
        self.not_loaded(message.trouble)

    def not_loaded(self, trouble: Trouble) -> None:
        """Shows why; what is there already stays."""
        self.trouble = trouble
        self.draw()

    def tick(self) -> None:
        """Once a second, for whatever counts down."""
        if self.console.reveals.open:
            self.draw_status()

    def patients_hidden(self) -> None:
        """Revealed values must go from the screen now."""
        self.draw()

    def appliance_known(self) -> None:
        """The site's name, time zone and addresses are known now."""
        self.draw()

    def reload(self) -> None:
        """Asks the API again, without moving anything on the screen."""

    def action_refresh(self) -> None:
        """Asks the API again."""
        self.reload()

    def action_back(self) -> None:
        """A page stays; a detail goes back."""

    def action_reveal(self) -> None:
        """Pages with patients show them for 30 seconds."""

    def action_copy(self) -> None:
        """Pages with identifiers copy the current one."""
        found = self.copied()
        if found:
            self.console.copy(found)

    def copied(self) -> str:
        """What `y` copies."""
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that do nothing here are not offered."""
        if action == "back":
            return type(self).action_back is not Page.action_back
        if action == "reveal":
            return type(self).action_reveal is not Page.action_reveal
        if action == "copy":
            return type(self).copied is not Page.copied
        return True

    @on(Went)
    def _went(self, message: Went) -> None:
        self.say(message.said)
        self.reload()

    @on(WentWrong)
    def _went_wrong(self, message: WentWrong) -> None:
        self.meet(message.trouble)

    @on(LiveUp)
    def _live_up(self, message: LiveUp) -> None:
        if not message.resumed:
            self.reload()
        self.draw_status()

    @on(LiveLost)
    def _live_lost(self, message: LiveLost) -> None:
        self.draw_status()

    @on(Happened)
    def _happened(self, message: Happened) -> None:
        if message.event.name == "settings-changed":
            self.console.ask_again()
        self.happened(message)
        self.draw_status()

    def happened(self, message: Happened) -> None:
        """An event came; pages that show its study ask for it again."""

    def on_screen_resume(self) -> None:
        """Back on top: draw, and catch up with what came meanwhile."""
        self.draw()
        if self.console.signed_in:
            self.reload()

    def on_screen_suspend(self) -> None:
        """Another page: patients are hidden. A dialog above this one is no other page."""
        if not isinstance(self.app.screen, ModalScreen):
            self.console.hide_patients()
