"""Schedule: what the appliance does by the clock, what came of it, and what retention would delete."""

from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable, Static

from tui.clock import age, day_or_time, full_time, moment
from tui.contract import SettingsSaved, SettingsView
from tui.inert import inert, short
from tui.messages import Happened, NotLoaded, Went, WentWrong
from tui.screens.dialogs import Pick
from tui.screens.page import Page
from tui.tasks import Preview, TaskLine, TaskResult
from tui.trouble import Trouble
from tui.widgets.live_table import Column, LiveTable
from tui.widgets.states import EmptyState, ErrorState

EVERY_S = 5
PACED = "maintenance"
"""The task whose cadence is a setting of its own."""
_CADENCES = (
    ("every-minute", "Every minute"),
    ("every-5-minutes", "Every five minutes"),
    ("hourly", "Hourly"),
    ("daily-midnight", "Daily at midnight"),
    ("daily-3", "Daily at 3:00"),
    ("weekly-sunday-3", "Sundays at 3:00"),
    ("cron", "Cron, of five fields"),
)


class SchedulePage(Page):
    """The tasks above, the last results of the one under the cursor below."""

    MODE = "system"
    CSS_PATH = "schedule.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "run_now", "Run now"),
        Binding("space", "switch", "On or off"),
        Binding("C", "cadence", "Cadence"),
        Binding("p", "preview", "What would go"),
    ]
    KEYS = ("back", "run_now", "switch", "cadence", "preview", "refresh", "copy")

    class Loaded(Message):
        """The API answered."""

        def __init__(self, tasks: list[TaskLine], history: dict[str, list[TaskResult]]) -> None:
            super().__init__()
            self.tasks, self.history = tasks, history

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, TaskLine] = {}
        self.history: dict[str, list[TaskResult]] = {}
        self._loaded_at: datetime | None = None
        self._asked_at: datetime | None = None

    def body(self) -> ComposeResult:
        """Two lists, or what stands for them."""
        yield LiveTable(id="tasks")
        yield Static(id="heading", markup=False)
        yield LiveTable(id="history")
        yield EmptyState(markup=False)
        yield ErrorState(markup=False)

    def on_mount(self) -> None:
        """The tasks take the keys."""
        super().on_mount()
        self.query_one("#history").can_focus = False
        self._table.focus()
        self.draw()

    @property
    def _table(self) -> LiveTable:
        return self.query_one("#tasks", LiveTable)

    @property
    def chosen(self) -> TaskLine | None:
        """The task under the cursor."""
        return self.tasks.get(self._table.current) if self.ready else None

    # Drawing -------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Both lists."""
        if not self.ready:
            return
        columns = _task_columns(self.app.size.width)
        self._table.show(columns, [(name, self._task_cells(one, columns)) for name, one in self.tasks.items()])
        broken = self.trouble is not None and not self.tasks
        self.set_class(broken, "-broken")
        self.set_class(not self.tasks and not broken and self._loaded_at is not None, "-empty")
        if self.trouble is not None:
            self.query_one(ErrorState).show(self.trouble)
        self.query_one(EmptyState).show("Nothing runs by the clock.")
        self._draw_history()
        super().draw()

    def _draw_history(self) -> None:
        one = self.chosen
        head = Text(f" {inert(one.title)}", "bold") if one is not None else Text()
        if one is not None and one.running:
            head.append("   runs now", self.console.colour("^"))
        self.query_one("#heading", Static).update(head)
        told = self.history.get(one.task, []) if one is not None else []
        columns = _result_columns(self.app.size.width)
        rows = [(str(each.first_at), self._result_cells(each, columns[-1].width - 1)) for each in told]
        self.query_one("#history", LiveTable).show(columns, rows)

    def _task_cells(self, one: TaskLine, columns: list[Column]) -> list[Text]:
        console, look = self.console, self.console.look
        glyph, plain, word = _standing(one)
        following = moment(one.next_at)
        when = Text("-", "dim") if following is None else Text(f"{following.astimezone(console.place):%m-%d %H:%M:%S}")
        last, now = moment(one.last_at), console.clock.now()
        ran = age(last, now) if console.preferences.relative_times else day_or_time(last, now, console.place)
        return [
            Text(inert(one.task)),
            Text(f"{look.glyph(glyph, plain)} {word}", console.colour(plain)),
            Text(short(one.cadence, columns[2].width - 1, look.ellipsis)),
            Text("never" if last is None else ran),
            when,
            Text(short(one.result, columns[5].width - 1, look.ellipsis), console.colour("X") if one.failed else ""),
        ]

    def _result_cells(self, one: TaskResult, room: int) -> list[Text]:
        console = self.console
        return [
            Text(full_time(moment(one.last_at), console.place)[:19]),
            Text(f"{one.times:,}x" if one.times > 1 else ""),
            Text(f"{one.took_ms / 1000:,.1f} s"),
            Text(short(one.result, room, console.look.ellipsis), console.colour("X") if one.failed else ""),
        ]

    def status(self) -> list[Text | str]:
        """How many, and whether one has failed."""
        if self.trouble is not None:
            return [Text(self.trouble.what, self.console.colour("!"))]
        if self._loaded_at is None:
            return ["loading"]
        failed = sum(one.failed for one in self.tasks.values())
        return [f"{len(self.tasks)} tasks", Text(f"{failed} failed", self.console.colour("X")) if failed else ""]

    # Loading -------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Asks every few seconds while this page is visible."""
        super().tick()
        now = self.console.clock.now()
        if self.is_current and (self._asked_at is None or (now - self._asked_at).total_seconds() >= EVERY_S):
            self.reload()

    def happened(self, message: Happened) -> None:
        """Another cadence, or a retention."""
        if message.event.name == "settings-changed":
            self.reload()

    def reload(self) -> None:
        """Asks for the tasks and their last results."""
        self._asked_at = self.console.clock.now()
        if self.console.signed_in:
            self._load()

    @work(group="load", exclusive=True)
    async def _load(self) -> None:
        client = self.console.client
        try:
            tasks = await client.get("/api/tasks", list[TaskLine])
            history = {one.task: await client.get(f"/api/tasks/{one.task}/history", list[TaskResult]) for one in tasks}
        except Trouble as trouble:
            self.post_message(NotLoaded(trouble))
            return
        self.post_message(self.Loaded(tasks, history))

    @on(Loaded)
    def _loaded(self, message: Loaded) -> None:
        self.tasks, self.history = {one.task: one for one in message.tasks}, message.history
        self.trouble, self._loaded_at = None, self.console.clock.now()
        self.draw()

    # Keys ----------------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Back to the page before."""
        self.dismiss()

    def action_open(self) -> None:
        """The last results in full."""
        from tui.screens.dialogs import TextDialog

        one = self.chosen
        if one is not None:
            told = [
                f"{full_time(moment(each.last_at), self.console.place)}\n  {inert(each.result)}"
                for each in self.history[one.task]
            ]
            self.app.push_screen(TextDialog(one.task, Text("\n".join(told) or "It has not run yet."), wide=True))

    def action_run_now(self) -> None:
        """Lets the task run, whatever the clock says; what deletes is asked about first."""
        one = self.chosen
        if one is None:
            return
        if one.task != PACED:
            self._change("POST", f"/api/tasks/{one.task}/run", None, f"{one.task} runs; its result stands below in a moment.")
            return
        self._weigh(asks=True)

    def action_preview(self) -> None:
        """What maintenance would delete now."""
        self._weigh(asks=False)

    @work(group="preview", exclusive=True)
    async def _weigh(self, *, asks: bool) -> None:
        from tui.screens.dialogs import Confirm, TextDialog

        try:
            found = await self.console.client.get("/api/retention", Preview)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        words = preview_words(found)
        if not asks:
            self.app.push_screen(TextDialog("What would be deleted now", Text(words)))
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._change("POST", f"/api/tasks/{PACED}/run", None, f"{PACED} runs; its result stands below in a moment.")

        self.app.push_screen(Confirm("Run maintenance now?", words + "\nWhat is deleted does not come back.", "Run"), answered)

    def action_switch(self) -> None:
        """Lets the clock run the task no more, or again."""
        from tui.screens.dialogs import Confirm

        one = self.chosen
        if one is None:
            return
        path = f"/api/tasks/{one.task}"
        if one.switched_off:
            self._change("PUT", path, {"on": True}, f"{one.task} runs by the clock again.")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._change("PUT", path, {"on": False}, f"{one.task} runs by hand only.")

        effect = "It runs by hand only, until somebody switches it on again."
        self.app.push_screen(Confirm(f"Switch {one.task} off?", effect, "Switch off"), answered)

    @work(group="change")
    async def _change(self, method: str, path: str, body: object, said: str) -> None:
        try:
            await self.console.client.call(method, path, body=body)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went(said))

    def action_cadence(self) -> None:
        """Asks for a preset, or for a cron expression; both are settings."""
        from tui.screens.ask_cron import AskCron

        def given(expression: object) -> None:
            if isinstance(expression, str) and expression:
                self._pace({"cadence": "cron", "cron": expression})

        def chosen(cadence: str | None) -> None:
            if cadence == "cron":
                self.app.push_screen(AskCron(), given)
            elif cadence:
                self._pace({"cadence": cadence})

        self.app.push_screen(Pick("Maintenance runs", _CADENCES), chosen)

    @work(group="change")
    async def _pace(self, change: dict[str, str]) -> None:
        client = self.console.client
        try:
            view = await client.get("/api/settings", SettingsView)
            headers = {"If-Match": f'"{view.version}"'}
            await client.patch("/api/settings", SettingsSaved, {"scheduler": change}, headers=headers)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went(f"Maintenance runs {change.get('cron', change['cadence'])}, in the site's time zone."))

    def copied(self) -> str:
        """The task's name."""
        return self.chosen.task if self.chosen is not None else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What changes something is for administrators."""
        if action in {"run_now", "switch", "cadence", "preview"}:
            one = self.chosen
            may = self.console.me.role in {"admin", ""} and one is not None
            return may and (action not in {"cadence", "preview"} or (one is not None and one.task == PACED))
        return super().check_action(action, parameters)

    @on(DataTable.RowHighlighted)
    def _moved(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        if self.ready:
            self.draw_keys()
            self._draw_history()


def preview_words(found: Preview) -> str:
    """What would go and what stays, for reading."""
    lines = [f"{found.studies:,} studies with {found.orders:,} orders: {found.files:,} files, {found.bytes / 1e6:,.1f} MB"]
    lines += [f"{count:,} rows of {table}" for table, count in sorted(found.rows.items())]
    lines += [f"{found.logs:,} log files"] if found.logs else []
    lines += [f"{found.quarantined:,} set aside that could not be filed"] if found.quarantined else []
    lines += [f"Old but kept: {count:,} {inert(reason)}" for reason, count in sorted(found.kept.items())]
    return "\n".join(lines)


def _standing(one: TaskLine) -> tuple[str, str, str]:
    if one.running:
        return "◐", "~", "runs"
    if one.switched_off:
        return "⌧", "-", "off"
    if one.failed:
        return "✖", "X", "failed"
    return ("●", "*", "on") if one.on else ("◌", ".", "not set")


def _task_columns(width: int) -> list[Column]:
    fixed = [
        Column("task", "Task", 13),
        Column("state", "State", 10),
        Column("cadence", "Cadence", 16),
        Column("last", "Last", 6),
        Column("next", "Next", 15),
    ]
    return [*fixed, Column("result", "Result", width - 4 - sum(one.width for one in fixed))]


def _result_columns(width: int) -> list[Column]:
    fixed = [Column("at", "When", 20), Column("times", "Times", 8), Column("took", "Took", 9)]
    return [*fixed, Column("result", "Result", width - 4 - sum(one.width for one in fixed))]
