"""One group: its members, how their numbers are distributed, and its reports."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable, Static

from tui.clock import day_or_time, moment
from tui.cohorts import Distribution, GroupDetail, GroupLine, GroupReport
from tui.contract import StudyPage, StudyRow, tail
from tui.inert import inert, short
from tui.messages import Happened, NotLoaded
from tui.screens.group_actions import GroupActions
from tui.screens.groups import group_lines
from tui.screens.list_page import GATHER_S, PAGE_ROWS, Wish
from tui.screens.study_text import delivery_line, row_state
from tui.trouble import Trouble
from tui.widgets.live_table import Column, LiveTable
from tui.widgets.states import EmptyState, ErrorState

TABS = (("members", "Members"), ("statistics", "Statistics"), ("reports", "Reports"))
_EMPTY = {
    "members": ("No studies yet.", "g on a study puts it into the group; U on the list of groups uploads a cohort."),
    "statistics": ("No study has a number yet.", "Numbers come with the first study that is done."),
    "reports": ("No report yet.", "One is made when the last study has ended; R makes one now."),
}


class GroupScreen(GroupActions):
    """The group's lines above, one of three lists below."""

    MODE = "groups"
    CSS_PATH = "group.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "tab(1)", "Next tab", key_display="]"),
        Binding("left_square_bracket", "tab(-1)", "Tab before", key_display="["),
        Binding("m", "in_studies", "List in Studies"),
    ]
    KEYS = ("back", "tab(1)", "screen.open", "report", "download", "in_studies", "accept_versions", "remove", "refresh", "copy")

    class Loaded(Message):
        """The API answered."""

        def __init__(self, detail: GroupDetail, members: StudyPage, numbers: list[Distribution]) -> None:
            super().__init__()
            self.detail, self.members, self.numbers = detail, members, numbers

    def __init__(self, group: GroupLine) -> None:
        super().__init__()
        self._group = group
        self._detail: GroupDetail | None = None
        self._tab = "members"
        self.members: dict[str, StudyRow] = {}
        self.numbers: dict[str, Distribution] = {}
        self.reports: dict[str, GroupReport] = {}
        self._matched = 0
        self._gathering = False

    def body(self) -> ComposeResult:
        """Lines, names of the tabs, one table for each, and what stands for it."""
        yield Static(id="head", markup=False)
        yield Static(id="tabs", markup=False)
        for name, _ in TABS:
            yield LiveTable(id=name)
        yield EmptyState(markup=False)
        yield ErrorState(markup=False)
        yield Static(id="about", markup=False)

    def on_mount(self) -> None:
        """The members take the keys."""
        super().on_mount()
        self.open_tab("members")

    @property
    def table(self) -> LiveTable:
        """The list of the tab that is open."""
        return self.query_one(f"#{self._tab}", LiveTable)

    def the_group(self) -> GroupLine | None:
        """This group."""
        return self._detail or self._group

    def the_report(self) -> GroupReport | None:
        """The report under the cursor while the reports are shown."""
        return self.reports.get(self.table.current) if self._tab == "reports" and self.ready else None

    def removed(self) -> None:
        """Back to the list."""
        self.dismiss()

    # Drawing -------------------------------------------------------------------------------------------------------

    def open_tab(self, name: str) -> None:
        """Shows one of the lists."""
        self._tab = name
        self.draw()
        self.table.focus()

    def draw(self) -> None:
        """The group's lines and the list that is open."""
        if not self.ready:
            return
        for name, _ in TABS:
            self.set_class(self._tab == name, f"-{name}")
        self.query_one("#head", Static).update(Text("\n").join(group_lines(self, self.the_group() or self._group)))
        line = Text(" ")
        for name, title in TABS:
            line.append(f"[{title}]" if name == self._tab else f" {title} ", "bold reverse" if name == self._tab else "")
        self.query_one("#tabs", Static).update(line)
        columns, rows = self._list(self.app.size.width)
        self.table.show(columns, rows)
        broken = self._detail is None and self.trouble is not None
        self.set_class(broken, "-broken")
        self.set_class(not rows and not broken and self._detail is not None, "-empty")
        if self.trouble is not None:
            self.query_one(ErrorState).show(self.trouble)
        self.query_one(EmptyState).show(*_EMPTY[self._tab])
        self._draw_about()
        super().draw()

    def _list(self, width: int) -> tuple[list[Column], list[tuple[str, list[Text]]]]:
        if self._tab == "members":
            return _member_columns(width), [(key, self._member_cells(one)) for key, one in self.members.items()]
        if self._tab == "statistics":
            columns = _number_columns(width)
            return columns, [(key, _number_cells(one, columns[0].width)) for key, one in self.numbers.items()]
        columns = _report_columns(width)
        return columns, [(key, self._report_cells(one, columns)) for key, one in self.reports.items()]

    def _member_cells(self, row: StudyRow) -> list[Text]:
        console, at = self.console, moment(row.received_at)
        outside = sum(1 for one in self.numbers.values() if any(each.study == row.study for each in one.outliers))
        return [
            Text(tail(row.study)),
            row_state(console, row),
            Text({"bypassed": "byp"}.get(row.qc, inert(row.qc)) or "-"),
            Text(f"{outside}" if outside else "-", console.colour("!") if outside else "dim"),
            Text(day_or_time(at, console.clock.now(), console.place)),
            Text(inert(row.code or ""), no_wrap=True, overflow="ellipsis"),
        ]

    def _report_cells(self, row: GroupReport, columns: Sequence[Column]) -> list[Text]:
        console, at = self.console, moment(row.created_at)
        failed = any(one.state == "FAILED" for one in row.deliveries)
        sent = sum(one.state.startswith("SENT") for one in row.deliveries)
        ways = f"{sent} of {len(row.deliveries)} sent" if row.deliveries else "not sent"
        return [
            Text(f"v{row.version}"),
            Text(day_or_time(at, console.clock.now(), console.place)),
            Text(inert(row.reason)),
            Text(f"{row.done}/{row.studies}"),
            Text(short(row.name, columns[4].width - 1, console.look.ellipsis)),
            Text(ways, console.colour("!" if failed else "*" if row.deliveries else "-")),
        ]

    def _draw_about(self) -> None:
        """What a cell has no room for: the studies that stand out, and where a report went."""
        about, lines = self.query_one("#about", Static), []
        number, report = self.numbers.get(self.table.current), self.the_report()
        if self._tab == "statistics" and number is not None:
            named = ", ".join(f"{tail(one.study)} ({_figure(one.value)})" for one in number.outliers)
            quartiles = f"quartiles {_figure(number.lower)} and {_figure(number.upper)}"
            lines = [
                Text(f"{inert(number.label)} {inert(number.unit)}".strip() + f", {quartiles}", "bold"),
                Text(f"Outliers (Tukey): {named}" if named else "No outlier (Tukey, with four studies or more).", "dim"),
            ]
        elif report is not None:
            lines = [delivery_line(self.console, one) for one in report.deliveries] or [Text("It was sent nowhere.", "dim")]
        about.update(Text("\n").join(lines))

    def status(self) -> list[Text | str]:
        """How many of what is shown."""
        if self.trouble is not None:
            return [Text(self.trouble.what, self.console.colour("!"))]
        if self._detail is None:
            return ["loading"]
        if self._tab == "members":
            return [f"{len(self.members):,} of {self._matched:,} studies"]
        return [f"{len(self.numbers)} numbers" if self._tab == "statistics" else f"{len(self.reports)} reports"]

    # Loading -------------------------------------------------------------------------------------------------------

    def happened(self, message: Happened) -> None:
        """Something changed: ask again soon, once for many events."""
        if not self._gathering:
            self._gathering = True
            self.set_timer(GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        self.reload()

    def reload(self) -> None:
        """Asks for the group, its members and its numbers."""
        if self.console.signed_in:
            self._load()

    @work(group="load", exclusive=True)
    async def _load(self) -> None:
        client, path = self.console.client, self._group.path
        try:
            detail = await client.get(path, GroupDetail)
            members = await client.get("/api/studies", StudyPage, q=self._filter, limit=PAGE_ROWS)
            numbers = await client.get(f"{path}/statistics", list[Distribution])
        except Trouble as trouble:
            self.post_message(NotLoaded(trouble))
            return
        self.post_message(self.Loaded(detail, members, numbers))

    @on(Loaded)
    def _loaded(self, message: Loaded) -> None:
        self._detail, self.trouble = message.detail, None
        self.members = {one.study: one for one in message.members.items}
        self._matched = message.members.matched
        self.numbers = {one.column: one for one in message.numbers}
        self.reports = {one.report: one for one in message.detail.report_list}
        self.draw()

    @property
    def _filter(self) -> str:
        return f'group:"{self._group.group}"'

    # Keys ----------------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Back to the list of groups."""
        self.dismiss()

    def action_tab(self, step: int) -> None:
        """The next list, or the one before."""
        names = [name for name, _ in TABS]
        self.open_tab(names[(names.index(self._tab) + step) % len(names)])

    def action_open(self) -> None:
        """Of a member: the study. Of a number: the study that stands out most. Of a report: its formats."""
        number = self.numbers.get(self.table.current) if self._tab == "statistics" else None
        outliers = number.outliers if number is not None else []
        openers: dict[str, Callable[[], object]] = {
            "members": lambda: self._open_study(self.table.current),
            "statistics": lambda: self._open_study(outliers[0].study if outliers else ""),
            "reports": self.action_download,
        }
        openers[self._tab]()

    def _open_study(self, study: str) -> None:
        from tui.screens.study import StudyScreen

        if study:
            self.app.push_screen(StudyScreen(study, self.mode))

    async def action_in_studies(self) -> None:
        """The page of studies with this group as its filter."""
        from tui.screens.studies import StudiesPage

        await self.console.action_page("studies")
        page = self.app.screen
        if isinstance(page, StudiesPage):
            page.show(Wish(self._filter))

    def copied(self) -> str:
        """The study's identifier, or the group's name."""
        return self.table.current if self._tab == "members" else self._group.group

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_open()

    @on(DataTable.RowHighlighted)
    def _moved(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        if self.ready:
            self.draw_keys()
            self._draw_about()


def _figure(value: float) -> str:
    """Four digits that count."""
    return f"{value:.4g}"


def _member_columns(width: int) -> list[Column]:
    fixed = [
        Column("study", "ID", 9),
        Column("status", "Status", 20),
        Column("qc", "QC", 7),
        Column("outside", "Outlier", 8),
        Column("received", "Recv", 6),
    ]
    return [*fixed, Column("code", "Why", width - 4 - sum(one.width for one in fixed))]


def _number_columns(width: int) -> list[Column]:
    names = (("n", 5), ("Mean", 9), ("SD", 9), ("Median", 9), ("Least", 9), ("Most", 9), ("Outliers", 8))
    fixed = [Column(name.lower(), name, size) for name, size in names]
    return [Column("value", "Value", width - 4 - sum(one.width for one in fixed)), *fixed]


def _number_cells(one: Distribution, room: int) -> list[Text]:
    figures = (one.mean, one.deviation, one.middle, one.least, one.most)
    name = f"{one.label} ({one.unit})" if one.unit else one.label
    return [
        Text(short(name, room - 1)),
        Text(f"{one.count}"),
        *(Text(_figure(value)) for value in figures),
        Text(f"{len(one.outliers)}" if one.outliers else "-", "bold" if one.outliers else "dim"),
    ]


def _report_columns(width: int) -> list[Column]:
    fixed = [
        Column("version", "V", 4),
        Column("made", "Made", 6),
        Column("reason", "Why", 11),
        Column("done", "Done", 9),
    ]
    ways = Column("ways", "Delivery", 14)
    return [*fixed, Column("name", "Name", width - 4 - ways.width - sum(one.width for one in fixed)), ways]
