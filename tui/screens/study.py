"""One study: series on the left; summary, quality control, timeline and report on the right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static, Tree

from tui.contract import QcReport, StudyDetail, StudyRow, tail
from tui.inert import fit, inert
from tui.messages import Happened, NotLoaded
from tui.screens import proof, quality, study_text
from tui.screens.actions import StudyActions
from tui.trouble import Problem, Trouble
from tui.widgets.cells import PatientText, hidden
from tui.widgets.states import ErrorState

TABS = (("summary", "Summary"), ("qc", "QC"), ("timeline", "Timeline"), ("report", "Report"))
GATHER_S = 0.3


class TabNames(Static):
    """The names of the tabs on the right; a click opens one."""

    def show(self, current: str) -> None:
        """Draws the names."""
        line = Text(" ")
        for name, title in TABS:
            shown = f"[{title}]" if name == current else f" {title} "
            line.append(shown, "bold reverse" if name == current else "")
        self.update(line)

    def on_click(self, event: events.Click) -> None:
        """Opens the tab that was clicked."""
        start = 1
        for name, title in TABS:
            if start <= event.x < start + len(title) + 2 and isinstance(self.screen, StudyScreen):
                self.screen.open_tab(name)
            start += len(title) + 2


class StudyScreen(StudyActions):
    """A study's detail, above the page that it was opened from."""

    CSS_PATH = "study.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "tab(1)", "Next tab", key_display="]"),
        Binding("left_square_bracket", "tab(-1)", "Tab before", key_display="["),
        Binding("i", "show_summary", "Summary"),
        Binding("t", "show_timeline", "Timeline"),
        Binding("d", "download", "Download"),
        Binding("v", "pictures", "Pictures"),
        Binding("D", "repair", "Repair table"),
        Binding("w", "proof", "De-identification"),
        Binding("j,down", "scroll_tab(1)", "Down (k up, g top, G bottom)", show=False),
        Binding("k,up", "scroll_tab(-1)", "", show=False),
        Binding("g,home", "scroll_tab(-100000)", "", show=False),
        Binding("G,end", "scroll_tab(100000)", "", show=False),
        Binding("pagedown", "scroll_tab(15)", "", show=False),
        Binding("pageup", "scroll_tab(-15)", "", show=False),
        Binding("h,left", "focus_series", "Series", show=False),
        Binding("l,right", "focus_tab", "Tab's text", show=False),
    ]
    KEYS = (
        "back",
        "tab(1)",
        "reveal",
        "metadata",
        "bypass",
        "repair",
        "retry",
        "force_stable",
        "release",
        "cancel",
        "show_status",
        "download",
        "pictures",
        "copy",
    )

    @dataclass
    class Loaded(Message):
        """The study came, with its quality control."""

        study: StudyDetail
        qc: QcReport
        pictures: dict[str, bytes]
        """PNGs by their address."""

    @dataclass
    class ReportCame(Message):
        """The text of a report, or why there is none."""

        report: str
        text: str

    def __init__(self, study: str, mode: str, tab: str = "summary") -> None:
        super().__init__()
        self.study_id = study
        self._mode = mode
        self._tab = tab
        self.study: StudyDetail | None = None
        self._qc = QcReport()
        self._pictures: dict[str, bytes] = {}
        self._report = ("", "")
        self._gathering = False

    def body(self) -> ComposeResult:
        """Left the series, right the tabs."""
        yield PatientText(id="title", markup=False)
        with Horizontal(id="halves"):
            tree: Tree[str] = Tree(Text("Series"), id="series")
            tree.show_root = True
            tree.guide_depth = 2
            yield tree
            with Vertical(id="right"):
                yield TabNames(id="tabs", markup=False)
                with VerticalScroll(id="scroll"):
                    yield PatientText(id="text", markup=False)
        yield ErrorState(markup=False)

    def on_mount(self) -> None:
        """The text takes the keys, so that arrows scroll it at once."""
        super().on_mount()
        tree = self.query_one(Tree)
        tree.root.expand()
        self.query_one("#scroll").focus()
        self.draw()

    @property
    def mode(self) -> str:
        """The page below."""
        return self._mode

    # Drawing -------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Everything from what is known now."""
        if not self.ready:
            return
        self.set_class(self.study is None and self.trouble is not None, "-broken")
        if self.study is None and self.trouble is not None:
            self.query_one(ErrorState).show(self.trouble)
        # A report is made for 80 columns; it gets them all.
        self.query_one("#halves").set_class(self._tab == "report", "-report")
        self._draw_title()
        self.query_one(TabNames).show(self._tab)
        self.query_one("#text", Static).update(self._text())
        super().draw()

    def _draw_title(self) -> None:
        identity = self.console.reveals.of(self.study_id)
        line = Text(f" Study {tail(self.study_id)}  ", "bold")
        if identity is None:
            line.append_text(hidden(self.console.look))
        else:
            line.append(inert(identity.patient_name or identity.patient_id or "None"), "bold reverse")
        self.query_one("#title", Static).update(line)

    def _text(self) -> RenderableType:
        if self.study is None:
            return Text("Loading" + self.console.look.ellipsis, "dim")
        match self._tab:
            case "qc":
                return study_text.qc_text(self.console, self._qc, self._pictures, self._room())
            case "timeline":
                return study_text.timeline(self.console, self.study.timeline)
            case "report":
                return Text(self._report[1])
        return study_text.summary(self.console, self.study, self.console.reveals.of(self.study_id))

    def _room(self) -> int:
        """Cells that a picture may be wide; none on a terminal that shows no colours."""
        return 0 if self.console.look.plain else self.query_one("#scroll").size.width - 4

    def _draw_series(self, study: StudyDetail) -> None:
        tree = self.query_one(Tree)
        line = tree.cursor_line
        tree.clear()
        tree.root.set_label(Text(f"{study.series} series, {study.instances:,} instances"))
        room = max(20, tree.size.width - 6)
        mark = self.console.look.glyph("◀", "<")
        for one in study.series_list:
            count = f"{one.instances:,} img"
            end = f" {mark}" if one.product_input else "  "
            number = f"{one.number:03d}" if one.number is not None else "---"
            label = f"{number} {inert(one.modality or '')} {inert(one.label or '')}"
            shown = Text(fit(label, room - len(count) - 3, self.console.look.ellipsis) + " ")
            tree.root.add_leaf(shown.append(count, "dim").append(end, self.console.colour("*")), data=one.series)
        tree.root.expand()
        tree.cursor_line = max(0, line)

    def status(self) -> list[Text | str]:
        """Where this is."""
        title = next((tab.title for tab in self.console.tabs(self._mode) if tab.current), "Studies")
        place = f"{title} {self.console.look.arrow} {tail(self.study_id)}"
        if self.trouble is not None and self.study is not None:
            return [place, Text(self.trouble.what, self.console.colour("X"))]
        return [place]

    # Loading -------------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """The study again."""
        if self.console.signed_in:
            self._load()

    @work(group="load", exclusive=True)
    async def _load(self) -> None:
        client = self.console.client
        try:
            study = await client.get(f"/api/studies/{self.study_id}", StudyDetail)
            order = study.orders[0].order if study.orders else study.order
            qc = await self._quality(order) if order else QcReport()
            # Only for somebody who looks at them, because the audit keeps who saw what.
            known = self._pictures if qc == self._qc else {}
            pictures = await quality.pictures(client, qc, known) if self._tab == "qc" else known
        except Trouble as trouble:
            self.post_message(NotLoaded(trouble))
            return
        self.post_message(self.Loaded(study, qc, pictures))
        report = newest_report(study)
        if report and report != self._report[0] and self._tab == "report":
            self._load_report(report)

    async def _quality(self, order: str) -> QcReport:
        """No quality control yet is not a fault."""
        try:
            return await self.console.client.get(f"/api/orders/{order}/qc", QcReport)
        except Problem as problem:
            if problem.status == 404:
                return QcReport()
            raise

    @work(group="report", exclusive=True)
    async def _load_report(self, report: str) -> None:
        try:
            text = await self.console.client.text(f"/api/reports/{report}/txt")
        except Trouble as trouble:
            self.post_message(self.ReportCame("", f"The report cannot be shown. {trouble}\n\nd downloads it as PDF."))
            return
        self.post_message(self.ReportCame(report, inert(text, lines=True)))

    @on(Loaded)
    def _loaded(self, message: Loaded) -> None:
        if not self.ready:
            return
        if self.study is None or message.study.series_list != self.study.series_list:
            self._draw_series(message.study)
        self.study, self._qc, self.trouble = message.study, message.qc, None
        self._pictures = message.pictures
        if not newest_report(message.study):
            self._report = ("", "No report yet. It is made when processing has ended.")
        elif not self._report[0] and self._tab == "report":
            self._report = ("", "Loading" + self.console.look.ellipsis)
        self.draw()

    @on(ReportCame)
    def _report_came(self, message: ReportCame) -> None:
        self._report = (message.report, message.text)
        self.draw()

    def happened(self, message: Happened) -> None:
        """Something happened to this study: ask again soon."""
        if (message.event.study or "") == self.study_id and not self._gathering:
            self._gathering = True
            self.set_timer(GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        self.reload()

    # Keys ----------------------------------------------------------------------------------------------------------

    def chosen(self) -> Sequence[StudyRow]:
        """This study."""
        return [self.study] if self.study else []

    def open_tab(self, name: str) -> None:
        """Shows one of the tabs from its top."""
        self._tab = name
        self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
        report = newest_report(self.study) if self.study else ""
        if name == "report" and report and report != self._report[0]:
            self._report = ("", "Loading" + self.console.look.ellipsis)
            self._load_report(report)
        if name == "qc" and not self._pictures and self.study:
            self.reload()
        self.draw()

    def action_tab(self, step: int) -> None:
        """The tab to the right or left."""
        names = [name for name, _ in TABS]
        self.open_tab(names[(names.index(self._tab) + step) % len(names)])

    def action_show_summary(self) -> None:
        """The summary."""
        self.open_tab("summary")

    def action_show_timeline(self) -> None:
        """The timeline."""
        self.open_tab("timeline")

    def action_show_qc(self) -> None:
        """The quality control."""
        self.open_tab("qc")

    def action_show_report(self) -> None:
        """The report."""
        self.open_tab("report")

    def action_scroll_tab(self, lines: int) -> None:
        """Scrolls the text of the tab."""
        self.query_one("#scroll", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_focus_series(self) -> None:
        """The series take the keys."""
        self.query_one(Tree).focus()

    def action_focus_tab(self) -> None:
        """The text takes the keys."""
        self.query_one("#scroll").focus()

    def action_back(self) -> None:
        """Back to the page."""
        self.dismiss()

    def action_download(self) -> None:
        """Saves the newest report on the machine that runs this console."""
        report = newest_report(self.study) if self.study else ""
        if report and self.study:
            from tui.screens.download import offer

            found = next((one for one in self.study.reports if one.report == report), None)
            offer(self, f"/api/reports/{report}", found.formats if found else [])

    def action_pictures(self) -> None:
        """Saves pictures of quality control on the machine that runs this console."""
        quality.offer_pictures(self, self._qc)

    def action_repair(self) -> None:
        """Agrees to the repair of a gradient table after a question."""
        if self.study and self.study.orders:
            order = self.study.orders[0]
            quality.ask_repair(self, order.order, order.terminal or order.state == "REPORTED", self._qc)

    def action_proof(self) -> None:
        """What would leave of this study, and the proof of what did."""
        if self.study:
            proof.offer(self, self.study_id, self.study.orders[0].order if self.study.orders else "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Download is offered when there is a report, pictures and repair when quality control has some."""
        if action == "download":
            return bool(self.study and newest_report(self.study))
        if action == "pictures":
            return any(one.picture for one in self._qc.findings)
        if action == "repair":
            return bool(quality.proposed(self._qc)) and self.console.me.role in {"admin", ""}
        return super().check_action(action, parameters)

    def copied(self) -> str:
        """The study's identifier."""
        return self.study_id


def newest_report(study: StudyDetail) -> str:
    """The identifier of the newest report, or empty."""
    reports = [*study.reports, *(report for order in study.orders for report in order.reports)]
    return max(reports, key=lambda one: (one.created_at or "", one.version)).report if reports else ""
