"""A table whose rows are known by key: live changes go into cells, and the cursor stays on its row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable


@dataclass(frozen=True)
class Column:
    """One column; `width` includes the blank that separates it from the next."""

    key: str
    title: str
    width: int


class KeyedText(Text):
    """The first cell of a row, which knows the row's key so that the table can be put in order."""

    row_key: str = ""


class LiveTable(DataTable[Text]):
    """A list of rows by key. The first cell of each row is the table's own: it shows the mark."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.open", "Open"),
        Binding("j", "cursor_down", "", show=False),
        Binding("k", "cursor_up", "", show=False),
        Binding("g", "scroll_top", "First row (j k h l move)", show=False),
        Binding("G", "scroll_bottom", "Last row", show=False),
        Binding("h", "scroll_left", "", show=False),
        Binding("l", "scroll_right", "", show=False),
    ]
    DEFAULT_CSS = """
    LiveTable { height: 1fr; background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
    LiveTable:focus { background-tint: transparent; }
    LiveTable > .datatable--header { background: $background; text-style: bold; color: $text-muted; }
    LiveTable > .datatable--cursor { background: $block-cursor-blurred-background; text-style: bold; }
    LiveTable:focus > .datatable--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    LiveTable.-stale { opacity: 60%; }
    """

    def __init__(self, id: str) -> None:
        super().__init__(id=id, cell_padding=0, cursor_type="row", cursor_foreground_priority="css")
        self._shape: tuple[Column, ...] = ()
        self._order: list[str] = []
        self.marked: set[str] = set()

    @property
    def keys(self) -> list[str]:
        """The rows' keys from top to bottom."""
        return self._order

    @property
    def current(self) -> str:
        """The key of the row under the cursor, or empty."""
        row = self.cursor_coordinate.row
        return self._order[row] if 0 <= row < len(self._order) else ""

    def show(self, columns: Sequence[Column], rows: Sequence[tuple[str, Sequence[Text]]]) -> None:
        """Shows these rows in this order. Cells that did not change are left alone; the cursor keeps its row and its line."""
        current, line = self.current, self.cursor_coordinate.row - self.scroll_offset.y
        before = self._order
        if tuple(columns) != self._shape:
            self._reshape(columns)
            before = []
        wanted = [key for key, _ in rows]
        known = set(before)
        for gone in known.difference(wanted):
            self.remove_row(gone)
        for key, cells in rows:
            self._put(key, cells, key in known)
        if wanted != before:
            self._arrange(wanted, current, line)
        self.marked &= set(wanted)

    def toggle_mark(self) -> None:
        """Marks the row under the cursor, or takes its mark away, and goes one row down."""
        key = self.current
        if key:
            self.mark(key, key not in self.marked)
            self.action_cursor_down()

    def mark(self, key: str, marked: bool) -> None:
        """Marks one row."""
        (self.marked.add if marked else self.marked.discard)(key)
        self.update_cell(key, "mark", self._mark_cell(key))

    def mark_all(self) -> None:
        """Marks all rows, or none if all are marked."""
        everything = len(self.marked) < len(self._order)
        for key in self._order:
            self.mark(key, everything)

    def go_to(self, key: str) -> bool:
        """Moves the cursor to a row; False if it is not here."""
        if key not in self._order:
            return False
        self.move_cursor(row=self._order.index(key), animate=False)
        return True

    def _reshape(self, columns: Sequence[Column]) -> None:
        self.clear(columns=True)
        self._shape = tuple(columns)
        self.add_column("", key="mark", width=3)
        for column in columns:
            self.add_column(Text(column.title), key=column.key, width=column.width)

    def _put(self, key: str, cells: Sequence[Text], known: bool) -> None:
        if not known:
            self.add_row(self._mark_cell(key), *cells, key=key)
            return
        for column, cell in zip(self._shape, cells, strict=True):
            shown = self.get_cell(key, column.key)
            # Texts are equal by letters alone; a new theme changes only their style.
            if shown != cell or shown.style != cell.style:
                self.update_cell(key, column.key, cell)

    def _arrange(self, wanted: list[str], current: str, line: int) -> None:
        ranks = {key: rank for rank, key in enumerate(wanted)}
        self._order = wanted
        self.sort("mark", key=lambda cell: ranks[cell.row_key])
        if current in ranks:
            row = ranks[current]
            self.move_cursor(row=row, animate=False, scroll=False)
            self.scroll_to(y=max(0, row - line), animate=False, immediate=True)

    def _mark_cell(self, key: str) -> KeyedText:
        cell = KeyedText(" * " if key in self.marked else "   ", "bold")
        cell.row_key = key
        return cell
