"""Groups: every cohort with how far it is, when its next report comes, and how the last one went."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from tui.clock import age, day_or_time, moment
from tui.cohorts import GroupDetail, GroupLine, Uploaded
from tui.inert import inert, short
from tui.messages import Happened, Went, WentWrong
from tui.screens.ask_group import AskArchives, AskGroup, NewGroup
from tui.screens.group_actions import GroupActions
from tui.screens.list_page import Fetched, ListPage, Wish
from tui.trouble import Trouble
from tui.widgets.live_table import Column

_CHANGES = frozenset(
    {
        *("group-completed", "group-report-made", "group-report-sent", "group-report-failed", "study-grouped"),
        *("order-moved", "order-opened", "order-failed", "study-deleted", "settings-changed"),
    }
)
_WAYS = {"sent": ("●", "*"), "failed": ("▲", "!"), "waiting": ("↑", "^")}
BAR = 6


class GroupsPage(GroupActions, ListPage[GroupLine]):
    """The list of groups."""

    MODE = "groups"
    CSS_PATH = "groups.tcss"
    FILTER_EXAMPLE = "a part of the name, such as PARK"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New"),
        Binding("U", "upload", "Upload cohort"),
    ]
    KEYS = (
        "screen.open",
        "new",
        "upload",
        "report",
        "download",
        "filter",
        "accept_versions",
        "remove",
        "clear_filter",
        "copy",
        "refresh",
    )

    class Sent(Message):
        """One ZIP of an upload has come through, or has not."""

        def __init__(self, number: int, line: str, *, good: bool) -> None:
            super().__init__()
            self.number, self.line, self.good = number, line, good

    def __init__(self) -> None:
        super().__init__()
        self.uploading = ""
        """How far the upload is that this console does."""
        self._lines: list[str] = []
        self._archives = 0

    def body(self) -> ComposeResult:
        """The list, and below it the group under the cursor."""
        yield from super().body()
        yield Static(id="about", markup=False)

    def columns(self, width: int) -> Sequence[Column]:
        """76 cells at 80 columns; a wider terminal shows longer names and products."""
        fixed = [
            Column("studies", "Studies", 8),
            Column("done", "Done", BAR + 7),
            Column("failed", "Failed", 7),
            Column("last", "Last report", 15),
            Column("next", "Next", 12),
        ]
        rest = width - 4 - sum(one.width for one in fixed)
        name = max(12, rest * 3 // 5)
        return [Column("group", "Group", name), Column("products", "Products", rest - name), *fixed]

    def cells(self, row: GroupLine, columns: Sequence[Column]) -> list[Text]:
        """One group's cells."""
        return [self._cell(row, column) for column in columns]

    def _cell(self, row: GroupLine, column: Column) -> Text:
        room, console = column.width - 1, self.console
        match column.key:
            case "group":
                return Text(short(row.group, room, console.look.ellipsis))
            case "products":
                style = console.colour("!") if row.newer else ""
                return Text(short(",".join(row.products), room, console.look.ellipsis), style)
            case "studies":
                return Text(f"{row.studies:,}")
            case "done":
                bar = Text(console.look.bar(row.percent, BAR), console.colour("*" if row.complete else "^"))
                return bar.append(f" {row.done:,}", "")
            case "failed":
                return Text(f"{row.failed:,}", console.colour("X") if row.failed else "dim")
            case "last":
                return self._last(row)
        return self._coming(row)

    def _last(self, row: GroupLine) -> Text:
        at, console = moment(row.reported_at), self.console
        if at is None:
            return Text("never", "dim")
        now = console.clock.now()
        told = Text(age(at, now) if console.preferences.relative_times else day_or_time(at, now, console.place))
        if row.delivered in _WAYS:
            glyph, plain = _WAYS[row.delivered]
            told.append(f" {console.look.glyph(glyph, plain)} {row.delivered}", console.colour(plain))
        return told

    def _coming(self, row: GroupLine) -> Text:
        at = moment(row.next_at)
        if at is not None:
            return Text(f"{at.astimezone(self.console.place):%m-%d %H:%M}")
        return Text("when done" if row.sends_on_completion else "by hand", "dim")

    def key_of(self, row: GroupLine) -> str:
        """The group's name."""
        return row.group

    async def fetch(self, wish: Wish) -> Fetched[GroupLine]:
        """All groups that are sought; there are few enough for one page."""
        found = await self.console.client.get("/api/groups", list[GroupLine], q=wish.filter)
        return Fetched(found, None, max(self.total, len(found)) if wish.filter else len(found), len(found))

    def nothing_yet(self) -> tuple[str, str, str]:
        """Says what a group is."""
        return "No groups.", "All studies of a group use the same products, so that their numbers belong in one table.", "n new"

    def happened(self, message: Happened) -> None:
        """Only what concerns groups."""
        if message.event.name in _CHANGES:
            super().happened(message)

    def status(self) -> list[Text | str]:
        """How many, and how far an upload is."""
        return [*super().status(), self.uploading]

    def draw(self) -> None:
        """The list, and the group under the cursor."""
        super().draw()
        if self.ready:
            self._draw_about()

    def cursor_moved(self) -> None:
        """Another group is under the cursor."""
        super().cursor_moved()
        if self.ready:
            self._draw_about()

    def _draw_about(self) -> None:
        group = self.the_group()
        lines = group_lines(self, group) if group is not None else []
        self.query_one("#about", Static).update(Text("\n").join(lines))

    def the_group(self) -> GroupLine | None:
        """The group under the cursor."""
        return self.rows.get(self.table.current) if self.ready else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One upload at a time; marks mean nothing here."""
        if action in {"mark", "mark_all", "mark_on"}:
            return False
        if action == "upload":
            return self.the_group() is not None and not self.uploading
        return super().check_action(action, parameters)

    # Keys ----------------------------------------------------------------------------------------------------------

    def action_open(self) -> None:
        """Its members, statistics and reports."""
        from tui.screens.group import GroupScreen

        group = self.the_group()
        if group is not None:
            self.app.push_screen(GroupScreen(group))

    def action_new(self) -> None:
        """Asks for name and products."""

        def given(asked: object) -> None:
            if isinstance(asked, NewGroup):
                self._create(asked)

        self.app.push_screen(AskGroup(), given)

    @work(group="change")
    async def _create(self, asked: NewGroup) -> None:
        body = {"group": asked.name, "products": list(asked.products)}
        try:
            made = await self.console.client.post("/api/groups", GroupDetail, body)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went(f"Group {made.group} uses {', '.join(f'{one} {v}' for one, v in made.products.items())}."))

    def action_upload(self) -> None:
        """Asks for the folder with one ZIP for each study."""
        group = self.the_group()
        if group is None:
            return

        def given(found: object) -> None:
            if isinstance(found, list):
                self._lines, self._archives = [], len(found)
                self.uploading = f"uploading 1 of {len(found)}"
                self._upload(group, found)
                self.draw()

        self.app.push_screen(AskArchives(group.group), given)

    @work(group="upload")
    async def _upload(self, group: GroupLine, archives: list[Path]) -> None:
        """A ZIP that is refused is named with the reason and stops no other."""
        client = self.console.client
        for number, archive in enumerate(archives, start=1):
            try:
                found = await client.upload(f"{group.path}/studies", archive, Uploaded, "application/zip")
                line, good = f"{found.stored:,} stored" + (f", {found.left_out:,} left out" if found.left_out else ""), True
            except Trouble as trouble:
                line, good = " ".join(part for part in (trouble.what, trouble.why) if part), False
            except OSError as fault:
                line, good = f"It cannot be read here: {fault.strerror}.", False
            self.post_message(self.Sent(number, f"{archive.name}: {line}", good=good))

    @on(Sent)
    def _sent(self, message: Sent) -> None:
        glyph, plain = ("●", "*") if message.good else ("✖", "X")
        self._lines.append(f"{self.console.look.glyph(glyph, plain)} {inert(message.line)}")
        if message.number < self._archives:
            self.uploading = f"uploading {message.number + 1} of {self._archives}"
            self.draw_status()
            return
        from tui.screens.dialogs import TextDialog

        self.uploading = ""
        self.reload()
        self.app.push_screen(TextDialog("Upload of the cohort", Text("\n".join(self._lines)), wide=True))


def group_lines(page: GroupActions, group: GroupLine) -> list[Text]:
    """A group in a few lines: how far, which products, when the next report comes."""
    console = page.console
    counts = [f"{group.studies:,} studies", f"{group.done:,} done", f"{group.failed:,} failed"]
    counts += [f"{group.cancelled:,} cancelled"] if group.cancelled else []
    counts += [f"{group.open - group.waiting:,} at work"] if group.open > group.waiting else []
    head = Text(f"{inert(group.group)} {console.look.dot} " + f" {console.look.dot} ".join(counts), "bold")
    if group.waiting:
        head.append(f" {console.look.dot} {group.waiting:,} wait for a person", console.colour("!"))
    products = Text("Products  " + ", ".join(f"{inert(one)} {inert(version)}" for one, version in group.products.items()))
    if group.newer:
        newer = ", ".join(f"{inert(one)} {inert(version)}" for one, version in group.newer.items())
        products.append(f"   installed is {newer}: further studies wait until e accepts it", console.colour("!"))
    made = "sent" if group.sends_on_completion else "made"
    scheduled = "sent on schedule; " if group.next_at else ""
    return [head, products, Text(f"Report    {scheduled}{made} when all have ended; R makes one now", "dim")]
