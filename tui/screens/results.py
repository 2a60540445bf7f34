"""Results: every report with its numbers and where it was delivered."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from tui.clock import age, day_or_time, moment
from tui.contract import DeliveryView, ResultPage, ResultRow, Value, tail
from tui.inert import fit, inert
from tui.messages import Happened, Went, WentWrong
from tui.screens.list_page import PAGE_ROWS, Fetched, ListPage, Wish
from tui.screens.study_text import delivery_line
from tui.trouble import Trouble
from tui.widgets.live_table import Column

_CHANGES = frozenset({"report-made", "delivery-sent", "delivery-retried", "delivery-failed", "order-moved"})


class ResultsPage(ListPage[ResultRow]):
    """The list of reports."""

    MODE = "results"
    CSS_PATH = "results.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "preview", "Preview"),
        Binding("d", "download", "Download"),
        Binding("R", "resend", "Re-send"),
        Binding("i", "show_study", "Study"),
    ]
    KEYS = (
        "filter",
        "screen.open",
        "download",
        "resend",
        "show_study",
        "copy",
        "mark",
        "clear_filter",
        "next_page",
        "previous_page",
    )

    def body(self) -> ComposeResult:
        """The list, and below it the report under the cursor."""
        yield from super().body()
        yield Static(id="about", markup=False)

    def columns(self, width: int) -> Sequence[Column]:
        """Order, kind, time and deliveries; formats where there is room."""
        wide = width >= 100
        rest = width - 4 - 9 - 9 - 4 - 9 - 7 - (21 if wide else 0)
        columns = [
            Column("order", "Order", 9),
            Column("study", "Study", 9),
            Column("version", "V", 4),
            Column("kind", "Kind", 9),
            Column("finished", "Made", 7),
            Column("delivery", "Delivery", rest),
        ]
        return [*columns, Column("formats", "Formats", 21)] if wide else columns

    def cells(self, row: ResultRow, columns: Sequence[Column]) -> list[Text]:
        """One report's cells."""
        return [self._cell(row, column) for column in columns]

    def _cell(self, row: ResultRow, column: Column) -> Text:
        room, look = column.width - 1, self.console.look
        match column.key:
            case "order":
                return Text(tail(row.order))
            case "study":
                return Text(tail(row.study))
            case "version":
                return Text(f"v{row.version}")
            case "kind":
                style = self.console.colour("X") if row.kind == "failure" else ""
                return Text(fit(row.kind, room, look.ellipsis).rstrip(), style)
            case "finished":
                at, now = moment(row.created_at), self.console.clock.now()
                relative = self.console.preferences.relative_times
                return Text(age(at, now) if relative else day_or_time(at, now, self.console.place))
            case "delivery":
                return self._deliveries(row.deliveries, room)
        return Text(fit(" ".join(row.formats), room, look.ellipsis).rstrip(), "dim")

    def _deliveries(self, deliveries: Sequence[DeliveryView], room: int) -> Text:
        if not deliveries:
            return Text("no destination", "dim")
        failed = any(one.state == "FAILED" for one in deliveries)
        done = all(one.state.startswith("SENT") for one in deliveries)
        mark = "!" if failed else "*" if done else "^"
        look = self.console.look
        glyph = look.glyph({"!": "▲", "*": "●", "^": "↑"}[mark], mark)
        words = f" {look.dot} ".join(f"{one.destination} {one.word.lower()}" for one in deliveries)
        return Text(f"{glyph} " + fit(words, room - 2, look.ellipsis).rstrip(), self.console.colour(mark))

    def key_of(self, row: ResultRow) -> str:
        """The report's identifier."""
        return row.report

    async def fetch(self, wish: Wish) -> Fetched[ResultRow]:
        """One page, newest first."""
        page = await self.console.client.get(
            "/api/results", ResultPage, q=wish.filter, cursor=wish.cursors[-1], limit=PAGE_ROWS
        )
        matched = page.matched if page.matched is not None else page.total
        return Fetched(page.items, page.next, page.total, matched)

    def nothing_yet(self) -> tuple[str, str, str]:
        """Says when the first comes."""
        return "No reports yet.", "The first comes when a study has passed QC and was processed.", "1 shows the studies"

    def happened(self, message: Happened) -> None:
        """Only what concerns reports."""
        if message.event.name in _CHANGES:
            super().happened(message)

    def draw(self) -> None:
        """The list, and the report under the cursor."""
        super().draw()
        if self.ready:
            self._draw_about()

    def cursor_moved(self) -> None:
        """Another report is under the cursor."""
        super().cursor_moved()
        if self.ready:
            self._draw_about()

    def _draw_about(self) -> None:
        row = self.rows.get(self.table.current)
        about = self.query_one("#about", Static)
        if row is None:
            about.update(Text())
            return
        values = "   ".join(f"{inert(one.label)} {_shown(one)} {inert(one.unit or '')}".strip() for one in row.values[:6])
        lines = [Text(f"Report {tail(row.report)} of order {tail(row.order)}", "bold")]
        if values:
            lines.append(Text(values))
        lines += [delivery_line(self.console, one) for one in row.deliveries[:3]]
        about.update(Text("\n").join(lines))

    def action_open(self) -> None:
        """Shows the report as text."""
        self.action_preview()

    def action_preview(self) -> None:
        """Shows the report as text."""
        row = self.rows.get(self.table.current)
        if row is not None:
            self._preview(row)

    @work(group="preview", exclusive=True)
    async def _preview(self, row: ResultRow) -> None:
        from tui.screens.dialogs import TextDialog

        try:
            text = await self.console.client.text(f"/api/reports/{row.report}/txt")
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        title = f"Report {tail(row.report)} of order {tail(row.order)}"
        self.app.push_screen(TextDialog(title, Text(inert(text, lines=True)), wide=True))

    def action_download(self) -> None:
        """Saves the report on the machine that runs this console."""
        from tui.screens.download import offer

        row = self.rows.get(self.table.current)
        if row is not None:
            offer(self, f"/api/reports/{row.report}", row.formats)

    def action_show_study(self) -> None:
        """Opens the study that the report is about."""
        from tui.screens.study import StudyScreen

        row = self.rows.get(self.table.current)
        if row is not None and row.study:
            self.app.push_screen(StudyScreen(row.study, self.mode))

    def action_resend(self) -> None:
        """Sends the report again to one of its destinations."""
        from tui.screens.dialogs import Pick

        row = self.rows.get(self.table.current)
        if row is None or not row.deliveries:
            return

        def chosen(delivery: str | None) -> None:
            if delivery:
                self._resend(delivery)

        choices = [(one.delivery, f"{one.destination}  ({one.word.lower()})") for one in row.deliveries]
        self.app.push_screen(Pick("Send again to", choices), chosen)

    @work(group="change")
    async def _resend(self, delivery: str) -> None:
        try:
            await self.console.client.post(f"/api/deliveries/{delivery}/resend", object)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went("Sent again; the row shows how it goes."))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that need a report are offered when there is one; sending by hand is for administrators."""
        if action in {"preview", "download", "show_study", "resend"} and self.ready:
            row = self.rows.get(self.table.current)
            if action == "resend":
                return bool(row and row.deliveries) and self.console.me.role in {"admin", ""}
            return row is not None
        return super().check_action(action, parameters)


def _shown(value: Value) -> str:
    return "not computable" if value.value is None else inert(str(value.value))
