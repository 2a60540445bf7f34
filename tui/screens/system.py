"""System: processes, queue, where to send studies, free space."""

from datetime import datetime
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from tui import palette
from tui.clock import age, full_time, moment
from tui.contract import Health, Status
from tui.flows import AssociationTrouble, Flow, Sender
from tui.inert import fit, inert
from tui.messages import Happened, NotLoaded, Went, WentWrong
from tui.screens.dialogs import Confirm
from tui.screens.page import Page
from tui.trouble import Trouble
from tui.widgets.lines import Field, sheet
from tui.widgets.states import ErrorState

EVERY_S = 5
SOON_DAYS = 14
_PARTS = frozenset({"receiving", "delivery"})


class SystemPage(Page):
    """The appliance as a whole."""

    MODE = "system"
    CSS_PATH = "system.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("P", "pause", "Pause processing"),
        Binding("P", "resume", "Resume processing"),
        Binding("I", "pause_receiving", "Pause receiving"),
        Binding("I", "resume_receiving", "Resume receiving"),
        Binding("D", "pause_delivery", "Pause delivery"),
        Binding("D", "resume_delivery", "Resume delivery"),
        Binding("a", "associations", "Associations"),
        Binding("s", "senders", "Senders"),
        Binding("f", "data_flow", "Data flow"),
        Binding("n", "nodes", "PACS nodes"),
        Binding("t", "schedule", "Schedule"),
        Binding("N", "notices", "Notices"),
    ]
    KEYS = (
        *("pause", "resume", "refresh", "nodes", "schedule", "notices"),
        *("associations", "senders", "data_flow", "app.sign_out"),
    )

    class Loaded(Message):
        """The appliance answered."""

        def __init__(self, status: Status, health: Health) -> None:
            super().__init__()
            self.status, self.health = status, health

    def __init__(self) -> None:
        super().__init__()
        self._status: Status | None = None
        self._health = Health()
        self._asked_at: datetime | None = None

    def body(self) -> ComposeResult:
        """One text."""
        with VerticalScroll(id="scroll"):
            yield Static(id="text", markup=False)
        yield ErrorState(markup=False)

    def on_mount(self) -> None:
        """The text takes the keys."""
        super().on_mount()
        self.query_one("#scroll").focus()

    def tick(self) -> None:
        """Asks every few seconds while this page is visible."""
        super().tick()
        now = self.console.clock.now()
        if self.is_current and (self._asked_at is None or (now - self._asked_at).total_seconds() >= EVERY_S):
            self.reload()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what is not so already is offered, and only to somebody who may."""
        if action in {"data_flow", "notices"}:
            return self.console.me.role in {"admin", ""}
        if action in {"nodes", "schedule"}:
            return self.console.me.role in {"admin", "user", ""}
        if action in {"pause", "resume"}:
            may = self.console.me.role in {"admin", ""} and self._status is not None
            return may and (action == "resume") == (self._status is not None and self._status.paused)
        verb, _, part = action.partition("_")
        if part in _PARTS and verb in {"pause", "resume"}:
            status = self._status
            paused = status is not None and (status.receiving_paused if part == "receiving" else status.delivery_paused)
            return self.console.me.role in {"admin", ""} and status is not None and (verb == "resume") == paused
        return super().check_action(action, parameters)

    def action_pause(self) -> None:
        """Starts no further stage, after a question."""
        effect = "What runs is finished and nothing more is started. Studies are still received; they wait until P resumes."

        def answered(yes: bool | None) -> None:
            if yes:
                self._switch("pause")

        self.app.push_screen(Confirm("Pause processing?", effect, "Pause"), answered)

    def action_resume(self) -> None:
        """Goes on with what waits."""
        self._switch("resume")

    def action_pause_receiving(self) -> None:
        """Turns senders away for now, after a question."""
        effect = "New associations are turned away for now; open ones finish. Senders keep their studies and try again."
        self._ask_to_pause("receiving", effect)

    def action_resume_receiving(self) -> None:
        """Lets senders in again."""
        self._switch("resume", "receiving")

    def action_pause_delivery(self) -> None:
        """Begins no further delivery, after a question."""
        self._ask_to_pause("delivery", "Reports wait and count no attempt. Deliveries that have begun are finished.")

    def action_resume_delivery(self) -> None:
        """Delivers what waits."""
        self._switch("resume", "delivery")

    def _ask_to_pause(self, part: str, effect: str) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._switch("pause", part)

        self.app.push_screen(Confirm(f"Pause {part}?", effect, "Pause"), answered)

    @work(group="change")
    async def _switch(self, verb: str, part: str = "processing") -> None:
        try:
            await self.console.client.post(f"/api/{part}/{verb}", dict[str, object])
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went(f"{part.capitalize()} is paused" if verb == "pause" else f"{part.capitalize()} goes on"))

    def reload(self) -> None:
        """Asks again."""
        self._asked_at = self.console.clock.now()
        if self.console.signed_in:
            self._load()

    @work(group="load", exclusive=True)
    async def _load(self) -> None:
        client = self.console.client
        try:
            status = await client.get("/api/status", Status)
            health = await client.get("/api/health", Health)
        except Trouble as trouble:
            self.post_message(NotLoaded(trouble))
            return
        self.post_message(self.Loaded(status, health))

    @on(Loaded)
    def _loaded(self, message: Loaded) -> None:
        self._status, self._health, self.trouble = message.status, message.health, None
        self.console.appliance = message.status
        self.draw()

    @work(group="flow", exclusive=True)
    async def action_data_flow(self) -> None:
        """Every outbound destination: what it gets, identified or not, encrypted or not, last use."""
        from tui.screens.data_flow import flow_text
        from tui.screens.dialogs import TextDialog

        try:
            flows = await self.console.client.get("/api/data-flow", list[Flow])
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.app.push_screen(TextDialog("Data flow", flow_text(self.console, flows), wide=True))

    @work(group="flow", exclusive=True)
    async def action_associations(self) -> None:
        """Associations that were refused, aborted or failed, and what helps."""
        from tui.screens.dialogs import TextDialog
        from tui.screens.senders import associations_text

        try:
            found = await self.console.client.get("/api/associations", list[AssociationTrouble])
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.app.push_screen(TextDialog("Associations", associations_text(self.console, found), wide=True))

    def action_nodes(self) -> None:
        """The PACS nodes: test them, find studies on them, follow what is pulled."""
        self.app.push_screen(palette.nodes())

    def action_schedule(self) -> None:
        """What runs by the clock."""
        self.app.push_screen(palette.schedule())

    def action_notices(self) -> None:
        """What was told to people."""
        self.app.push_screen(palette.notices())

    @work(group="flow", exclusive=True)
    async def action_senders(self) -> None:
        """Everybody who has sent, with the quiet time that its own pauses ask for."""
        from tui.screens.dialogs import TextDialog
        from tui.screens.senders import senders_text

        try:
            found = await self.console.client.get("/api/senders", list[Sender])
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.app.push_screen(TextDialog("Senders", senders_text(self.console, found), wide=True))

    def happened(self, message: Happened) -> None:
        """Processes that start or die are shown at once."""
        if message.event.name in {"process-started", "process-died", "low-disk", "settings-changed"}:
            self.reload()

    def draw(self) -> None:
        """The text from what is known."""
        if not self.ready:
            return
        self.set_class(self._status is None and self.trouble is not None, "-broken")
        if self.trouble is not None:
            self.query_one(ErrorState).show(self.trouble)
        if self._status is not None:
            self.query_one("#text", Static).update(self._text(self._status))
        super().draw()

    def _text(self, status: Status) -> RenderableType:
        now, place = self.console.clock.now(), self.console.place
        lines: list[Text | Field] = [Text("Health", "bold")]
        lines += [self._part(part.name, part.status, part.detail) for part in self._health.parts]
        lines += [Text(), Text(f"{'Process':<12}{'State':<12}{'Since':<30}Last sign", "bold")]
        for process in status.processes:
            lines.append(
                Text(fit(process.kind, 12))
                .append_text(self._state("ok" if process.alive else "silent", 12))
                .append(f"{full_time(moment(process.started_at), place):<30}{age(moment(process.seen_at), now)}", "")
            )
        receive = status.receive
        hosts = ", ".join(receive.addresses) or receive.host
        queue = Text(status.queue.words)
        if status.paused:
            queue.append(", paused", self.console.colour("!"))
        orders = "  ".join(f"{inert(name)} {count:,}" for name, count in status.counts.orders.items() if count)
        lines += [
            Text(),
            Field("Queue", queue),
            Field("Processing", inert(status.mode_words)),
            Field("Studies", f"{status.counts.studies:,}"),
            Field("Orders", orders or "none"),
            Field("Disk", self._disk(status)),
            Field("Receiver", inert(f"AE title {receive.ae_title}   host {hosts}   port {receive.port}")),
        ]
        if not status.limits:
            lines.append(Field("Limits", Text("core and memory limits are switched off", self.console.colour("!"))))
        if receive.open_to_everybody:
            lines.append(Field("", Text("every calling AE title may send", self.console.colour("!"))))
        lines += [Field("Version", inert(status.version)), Field("Console", self.console.client.url)]
        return sheet(lines, 12)

    def _disk(self, status: Status) -> Text:
        """Free space, and how long it will last."""
        total = f" of {status.home_total_bytes / 2**30:,.1f}" if status.home_total_bytes else ""
        said = Text(f"{status.home_free_bytes / 2**30:,.1f}{total} GiB free")
        days = status.days_until_full
        if days is not None:
            lasting = f"{days:,.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
            said.append(f", full in about {lasting}", self.console.colour("!") if days < SOON_DAYS else "")
        return said

    def _state(self, word: str, width: int) -> Text:
        good = word in {"ok", "up"}
        mark = "*" if good else "!" if word in {"degraded", "warn", "silent", "unknown"} else "X"
        glyph = self.console.look.glyph({"*": "●", "!": "▲", "X": "✖"}[mark], mark)
        return Text(fit(f"{glyph} {word}", width), self.console.colour(mark))

    def _part(self, name: str, state: str, detail: str) -> Text:
        return Text(fit(name, 12)).append_text(self._state(state, 12)).append(inert(detail), "dim")

    def status(self) -> list[Text | str]:
        """How the whole is."""
        return [self._state(self._health.status, 12)] if self._health.status else ["loading"]
