"""A page that is a list: paged and filtered by the API, kept fresh without moving the cursor."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable

from tui.clock import age
from tui.messages import Happened, NotLoaded
from tui.screens.page import Page
from tui.trouble import Problem, Trouble
from tui.widgets.filter_bar import FilterBar
from tui.widgets.lines import Hint
from tui.widgets.live_table import Column, LiveTable
from tui.widgets.states import EmptyState, ErrorState

Row = TypeVar("Row")
PAGE_ROWS = 200
GATHER_S = 0.3
"""Events that come within this time lead to one request."""


@dataclass(frozen=True)
class Wish:
    """What a list should show: which filter, which page."""

    filter: str = ""
    cursors: tuple[str, ...] = ("",)
    """Cursors of the pages up to this one; the last is this page's."""


@dataclass(frozen=True)
class Fetched(Generic[Row]):
    """What the API sent."""

    items: list[Row]
    next: str | None
    total: int
    matched: int
    total_exact: bool = True
    matched_exact: bool = True


class ListPage(Page, Generic[Row]):
    """Studies and results are such pages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("c", "clear_filter", "Clear filter"),
        Binding("space", "mark", "Mark"),
        Binding("ctrl+a", "mark_all", "Mark all"),
        Binding("shift+down", "mark_on(1)", "Mark down", show=False),
        Binding("shift+up", "mark_on(-1)", "Mark up", show=False),
        Binding("right_square_bracket", "next_page", "Next page", key_display="]"),
        Binding("left_square_bracket", "previous_page", "Page before", key_display="["),
    ]

    FILTER_EXAMPLE: ClassVar[str] = "status:failed,qc_failed  product:dti  received>2d"

    @dataclass
    class Loaded(Message):
        """A page of the list came."""

        wish: Wish
        page: Fetched[object]

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Row] = {}
        self.shown = Wish()
        self.total = self.matched = 0
        self.total_exact = self.matched_exact = True
        self._loaded_at: datetime | None = None
        self._next: str | None = None
        self._gathering = False

    # What a list is about ------------------------------------------------------------------------------------------

    def columns(self, width: int) -> Sequence[Column]:
        """The columns for a terminal of `width`."""
        raise NotImplementedError

    def cells(self, row: Row, columns: Sequence[Column]) -> list[Text]:
        """One row's cells."""
        raise NotImplementedError

    def key_of(self, row: Row) -> str:
        """One row's identifier."""
        raise NotImplementedError

    async def fetch(self, wish: Wish) -> Fetched[Row]:
        """Asks the API."""
        raise NotImplementedError

    def nothing_yet(self) -> tuple[str, str, str]:
        """Title, hint and key line of the empty list."""
        raise NotImplementedError

    # Drawing -------------------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The filter above, then the list or what stands for it."""
        yield FilterBar(self.FILTER_EXAMPLE)
        yield LiveTable(id="list")
        yield EmptyState(markup=False)
        yield ErrorState(markup=False)

    @property
    def table(self) -> LiveTable:
        """The list's table."""
        return self.query_one(LiveTable)

    def on_mount(self) -> None:
        """The list takes the keys."""
        super().on_mount()
        self.table.focus()
        self.draw()

    def draw(self) -> None:
        """The list, or what stands for it, and the lines around."""
        if not self.ready:
            return
        columns = self.columns(self.app.size.width)
        self.table.show(columns, [(key, self.cells(row, columns)) for key, row in self.rows.items()])
        broken = self.trouble is not None and not self.rows
        self.set_class(broken, "-broken")
        self.set_class(not broken and not self.rows and self._loaded_at is not None, "-empty")
        self.table.set_class(self.trouble is not None, "-stale")
        if self.trouble is not None and broken:
            self.query_one(ErrorState).show(self.trouble)
        elif not self.rows:
            self._draw_empty()
        super().draw()

    def _draw_empty(self) -> None:
        if self.shown.filter:
            title = f"0 of {self.total:,} match." if self.total else "Nothing matches."
            self.query_one(EmptyState).show(title, "", "c clears the filter")
        else:
            self.query_one(EmptyState).show(*self.nothing_yet())

    def hints(self) -> list[Hint]:
        """While a filter is typed, the keys of the filter bar."""
        if self.query_one(FilterBar).typing:
            return [Hint(self.console.look.enter, "Apply", ""), Hint("Esc", "Back to the list", "")]
        return super().hints()

    def status(self) -> list[Text | str]:
        """How many, how many marked, and how old."""
        if self.trouble is not None and self._loaded_at is not None:
            old = age(self._loaded_at, self.console.clock.now())
            return [Text(f"data {old} old", self.console.colour("!")), self.trouble.what] if self.rows else []
        before = (len(self.shown.cursors) - 1) * PAGE_ROWS
        count = f"{len(self.rows):,}" if not before and not self._next else f"{before + 1:,}-{before + len(self.rows):,}"
        marked = len(self.table.marked)
        if self._loaded_at is None:
            return ["loading"]
        least = "" if self.matched_exact else " or more"
        matched = f"{self.matched:,}{least} matching of " if self.shown.filter and self.matched > len(self.rows) else ""
        about = "" if self.total_exact else "about "
        return [f"{count} of {matched}{about}{self.total:,}", f"{marked} marked" if marked else ""]

    # Loading -------------------------------------------------------------------------------------------------------

    def show(self, wish: Wish) -> None:
        """Shows something else, whatever was being asked for."""
        self.shown = wish
        self.reload()

    def reload(self) -> None:
        """The same page again."""
        if self.console.signed_in:
            self._load(self.shown)

    @work(group="load", exclusive=True)
    async def _load(self, wish: Wish) -> None:
        try:
            page = await self.fetch(wish)
        except Trouble as trouble:
            self.post_message(NotLoaded(trouble))
            return
        self.post_message(
            self.Loaded(
                wish, Fetched(list(page.items), page.next, page.total, page.matched, page.total_exact, page.matched_exact)
            )
        )

    @on(Loaded)
    def _loaded(self, message: Loaded) -> None:
        if not self.ready:
            return
        other = message.wish != self.shown
        self.shown, self.trouble = message.wish, None
        self._loaded_at = self.console.clock.now()
        page = message.page
        self._next, self.total, self.matched = page.next, page.total, page.matched
        self.total_exact, self.matched_exact = page.total_exact, page.matched_exact
        self.rows = {self.key_of(row): row for row in page.items}  # type: ignore[arg-type, misc]
        bar = self.query_one(FilterBar)
        if other or bar.in_force != self.shown.filter or bar.has_class("-wrong"):
            bar.accepted(self.shown.filter)
            if other:
                self.table.move_cursor(row=0, animate=False)
                self.table.focus()
        self.draw()

    def not_loaded(self, trouble: Trouble) -> None:
        """A filter that cannot be understood is shown where it was typed."""
        if not self.ready:
            return
        if isinstance(trouble, Problem) and trouble.code == "filter":
            self.query_one(FilterBar).refused(trouble.what, trouble.position)
            return
        super().not_loaded(trouble)

    def happened(self, message: Happened) -> None:
        """Something changed: ask again soon, once for many events."""
        if not self._gathering:
            self._gathering = True
            self.set_timer(GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        self.reload()

    # Keys ----------------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Opens the filter bar."""
        self.query_one(FilterBar).open()

    @on(FilterBar.Asked)
    def _asked(self, message: FilterBar.Asked) -> None:
        if message.text == self.shown.filter:
            self.query_one(FilterBar).accepted(message.text)
            self.table.focus()
        self._load(Wish(filter=message.text))

    @on(FilterBar.Left)
    def _left(self) -> None:
        self.table.focus()

    def action_clear_filter(self) -> None:
        """Shows everything again."""
        self._load(Wish())

    def action_next_page(self) -> None:
        """The next 200."""
        if self._next:
            self._load(Wish(self.shown.filter, (*self.shown.cursors, self._next)))

    def action_previous_page(self) -> None:
        """The 200 before."""
        if len(self.shown.cursors) > 1:
            self._load(Wish(self.shown.filter, self.shown.cursors[:-1]))

    def action_mark(self) -> None:
        """Marks the row, or takes the mark away."""
        self.table.toggle_mark()
        self.draw_status()

    def action_mark_all(self) -> None:
        """Marks every row of this page, or none."""
        self.table.mark_all()
        self.draw_status()

    def action_mark_on(self, step: int) -> None:
        """Marks this row and the next in the cursor's direction."""
        table = self.table
        if table.current:
            table.mark(table.current, True)
            (table.action_cursor_down if step > 0 else table.action_cursor_up)()
            table.mark(table.current, True)
        self.draw_status()

    def action_open(self) -> None:
        """Opens what is under the cursor."""

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_open()

    @on(DataTable.RowHighlighted)
    def _moved(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self.cursor_moved()

    def cursor_moved(self) -> None:
        """The cursor is on another row; other keys may apply."""
        if self.ready:
            self.draw_keys()

    def targets(self) -> list[Row]:
        """The marked rows, or the one under the cursor."""
        keys = [key for key in self.table.keys if key in self.table.marked] or [self.table.current]
        return [self.rows[key] for key in keys if key in self.rows]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Paging and clearing are offered where they do something."""
        if action == "filter":
            # A priority key, so that what is typed right behind it goes into the bar and is not taken for commands.
            return not self.query_one(FilterBar).typing
        if action == "next_page":
            return bool(self._next)
        if action == "previous_page":
            return len(self.shown.cursors) > 1
        if action == "clear_filter":
            return bool(self.shown.filter)
        return super().check_action(action, parameters)

    def copied(self) -> str:
        """The identifiers of the marked rows, or of the one under the cursor."""
        return " ".join(self.key_of(row) for row in self.targets())
