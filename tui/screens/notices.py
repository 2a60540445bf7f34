"""Notices: what was told to people, what failed, and what was held back and why."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable, Static

from tui.clock import age, day_or_time, full_time, moment
from tui.inert import inert, short
from tui.messages import NotLoaded, WentWrong
from tui.screens.dialogs import Pick, TextDialog
from tui.screens.page import Page
from tui.screens.settings_test import run
from tui.tasks import Notice
from tui.trouble import Trouble
from tui.widgets.lines import Field, sheet
from tui.widgets.live_table import Column, LiveTable
from tui.widgets.states import EmptyState, ErrorState

EVERY_S = 5
MOST = 200
_STATES = {
    "waiting": ("◌", "."),
    "sending": ("↑", "^"),
    "sent": ("●", "*"),
    "failed": ("✖", "X"),
    "suppressed": ("⌧", "-"),
}


class NoticesPage(Page):
    """The newest notices; what was answered or why it was held back stands below."""

    MODE = "system"
    CSS_PATH = "notices.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "narrow", "Only some"),
        Binding("c", "everything", "All again"),
        Binding("T", "test", "Test"),
    ]
    KEYS = ("back", "narrow", "everything", "test", "refresh", "copy")

    class Loaded(Message):
        """The API answered."""

        def __init__(self, rows: list[Notice]) -> None:
            super().__init__()
            self.rows = rows

    class Tested(Message):
        """The test notice was taken, or was not."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Notice] = {}
        self.only = ""
        self._loaded_at: datetime | None = None
        self._asked_at: datetime | None = None

    def body(self) -> ComposeResult:
        """The list, the one under the cursor in words, or what stands for them."""
        yield LiveTable(id="notices")
        yield EmptyState(markup=False)
        yield ErrorState(markup=False)
        yield Static(id="about", markup=False)

    def on_mount(self) -> None:
        """The list takes the keys."""
        super().on_mount()
        self._table.focus()
        self.draw()

    @property
    def _table(self) -> LiveTable:
        return self.query_one(LiveTable)

    # Drawing -------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """The list."""
        if not self.ready:
            return
        columns = _columns(self.app.size.width)
        self._table.show(columns, [(key, self._cells(one, columns)) for key, one in self.rows.items()])
        broken = self.trouble is not None and not self.rows
        self.set_class(broken, "-broken")
        self.set_class(not self.rows and not broken and self._loaded_at is not None, "-empty")
        if self.trouble is not None:
            self.query_one(ErrorState).show(self.trouble)
        if self.only:
            self.query_one(EmptyState).show(f"No notice is {self.only}.", "", "c shows all again")
        else:
            hint = "Settings, Notifications, says which events are told, and how."
            self.query_one(EmptyState).show("Nothing was told to anybody yet.", hint)
        self._draw_about()
        super().draw()

    def _cells(self, one: Notice, columns: Sequence[Column]) -> list[Text]:
        console, look, now = self.console, self.console.look, self.console.clock.now()
        at, (glyph, plain) = moment(one.at), _STATES.get(one.state, ("?", "?"))
        mark = {"error": "X", "warning": "!"}.get(one.severity, "")
        return [
            Text(age(at, now) if console.preferences.relative_times else day_or_time(at, now, console.place)),
            Text(short(one.event, columns[1].width - 1, look.ellipsis)),
            Text(inert(one.severity), console.colour(mark) if mark else "dim"),
            Text(inert(one.way) if one.way != "none" else "-"),
            Text(f"{look.glyph(glyph, plain)} {inert(one.state)}", console.colour(plain)),
            Text(short(one.reason, columns[5].width - 1, look.ellipsis)),
        ]

    def _draw_about(self) -> None:
        one = self.rows.get(self._table.current)
        if one is None:
            self.query_one("#about", Static).update(Text())
            return
        place = self.console.place
        head = f"{inert(one.event)}, {full_time(moment(one.at), place)}, attempt {one.attempts}"
        if one.due_at:
            head += f", due {full_time(moment(one.due_at), place)}"
        self.query_one("#about", Static).update(Text("\n").join([Text(head, "dim"), Text(inert(one.reason))]))

    def status(self) -> list[Text | str]:
        """How many, and of which kind."""
        if self.trouble is not None:
            return [Text(self.trouble.what, self.console.colour("!"))]
        if self._loaded_at is None:
            return ["loading"]
        most = "newest " if len(self.rows) == MOST else ""
        return [f"{most}{len(self.rows):,} notices", f"only {self.only}" if self.only else ""]

    # Loading -------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Asks every few seconds while this page is visible."""
        super().tick()
        now = self.console.clock.now()
        if self.is_current and (self._asked_at is None or (now - self._asked_at).total_seconds() >= EVERY_S):
            self.reload()

    def reload(self) -> None:
        """Asks for the newest."""
        self._asked_at = self.console.clock.now()
        if self.console.signed_in:
            self._load()

    @work(group="load", exclusive=True)
    async def _load(self) -> None:
        try:
            rows = await self.console.client.get("/api/notices", list[Notice], state=self.only, limit=MOST)
        except Trouble as trouble:
            self.post_message(NotLoaded(trouble))
            return
        self.post_message(self.Loaded(rows))

    @on(Loaded)
    def _loaded(self, message: Loaded) -> None:
        self.rows = {one.notice: one for one in message.rows}
        self.trouble, self._loaded_at = None, self.console.clock.now()
        self.draw()

    # Keys ----------------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Back to the page before."""
        self.dismiss()

    def action_open(self) -> None:
        """One notice in full."""
        one = self.rows.get(self._table.current)
        if one is None:
            return
        place = self.console.place
        lines: list[Text | Field] = [
            Field("Event", f"{inert(one.event)} ({inert(one.severity)})"),
            Field("Happened", full_time(moment(one.at), place)),
            Field("By", inert(one.way)),
            Field("State", f"{inert(one.state)}, attempt {one.attempts}"),
            Field("Due" if one.due_at else "Sent", full_time(moment(one.due_at or one.sent_at), place)),
            Field("Said", inert(one.reason) or "-"),
        ]
        self.app.push_screen(TextDialog("Notice", sheet(lines)))

    def action_narrow(self) -> None:
        """Only those in one state."""

        def chosen(state: str | None) -> None:
            if state:
                self.only = state
                self.reload()

        self.app.push_screen(Pick("Only those that are", [(state, state) for state in _STATES]), chosen)

    def action_everything(self) -> None:
        """All of them again."""
        self.only = ""
        self.reload()

    def action_test(self) -> None:
        """Sends a notice that says it is a test, by the saved settings."""
        self.say("A test goes out; the answer comes within 15 seconds.")
        self._test()

    @work(group="test", exclusive=True)
    async def _test(self) -> None:
        try:
            text = await run(self.console.client, "/api/settings/test/notification", [("Notifications", {})])
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(self.Tested(text))

    @on(Tested)
    def _tested(self, message: Tested) -> None:
        self.app.push_screen(TextDialog("Test of the notifications", Text(inert(message.text, lines=True))))

    def copied(self) -> str:
        """The notice's identifier."""
        return self._table.current

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """All again, where only some are shown."""
        if action == "everything":
            return bool(self.only)
        return super().check_action(action, parameters)

    @on(DataTable.RowHighlighted)
    def _moved(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        if self.ready:
            self._draw_about()


def _columns(width: int) -> list[Column]:
    fixed = [
        Column("at", "When", 6),
        Column("event", "Event", 24),
        Column("severity", "Severity", 9),
        Column("way", "By", 8),
        Column("state", "State", 13),
    ]
    return [*fixed, Column("reason", "Answer or reason", width - 4 - sum(one.width for one in fixed))]
