"""The console: one Textual application over one API client.

It owns what all pages share: who is signed in, what is revealed, the live stream, the clock and the look. Pages are made when
they are first opened. Nothing heavier than Textual is imported before the first paint.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui import look as looks
from tui import preferences, themes
from tui.client import Client
from tui.clock import Clock, zone
from tui.contract import LiveEvent, Me, Status
from tui.live import Beat, Lost, SignedOut, follow
from tui.look import Look
from tui.messages import Happened, LiveLost, LiveUp, SessionEnded
from tui.reveal import Reveals
from tui.trouble import Trouble
from tui.widgets.lines import Tab

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tui.screens.page import Page

GATHER_S = 1.0
"""Orders that move within this time lead to one question about the queue."""
POLL_S = 5.0
"""While the live stream is down, the visible page asks again this often."""


@dataclass
class Live:
    """Whether the console follows the appliance."""

    connected: bool = False
    heard_at: datetime | None = None
    reason: str = ""
    wait_s: float = 0.0


@dataclass(frozen=True)
class PageEntry:
    """One page of the tab line; `make` imports its module when it is first opened."""

    key: str
    mode: str
    title: str
    make: Callable[[], Screen[Any]]


def _studies() -> Screen[Any]:
    from tui.screens.studies import StudiesPage

    return StudiesPage()


def _results() -> Screen[Any]:
    from tui.screens.results import ResultsPage

    return ResultsPage()


def _groups() -> Screen[Any]:
    from tui.screens.groups import GroupsPage

    return GroupsPage()


def _settings() -> Screen[Any]:
    from tui.screens.settings import SettingsPage

    return SettingsPage()


def _system() -> Screen[Any]:
    from tui.screens.system import SystemPage

    return SystemPage()


PAGES = (
    PageEntry("1", "studies", "Studies", _studies),
    PageEntry("2", "results", "Results", _results),
    PageEntry("3", "groups", "Groups", _groups),
    PageEntry("6", "settings", "Settings", _settings),
    PageEntry("7", "system", "System", _system),
)
"""The numbers are fixed for all seven pages; a page that does not exist yet has no tab."""


class Console(App[int]):
    """The Textual console."""

    TITLE = "Ranvier"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    NOTIFICATION_TIMEOUT = 4
    MODES = {entry.mode: entry.make for entry in PAGES}
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(entry.key, f"page({entry.mode!r})", entry.title, show=False) for entry in PAGES),
        Binding("colon", "command_palette", "Commands", show=False, key_display=":"),
        Binding("ctrl+t", "next_theme", "Dark or light"),
        Binding("ctrl+l", "redraw", "Redraw"),
        Binding("ctrl+q,q", "quit", "Quit"),
    ]

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock | None = None,
        look: Look | None = None,
        preferences_file: Path | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        version: str = "",
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.client = client
        self.clock = clock or Clock()
        self.look = look or Look()
        self.version = version
        self.reveals = Reveals(self.clock)
        self.live = Live()
        self.me = Me()
        self.signed_in = False
        self.appliance = Status()
        self.place: tzinfo = UTC
        self._pause = pause
        self._preferences_file = preferences_file
        self.preferences = preferences.load(preferences_file) if preferences_file else preferences.Preferences()
        self._polled = 0.0
        self._asking = False
        self._last_copied = ""
        for theme in (themes.DARK, themes.LIGHT):
            self.register_theme(theme)
        chosen = self.preferences.theme
        self.theme = chosen if chosen in self.available_themes else themes.DARK.name

    @property
    def site(self) -> str:
        """The site's name."""
        return self.appliance.site or "ranvier"

    def colour(self, plain_glyph: str) -> str:
        """The colour of a state in the theme in force."""
        return looks.colour(plain_glyph, dark=self.current_theme.dark)

    def tabs(self, mode: str) -> list[Tab]:
        """The tab line's pages."""
        return [Tab(entry.key, entry.title, entry.mode == mode) for entry in PAGES]

    def on_mount(self) -> None:
        """First paint is the sign-in or the studies, whichever the token allows; both come before any request."""
        self.switch_mode("studies")
        self.set_interval(1.0, self.tick)
        if self.client.token:
            self._resume()
        else:
            self._sign_in("")

    def pages(self) -> "list[Page]":
        """The pages and details on the visible stack."""
        from tui.screens.page import Page

        return [screen for screen in self.screen_stack if isinstance(screen, Page) and screen.ready]

    @work(group="session", exclusive=True)
    async def _resume(self) -> None:
        try:
            self.me = await self.client.get("/api/me", Me)
        except Trouble as trouble:
            self._sign_in("" if getattr(trouble, "signed_out", False) else str(trouble))
            return
        self.start_session(self.me)

    def _sign_in(self, message: str, *, expired: bool = False) -> None:
        from tui.screens.login import LoginScreen

        if not any(isinstance(screen, LoginScreen) for screen in self.screen_stack):
            self.push_screen(LoginScreen(message, expired=expired))

    def start_session(self, me: Me) -> None:
        """Somebody is signed in: load the appliance's facts, follow the live stream, fill the pages."""
        self.me, self.signed_in = me, True
        self._load_appliance()
        self._follow()
        for page in self.pages():
            page.draw()
            page.reload()

    @on(SessionEnded)
    def _session_ended(self) -> None:
        if not self.signed_in:
            return
        self.signed_in = False
        self.hide_patients()
        self.workers.cancel_group(self, "live")
        self._sign_in("Your session has ended. Sign in again to go on where you were.", expired=True)

    @work(group="appliance", exclusive=True)
    async def _load_appliance(self) -> None:
        try:
            self.appliance = await self.client.get("/api/status", Status)
        except Trouble:
            # The page that is open meets the same trouble and shows it; the site's name alone is not worth a message.
            return
        self.place = zone(self.appliance.time_zone)
        for page in self.pages():
            page.appliance_known()

    def ask_again(self) -> None:
        """The queue has changed: its figures are asked for soon, once for many changes."""
        if not self._asking:
            self._asking = True
            self.set_timer(GATHER_S, self._ask_now)

    def _ask_now(self) -> None:
        self._asking = False
        if self.signed_in:
            self._load_appliance()

    @work(group="live", exclusive=True)
    async def _follow(self) -> None:
        async for happening in follow(self.client, self._pause):
            if isinstance(happening, LiveEvent):
                self._heard()
                self._tell(partial(Happened, happening))
            elif isinstance(happening, Beat):
                self._heard()
                self._tell(partial(LiveUp, happening.resumed))
            elif isinstance(happening, Lost):
                self.live = Live(heard_at=self.live.heard_at, reason=happening.reason, wait_s=happening.seconds)
                self._tell(partial(LiveLost, happening.reason, happening.seconds))
            elif isinstance(happening, SignedOut):
                self.post_message(SessionEnded())

    def _heard(self) -> None:
        self.live = Live(connected=True, heard_at=self.clock.now())

    def _tell(self, message: Callable[[], LiveUp | LiveLost | Happened]) -> None:
        for page in self.pages():
            page.post_message(message())

    def tick(self) -> None:
        """Once a second: hide what has been shown long enough, poll while the stream is down."""
        if self.reveals.held and not self.reveals.open:
            self.hide_patients()
        for page in self.pages():
            page.tick()
        now = self.clock.monotonic()
        if self.signed_in and not self.live.connected and self.live.reason and now - self._polled >= POLL_S:
            self._polled = now
            for page in self.pages()[-1:]:
                page.reload()

    def hide_patients(self) -> None:
        """Forgets every revealed value and takes it off the screen."""
        if self.reveals.held:
            self.reveals.hide()
            for page in self.pages():
                page.patients_hidden()

    def copy(self, text: str) -> None:
        """Puts a text on the terminal's clipboard (OSC 52); the second time shows it large, for terminals that refuse."""
        self.copy_to_clipboard(text)
        if self._last_copied == text:
            from tui.screens.dialogs import CopyDialog

            self.push_screen(CopyDialog(text))
            self._last_copied = ""
            return
        self._last_copied = text
        self.notify(f"Copied {text}", markup=False)

    async def action_page(self, mode: str) -> None:
        """Goes to a page; a detail above it closes."""
        if not self.signed_in:
            return
        self.hide_patients()
        if mode == self.current_mode:
            while len(self.screen_stack) > 1:
                await self.pop_screen()
            return
        await self.switch_mode(mode)

    def action_next_theme(self) -> None:
        """Dark or light, remembered for this user."""
        self.theme = themes.LIGHT.name if self.theme == themes.DARK.name else themes.DARK.name
        self.preferences.theme = self.theme
        self.keep_preferences()
        for page in self.pages():
            page.draw()

    def action_relative_times(self) -> None:
        """Shows how long ago instead of when, or back."""
        self.preferences.relative_times = not self.preferences.relative_times
        self.keep_preferences()
        for page in self.pages():
            page.draw()

    def keep_preferences(self) -> None:
        """Writes the user's choices; a home that cannot be written only forgets them."""
        if self._preferences_file:
            try:
                preferences.save(self._preferences_file, self.preferences)
            except OSError as fault:
                self.notify(f"Your choice is not kept: {fault.strerror}", severity="warning", markup=False)

    def action_redraw(self) -> None:
        """Draws the whole screen again, after noise on the line."""
        self.refresh(layout=True)

    async def action_quit(self) -> None:
        """Ends the console, after a question when something would be lost; the session on the server stays until it expires."""
        screens = [screen for stack in self._screen_stacks.values() for screen in stack]
        unsaved = sum(len(getattr(screen, "drafts", ())) for screen in screens)
        effects = (
            [f"{unsaved} changed setting{'s are' if unsaved > 1 else ' is'} not saved and will be lost."] if unsaved else []
        )
        if any(getattr(screen, "uploading", "") for screen in screens):
            effects.append("An upload is under way from this console; what has not been sent will not be.")
        if not effects:
            self._leave(True)
            return
        from tui.screens.dialogs import Confirm

        yes = "Quit without saving" if unsaved else "Quit"
        self.push_screen(Confirm("Quit?", " ".join(effects), yes, "Stay"), self._leave)

    def _leave(self, yes: bool | None) -> None:
        if yes:
            self.hide_patients()
            self.exit(0)

    def _fatal_error(self) -> None:
        """Ends with the places of the fault and nothing else: messages and local variables may hold a patient's values."""
        import sys
        import traceback

        kind, _, trace = sys.exc_info()
        places = [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
        name = kind.__name__ if kind else "fault"
        self.panic(
            Text(
                "\n".join(
                    [f"The console ended unexpectedly ({name}). Start it again; nothing is lost on the appliance.", *places]
                )
            )
        )

    @work(group="session")
    async def action_sign_out(self) -> None:
        """Ends the session on the server and shows the sign-in."""
        try:
            await self.client.logout()
        except Trouble as trouble:
            self.notify(str(trouble), severity="error", markup=False)
        self.signed_in = False
        self.hide_patients()
        self.workers.cancel_group(self, "live")
        self.live = Live()
        self._sign_in("You are signed out.")

    def get_system_commands(self, screen: Screen[Any]) -> "Iterable[SystemCommand]":
        """The palette: pages, this page's actions, and the console's own; there is no screenshot of patients."""
        from tui.palette import commands

        yield from commands(self, screen)

    def save_screenshot(self, filename: str | None = None, path: str | None = None, time_format: str | None = None) -> str:
        """Refuses while patients are shown."""
        if self.reveals.open:
            raise PermissionError("No pictures while patients are shown.")
        return super().save_screenshot(filename, path, time_format)

    def deliver_screenshot(
        self, filename: str | None = None, path: str | None = None, time_format: str | None = None
    ) -> str | None:
        """Refuses while patients are shown."""
        return None if self.reveals.open else super().deliver_screenshot(filename, path, time_format)
