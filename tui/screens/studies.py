"""Studies: every study from its first instance on, live."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType

from tui.clock import age, day_or_time, moment
from tui.contract import StudiesFound, StudyPage, StudyRow, tail
from tui.inert import fit, inert
from tui.messages import Happened, Went, WentWrong
from tui.screens.actions import StudyActions
from tui.screens.dialogs import AskLookup, Lookup
from tui.screens.list_page import PAGE_ROWS, Fetched, ListPage, Wish
from tui.screens.study_text import row_state
from tui.trouble import Trouble
from tui.widgets.cells import HIDDEN_NUMBER, patient_cell
from tui.widgets.live_table import Column

_QUEUE_CHANGES = frozenset({"order-opened", "order-moved", "priority-given", "settings-changed"})
LOOKED_UP = 25
"""So many identifiers fit into one filter."""
_PROBLEMS = "status:qc_failed,held,failed,delivery_failed,quarantined"


class StudiesPage(StudyActions, ListPage[StudyRow]):
    """The list of studies; the state is the newest order's."""

    MODE = "studies"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("exclamation_mark", "problems", "Problems", key_display="!"),
        Binding("ctrl+f", "find", "Find patient"),
    ]
    KEYS = (
        "filter",
        "screen.open",
        "metadata",
        "bypass",
        "retry",
        "force_stable",
        "release",
        "reveal",
        "show_status",
        "show_qc",
        "show_report",
        "cancel",
        "copy",
        "mark",
        "clear_filter",
        "next_page",
        "previous_page",
        "problems",
        "urgency",
        "find",
    )

    def columns(self, width: int) -> Sequence[Column]:
        """78 cells at 80 columns; wider terminals get a progress column, then longer names and steps."""
        if width < 100:
            extra = width - 80
            return (
                Column("id", "ID", 9),
                Column("patient", "Patient", 11 + extra),
                Column("accession", "Acc.", 8),
                Column("state", "Status", 18),
                Column("qc", "QC", 7),
                Column("products", "Prod", 7),
                Column("group", "Group", 9),
                Column("received", "Recv", 6),
            )
        extra = width - 100
        return (
            Column("id", "ID", 9),
            Column("patient", "Patient", 15 + min(extra // 3, 20)),
            Column("accession", "Acc.", 8 + min(extra // 6, 8)),
            Column("state", "Status", 18),
            Column("progress", "Progress", 15 + extra // 3),
            Column("qc", "QC", 8),
            Column("products", "Prod", 7),
            Column("group", "Group", 9),
            Column("received", "Recv", 7),
        )

    def cells(self, row: StudyRow, columns: Sequence[Column]) -> list[Text]:
        """One study's cells."""
        return [self._cell(row, column) for column in columns]

    def _cell(self, row: StudyRow, column: Column) -> Text:
        look, room = self.console.look, column.width - 1
        identity = self.console.reveals.of(row.study)
        match column.key:
            case "id":
                return Text(tail(row.study))
            case "patient":
                name = identity.patient_name or identity.patient_id if identity else ""
                return patient_cell(look, name, revealed=identity is not None, width=room)
            case "accession":
                if not row.has_accession:
                    return Text("None", "dim italic")
                accession = identity.accession if identity else ""
                return patient_cell(look, accession, revealed=identity is not None, width=room, length=HIDDEN_NUMBER)
            case "state":
                return row_state(self.console, row)
            case "progress":
                return self._progress(row, room)
            case "qc":
                style = {"": "dim", "bypassed": self.console.colour("!")}.get(row.qc, "")
                shown = {"bypassed": "byp"}.get(row.qc, row.qc) or "-"
                if len(shown) > room and shown.startswith("ok"):
                    shown = shown.partition("/")[0]
                return Text(fit(shown, room, look.ellipsis).rstrip(), style or self._verdict(row.qc))
            case "products":
                return Text(fit(",".join(row.products).upper() or "-", room, look.ellipsis).rstrip())
            case "group":
                return Text(fit(row.group or "-", room, look.ellipsis).rstrip())
        return Text(self._received(row))

    def _verdict(self, qc: str) -> str:
        return "" if qc.startswith("ok") else self.console.colour("X")

    def _progress(self, row: StudyRow, room: int) -> Text:
        if row.state == "RECEIVING":
            return Text(f"{row.instances:,} obj")
        if row.percent and not row.terminal:
            bar = Text(self.console.look.bar(row.percent, 10), self.console.colour("^"))
            step = inert(row.step or "")
            return (
                bar.append(" " + fit(step, room - 11, self.console.look.ellipsis).rstrip(), "") if room > 16 and step else bar
            )
        if (row.code and not row.terminal) or row.state == "FAILED":
            return Text(fit(row.code or "", room, self.console.look.ellipsis).rstrip(), "dim")
        return Text(fit(row.step or "", room, self.console.look.ellipsis).rstrip())

    def _received(self, row: StudyRow) -> str:
        at, now = moment(row.received_at), self.console.clock.now()
        if self.console.preferences.relative_times:
            return age(at, now)
        return day_or_time(at, now, self.console.place)

    def key_of(self, row: StudyRow) -> str:
        """The study's identifier."""
        return row.study

    async def fetch(self, wish: Wish) -> Fetched[StudyRow]:
        """One page, newest first."""
        page = await self.console.client.get(
            "/api/studies", StudyPage, q=wish.filter, sort="-received", cursor=wish.cursors[-1], limit=PAGE_ROWS
        )
        return Fetched(page.items, page.next, page.total, page.matched, page.total_exact, page.matched_exact)

    def nothing_yet(self) -> tuple[str, str, str]:
        """Says where to send a study, with the real names."""
        receive = self.console.appliance.receive
        hosts = receive.addresses or ([receive.host] if receive.host else [])
        if not receive.ae_title:
            return "No studies yet.", "Send one from the PACS to this appliance.", ""
        where = "\n".join(f"AE title {receive.ae_title}   host {host}   port {receive.port}" for host in hosts[:4])
        return "No studies yet. Send one from the PACS to", where, ""

    def status(self) -> list[Text | str]:
        """How many, and the order of the list."""
        order = "" if self.trouble else f"sort Received{self.console.look.down}"
        return [*super().status(), order, self._queue()]

    def paused_words(self) -> list[str]:
        """The queue says by itself that processing is paused."""
        return [word for word in super().paused_words() if word != "processing"]

    def _queue(self) -> Text | str:
        """What waits and runs, and that nothing more is started."""
        status = self.console.appliance
        if status.paused:
            return Text(f"processing paused, {status.queue.waiting} waiting", self.console.colour("!"))
        return status.queue.short_words if status.queue.waiting else ""

    def happened(self, message: Happened) -> None:
        """Progress goes straight into its row; everything else is asked for."""
        event = message.event
        row = self.rows.get(event.study or "")
        percent = event.body.get("percent")
        if event.name == "progress" and row is not None and isinstance(percent, int | float):
            step = str(event.body.get("step") or "")
            self.rows[row.study] = msgspec.structs.replace(row, percent=float(percent), step=step)
            self.draw()
            return
        if event.name in _QUEUE_CHANGES:
            self.console.ask_again()
        super().happened(message)

    def chosen(self) -> Sequence[StudyRow]:
        """The marked studies, or the one under the cursor."""
        return self.targets() if self.ready else ()

    def action_open(self) -> None:
        """Opens the study under the cursor."""
        if self.table.current:
            self.open_study(self.table.current)

    def action_reveal_all(self) -> None:
        """Shows the patients of every study on this page."""
        self.reveal(list(self.rows))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Machines look nobody up."""
        if action == "find":
            return self.console.me.role != "service"
        return super().check_action(action, parameters)

    def action_find(self) -> None:
        """The studies of an exact accession number or patient ID; the rows stay hidden."""

        def given(asked: object) -> None:
            if isinstance(asked, Lookup):
                self._look_up(asked)

        self.app.push_screen(AskLookup(), given)

    @work(group="lookup", exclusive=True)
    async def _look_up(self, asked: Lookup) -> None:
        try:
            found = await self.console.client.post("/api/lookup", StudiesFound, {"kind": asked.kind, "value": asked.value})
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        if not found.items:
            self.post_message(Went("No study here has exactly this value."))
            return
        self._load(Wish("id:" + ",".join(row.study for row in found.items[:LOOKED_UP])))

    def action_problems(self) -> None:
        """Only what needs a person; again for everything."""
        self._load(Wish("" if self.shown.filter == _PROBLEMS else _PROBLEMS))
