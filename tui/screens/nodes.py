"""PACS nodes: which there are, whether they answer, and how far the pulls from them are."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable, Static

from tui.clock import age, day_or_time, moment
from tui.contract import SettingsView, tail
from tui.inert import fit, inert
from tui.messages import Happened, NotLoaded, Went, WentWrong
from tui.pacs import NodeView, PullList, PullView, Sought
from tui.screens.page import Page
from tui.screens.settings_test import run
from tui.trouble import Trouble
from tui.widgets.cells import state_text
from tui.widgets.live_table import Column, LiveTable
from tui.widgets.states import EmptyState, ErrorState

EVERY_S = 2
"""While a pull is open, how far it is is asked this often."""
_CHANGES = frozenset({"pull-done", "pull-failed", "settings-changed", "study-incomplete"})
_STATES = {
    "PENDING": ("◌", ".", "Waiting"),
    "RUNNING": ("◐", "~", "Pulling"),
    "DONE": ("●", "*", "Done"),
    "FAILED": ("✖", "X", "Failed"),
    "CANCELLED": ("⌧", "-", "Cancelled"),
}
_MOST_PULLS = 100


class NodesPage(Page):
    """Nodes above, the newest pulls below."""

    MODE = "system"
    CSS_PATH = "nodes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Find studies", key_display="/"),
        Binding("T", "test", "Test"),
        Binding("x", "cancel", "Cancel pull"),
        Binding("tab", "other_list", "Nodes or pulls", priority=True),
    ]
    KEYS = ("back", "find", "test", "screen.open", "other_list", "cancel", "refresh", "copy")

    class Loaded(Message):
        """The API answered."""

        def __init__(self, nodes: list[NodeView], pulls: list[PullView]) -> None:
            super().__init__()
            self.nodes, self.pulls = nodes, pulls

    class Tested(Message):
        """A node answered the test, or did not."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[str, NodeView] = {}
        self.pulls: dict[str, PullView] = {}
        self._loaded_at: datetime | None = None
        self._asked_at: datetime | None = None

    def body(self) -> ComposeResult:
        """Two lists with their headings, or what stands for them."""
        yield LiveTable(id="nodes")
        yield Static(id="heading", markup=False)
        yield LiveTable(id="pulls")
        yield Static(id="about", markup=False)
        yield EmptyState(markup=False)
        yield ErrorState(markup=False)

    def on_mount(self) -> None:
        """The nodes take the keys."""
        super().on_mount()
        self._table("nodes").focus()
        self.draw()

    def _table(self, name: str) -> LiveTable:
        return self.query_one(f"#{name}", LiveTable)

    @property
    def node(self) -> NodeView | None:
        """The node under the cursor."""
        return self.nodes.get(self._table("nodes").current) if self.ready else None

    @property
    def pull(self) -> PullView | None:
        """The pull under the cursor, while that list has the keys."""
        table = self._table("pulls") if self.ready else None
        return self.pulls.get(table.current) if table is not None and table.has_focus else None

    # Drawing -------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Both lists."""
        if not self.ready:
            return
        width = self.app.size.width
        self._table("nodes").show(_node_columns(width), [(name, _node_cells(one)) for name, one in self.nodes.items()])
        columns = _pull_columns(width)
        self._table("pulls").show(columns, [(key, self._pull_cells(one, columns)) for key, one in self.pulls.items()])
        nothing = not self.nodes and not self.pulls
        self.set_class(nothing and self.trouble is not None, "-broken")
        self.set_class(nothing and self.trouble is None and self._loaded_at is not None, "-empty")
        if self.trouble is not None:
            self.query_one(ErrorState).show(self.trouble)
        self.query_one(EmptyState).show(
            "No PACS node yet.",
            "Settings, PACS nodes, enters one: host, port, AE titles, or the URL of a DICOMweb archive.",
            "",
        )
        self.query_one("#heading", Static).update(Text(" Pulls", "bold") if self.pulls else Text(" No pulls yet", "dim"))
        self._draw_about()
        super().draw()

    def _draw_about(self) -> None:
        """What there is to say of the pull under the cursor, where a cell has no room for it."""
        one = self.pull
        said = "" if one is None else inert(one.detail)
        who = f" asked by {inert(one.owner)}" if one is not None and one.owner else ""
        head = "" if one is None else f"{one.level.lower()} from {inert(one.node)}{who}, attempt {one.attempt}"
        self.query_one("#about", Static).update(Text("\n").join([Text(head, "dim"), Text(said)]))

    def _pull_cells(self, one: PullView, columns: Sequence[Column]) -> list[Text]:
        now, look = self.console.clock.now(), self.console.look
        at = moment(one.created_at)
        relative = self.console.preferences.relative_times
        glyph, plain, word = _STATES.get(one.state, ("?", "?", one.state))
        cells = {
            "pull": Text(tail(one.pull)),
            "node": Text(fit(one.node, columns[1].width - 1, look.ellipsis).rstrip()),
            "state": state_text(look, glyph, plain, word, dark=self.console.current_theme.dark),
            "progress": self._progress(one),
            "study": Text(tail(one.study) or "-"),
            "why": Text(inert(one.reason)),
            "asked": Text(age(at, now) if relative else day_or_time(at, now, self.console.place)),
        }
        return [cells[column.key] for column in columns]

    def _progress(self, one: PullView) -> Text:
        if one.state == "PENDING" and not one.completed:
            return Text("-", "dim")
        total = one.total
        if one.ended or total is None:
            return Text(f"{one.completed:,} came" + (f", {one.failed:,} failed" if one.failed else ""))
        share = 100 * one.completed / total if total else 0
        bar = Text(self.console.look.bar(share, 8), self.console.colour("^"))
        return bar.append(f" {one.completed:,} of {total:,}", "")

    def status(self) -> list[Text | str]:
        """How many nodes, and how many pulls are open."""
        if self.trouble is not None:
            return [Text(self.trouble.what, self.console.colour("!"))]
        if self._loaded_at is None:
            return ["loading"]
        running = sum(not one.ended for one in self.pulls.values())
        return [f"{len(self.nodes)} node{'' if len(self.nodes) == 1 else 's'}", f"{running} open" if running else ""]

    # Loading -------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Follows open pulls while this page is visible."""
        super().tick()
        now = self.console.clock.now()
        due = self._asked_at is None or (now - self._asked_at).total_seconds() >= EVERY_S
        if self.is_current and due and any(not one.ended for one in self.pulls.values()):
            self.reload()

    def happened(self, message: Happened) -> None:
        """Pulls that ended, nodes that were entered."""
        if message.event.name in _CHANGES:
            self.reload()

    def reload(self) -> None:
        """Asks for nodes and pulls."""
        self._asked_at = self.console.clock.now()
        if self.console.signed_in:
            self._load()

    @work(group="load", exclusive=True)
    async def _load(self) -> None:
        client = self.console.client
        try:
            nodes = await client.get("/api/nodes", list[NodeView])
            pulls = await client.get("/api/pulls", PullList, limit=_MOST_PULLS)
        except Trouble as trouble:
            self.post_message(NotLoaded(trouble))
            return
        self.post_message(self.Loaded(nodes, pulls.items))

    @on(Loaded)
    def _loaded(self, message: Loaded) -> None:
        self.nodes = {one.name: one for one in message.nodes}
        self.pulls = {one.pull: one for one in message.pulls}
        self.trouble, self._loaded_at = None, self.console.clock.now()
        self.draw()

    # Keys ----------------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Back to the page before."""
        self.dismiss()

    def action_other_list(self) -> None:
        """The nodes or the pulls have the keys."""
        self._table("nodes" if self._table("pulls").has_focus else "pulls").focus()
        self._draw_about()

    def action_open(self) -> None:
        """Of a node: looks for studies. Of a pull: its study, once something of it is here."""
        if not self._table("pulls").has_focus:
            self.action_find()
            return
        from tui.screens.study import StudyScreen

        if self.pull is not None and self.pull.study:
            self.app.push_screen(StudyScreen(self.pull.study, self.mode))

    def action_find(self) -> None:
        """Asks what to look for, then the node."""
        from tui.screens.ask_node import AskNode
        from tui.screens.found import FoundPage

        node = self.node
        if node is None:
            return

        def given(sought: object) -> None:
            if isinstance(sought, Sought):
                self.app.push_screen(FoundPage(node, sought))

        self.app.push_screen(AskNode(node.name, Sought(modality="MR")), given)

    def action_test(self) -> None:
        """Asks the node for C-ECHO (DICOMweb: for a study that it does not have) with the saved settings."""
        if self.node is not None:
            self.say(f"Testing {inert(self.node.name)}; it answers within 15 seconds.")
            self._test(self.node)

    @work(group="test", exclusive=True)
    async def _test(self, node: NodeView) -> None:
        client = self.console.client
        try:
            saved = (await client.get("/api/settings", SettingsView)).settings.get("nodes", {})
            entries = [*saved.get("nodes", []), *saved.get("web", [])]
            asked = [(node.name, one) for one in entries if one.get("name") == node.name]
            text = await run(client, "/api/settings/test/node", asked)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(self.Tested(text))

    @on(Tested)
    def _tested(self, message: Tested) -> None:
        from tui.screens.dialogs import TextDialog

        self.app.push_screen(TextDialog("Test of the node", Text(inert(message.text, lines=True))))

    def action_cancel(self) -> None:
        """Stops a pull, after a question."""
        from tui.screens.dialogs import Confirm

        one = self.pull
        if one is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._cancel(one.pull)

        effect = f"{one.node} is asked to send no more. The {one.completed:,} instances that have come stay."
        self.app.push_screen(Confirm(f"Cancel pull {tail(one.pull)}?", effect, "Cancel the pull", "Keep"), answered)

    @work(group="change")
    async def _cancel(self, pull: str) -> None:
        try:
            found = await self.console.client.post(f"/api/pulls/{pull}/cancel", PullView)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went("The pull is cancelled." if found.state == "CANCELLED" else "The pull is asked to stop."))

    def copied(self) -> str:
        """The pull's identifier, or the node's name."""
        if self.pull is not None:
            return self.pull.pull
        return self.node.name if self.node is not None else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tests are for administrators; only an open pull can be cancelled."""
        if action in {"find", "test"}:
            return self.node is not None and (action == "find" or self.console.me.role in {"admin", ""})
        if action == "cancel":
            return self.pull is not None and not self.pull.ended
        return super().check_action(action, parameters)

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


def _node_columns(width: int) -> list[Column]:
    rest = width - 4 - 10 - 18 - 6 - 10
    name = min(24, rest * 2 // 5)
    return [
        Column("name", "Node", name),
        Column("kind", "Gives by", 10),
        Column("ae", "AE title", 18),
        Column("tls", "TLS", 6),
        Column("complete", "Complete?", 10),
        Column("address", "Address", rest - name),
    ]


def _node_cells(one: NodeView) -> list[Text]:
    values = (
        one.name,
        one.words,
        one.called_ae or "-",
        "yes" if one.tls else "no",
        one.completeness or "-",
        f"{one.host}:{one.port}",
    )
    return [Text(inert(value), no_wrap=True, overflow="ellipsis") for value in values]


def _pull_columns(width: int) -> list[Column]:
    wide = width >= 100
    rest = width - 4 - 9 - 13 - 9 - 6 - (9 if wide else 0)
    progress = max(24, rest // 2)
    columns = [
        Column("pull", "Pull", 9),
        Column("node", "Node", rest - progress),
        Column("state", "State", 13),
        Column("progress", "Instances", progress),
        Column("study", "Study", 9),
        Column("asked", "Asked", 6),
    ]
    return [*columns, Column("why", "Why", 9)] if wide else columns
