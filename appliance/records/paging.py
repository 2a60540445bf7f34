"""One page of a list, filtered, sorted and found by keyset.

A page is asked for by the sort value and identifier of the last row before it: page 500 costs what page 1 costs, and rows that
come meanwhile shift nothing. To jump it may be asked for by its number too: then the rows before it are passed over.

Small tables are counted. In large ones a filter by state follows the index of states; any other looks at some thousand rows in
the order of the list, which fill a page where many match; where few do, its quick ways (trigrams, identifiers) lead to them.
What was not counted is told as the least there are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import msgspec

from appliance.errors import Rejected
from appliance.records import narrow
from appliance.records.engine import Records
from appliance.records.filter import Clause, compile_filter
from appliance.records.listed import ByState, Listed
from appliance.records.marks import mark_of, read_mark
from appliance.records.narrow import FLAGGED, Narrow, Rows

MOST_ROWS = 500
COUNTED = 10_000
"""Tables of up to so many rows are counted; of larger ones an estimate is told."""
WALKED = 1000
"""In tables of up to so many rows every row that matches is looked at and counted; in larger ones that takes too long."""
VERY_FEW = 300
"""A quick way that leads to so few rows is taken at once."""
STRETCH = 3000
"""So many rows are walked before quick ways that lead to more are asked."""
FEW = 5000
"""Up to so many rows that a quick way leads to are counted."""
MOST = 60_000
"""Never more rows than these are looked at by a quick way."""
WEIGHT = 3
"""A row that a quick way leads to costs as much as so many rows of a walk."""

Row = TypeVar("Row")


class BadSort(Rejected):
    """This list cannot be sorted so; it can by {sorts}, each with - before it for the other direction."""

    code = "sort"
    next_step = "Choose one of those."


class PageTwice(Rejected):
    """A page is asked for by its number or by a cursor, not by both."""

    code = "page-twice"
    next_step = "Leave one of them out."


class Page(msgspec.Struct, Generic[Row], kw_only=True, frozen=True):
    """Some rows, the mark of the next page (None: that was all), how many match and how many there are.

    Where they are not exact, `matched` is the least there are and `total` an estimate.
    """

    items: list[Row]
    next: str | None
    matched: int
    total: int
    matched_exact: bool = True
    total_exact: bool = True


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """Which page of a list somebody wants."""

    filter: str = ""
    sort: str = ""
    cursor: str = ""
    limit: int = 200
    number: int = 1
    """Of the page, from 1; with a cursor always 1."""


@dataclass(frozen=True, slots=True)
class _Count:
    rows: int
    exact: bool


_Found = tuple[Any, ...]
"""The columns of the list, then how many there are (where one query tells all), how many match, sort value and identifier."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """A page that was understood."""

    listed: Listed
    condition: Clause
    sort: str
    column: str
    down: bool
    mark: tuple[int | str, str] | None
    limit: int
    skip: int
    """Rows before the page; 0 with a mark."""

    @property
    def direction(self) -> str:
        return "DESC" if self.down else "ASC"

    def after(self, column: str, identifier: str) -> Clause:
        """Where this page begins."""
        if self.mark is None:
            return Clause("")
        return Clause(f"({column}, {identifier}) {'<' if self.down else '>'} ({{}}, {{}})", self.mark)

    def order(self, column: str, identifier: str) -> str:
        return f"ORDER BY {column} {self.direction}, {identifier} {self.direction}"

    @property
    def cut(self) -> Clause:
        """The rows of the page and one more; an engine that reads OFFSET goes another way even for none."""
        if not self.skip:
            return Clause("LIMIT {}", (self.limit + 1,))
        return Clause("LIMIT {} OFFSET {}", (self.limit + 1, self.skip))

    @property
    def whole(self) -> bool:
        """Whether the page is the first one."""
        return self.mark is None and not self.skip

    def at_least(self, rows: list[_Found]) -> _Count:
        """How many match, for all that a page tells."""
        ends = self.mark is None and len(rows) <= self.limit and (bool(rows) or not self.skip)
        return _Count(self.skip + len(rows), exact=ends)


async def page_of(
    records: Records, wanted: Listed, asked: Asked, now: int, read: Callable[[list[_Found]], list[Row]]
) -> Page[Row]:
    """A page of a list, its rows as `read` makes them of its columns; raises `FilterProblem`, `BadSort`, `BadCursor`,
    `PageTwice`.
    """
    if asked.cursor and asked.number > 1:
        raise PageTwice()
    sort = asked.sort or "-" + next(iter(wanted.sorts))
    column = wanted.sorts.get(sort.removeprefix("-"))
    if column is None:
        raise BadSort(sorts=", ".join(wanted.sorts))
    condition = compile_filter(asked.filter, wanted.words, now)
    limit = min(max(asked.limit, 1), MOST_ROWS)
    wish = _Wish(
        listed=wanted,
        condition=_sorted_by(condition, column),
        sort=sort.removeprefix("-"),
        column=column,
        down=sort.startswith("-"),
        mark=read_mark(asked.cursor, sort) if asked.cursor else None,
        limit=limit,
        skip=max(asked.number - 1, 0) * limit,
    )
    rows, matched, total = await _found(records, wish)
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=read(rows[:limit]),
        next=mark_of(sort, last[-2], last[-1]) if last else None,
        matched=matched.rows,
        total=total.rows,
        matched_exact=matched.exact,
        total_exact=total.exact,
    )


async def _found(records: Records, wish: _Wish) -> tuple[list[_Found], _Count, _Count]:
    """The rows of a page and one more if there is one, how many match, and how many there are."""
    by_state = wish.listed.by_state
    if by_state and by_state.sort == wish.sort and (wish.condition.exact or not wish.condition.sql):
        return await _by_small_table(records, wish, by_state)
    total = await _size(records, wish.listed.table)
    if not wish.condition.sql:
        return await _walked(records, wish), total, total
    if total.rows <= WALKED:
        rows = await _walked(records, wish)
        return rows, await _counted(records, wish, rows), total
    return *await _among_many(records, wish), total


async def _by_small_table(records: Records, wish: _Wish, by_state: ByState) -> tuple[list[_Found], _Count, _Count]:
    """The same, in one question to the database: going there and back costs more than most questions."""
    rows = await (_of_states if wish.condition.sql else _of_all)(records, wish, by_state)
    total = _count_of(int(rows[0][-4])) if rows else await _size(records, wish.listed.table)
    if not wish.condition.sql:
        return rows, total, total
    if rows or wish.whole:
        matched = int(rows[0][-3]) if rows else 0
    else:
        matched = (await _quick(records, wish, wish.condition.narrow[0], _countable())).count
    return rows, _Count(matched, exact=matched <= _countable()), total


def _countable() -> int:
    """So many rows of states are counted: what a table of up to `WALKED` rows holds always is."""
    return max(FEW, WALKED)


async def _among_many(records: Records, wish: _Wish) -> tuple[list[_Found], _Count]:
    best = await _best(records, wish, VERY_FEW)
    if best is None:
        rows = await _stretch(records, wish)
        if len(rows) > wish.limit:
            return rows, wish.at_least(rows)
        # As many rows as the rest of the walk would cost, if it goes on as it began.
        ahead = STRETCH * (wish.skip + wish.limit + 1) // max(1, len(rows))
        best = await _best(records, wish, min(MOST, ahead // WEIGHT))
    if best:
        rows = await _of_few(records, wish, best)
        return rows, _Count(int(rows[0][-3]), exact=True) if rows else _Count(0, exact=wish.whole)
    rows = await _walked(records, wish)
    return rows, wish.at_least(rows)


def _sized(records: Records, table: str) -> str:
    """How many rows a table has, below nothing where that is estimated."""
    if records.on_sqlite:
        # What was deleted stands in front: the numbers from the first to the last row are nearly all taken.
        estimate = f"(SELECT MAX(rowid) FROM {table}) - (SELECT MIN(rowid) FROM {table}) + 1"
    else:
        # -1 until the table was first analysed.
        estimate = f"(SELECT reltuples::bigint FROM pg_class WHERE oid = '{table}'::regclass)"
    counted = f"(SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT {COUNTED + 1}) AS counted)"
    return f"SELECT CASE WHEN n > {COUNTED} THEN -n ELSE {counted} END FROM (SELECT {estimate} AS n) AS estimated"


def _count_of(sized: int) -> _Count:
    return _Count(abs(sized), exact=0 <= sized <= COUNTED)


async def _size(records: Records, table: str) -> _Count:
    return _count_of(int((await records.tuples(_sized(records, table)))[0][0]))


@dataclass(frozen=True, slots=True)
class _Quick:
    """A quick way, and how many rows it leads to: at most one more than were to be counted."""

    rows: Rows
    count: int


async def _quick(records: Records, wish: _Wish, way: Narrow, most: int) -> _Quick:
    rows = narrow.rows_of(way, wish.listed.states_of, on_sqlite=records.on_sqlite)
    rows = Rows(wish.listed.quick[way.kind].replace("{rows}", rows.sql), rows.values)
    return _Quick(rows, int((await records.run(_up_to(rows, most), *rows.values))[0]["n"]))


def _up_to(rows: Rows, most: int) -> str:
    """How many rows a quick way leads to: at most one more than were to be counted."""
    return f"SELECT COUNT(*) AS n FROM (SELECT 1 FROM ({rows.sql}) AS quick LIMIT {most + 1}) AS counted"


async def _best(records: Records, wish: _Wish, most: int) -> _Quick | None:
    """The shortest quick way that leads to so many rows at most."""
    ways = [await _quick(records, wish, one, most) for one in wish.condition.narrow]
    best = min(ways, key=lambda one: one.count, default=None)
    return best if best and best.count <= most else None


def _joined(records: Records, rows: str) -> str:
    # SQLite takes the tables of a CROSS JOIN in their order; PostgreSQL chooses by its statistics.
    return rows.replace("{join}", "CROSS JOIN" if records.on_sqlite else "JOIN")


async def _walked(records: Records, wish: _Wish) -> list[_Found]:
    """The page by the index of its sort."""
    listed, column = wish.listed, wish.column
    where = _both(wish.condition, wish.after(column, listed.identifier))
    return await records.tuples(
        f"SELECT {listed.columns}, 0 AS matched, {column} AS sort_value, {listed.identifier} AS sort_id "
        f"FROM {_joined(records, listed.rows)} {_where(where)} "
        f"{wish.order(column, listed.identifier)} {wish.cut.sql}",
        *where.values,
        *wish.cut.values,
    )


async def _stretch(records: Records, wish: _Wish) -> list[_Found]:
    """What matches among the next rows of the list."""
    listed = wish.listed
    table, name, rest = _joined(records, listed.rows).split(" ", 2)
    begin = wish.after(wish.column, listed.identifier)
    near = (
        f"(SELECT * FROM {table} {name} {_where(begin)} {wish.order(wish.column, listed.identifier)} LIMIT {STRETCH}) AS {name}"
    )
    found = (
        f"SELECT {listed.identifier} AS id, {wish.column} AS value, 0 AS matched FROM {near} {rest} {_where(wish.condition)}"
    )
    return await _late(records, wish, Rows(found, (*begin.values, *wish.condition.values)))


async def _of_few(records: Records, wish: _Wish, quick: _Quick) -> list[_Found]:
    """The page of the rows that a quick way leads to, each with how many match."""
    listed = wish.listed
    table, name, rest = _joined(records, listed.rows).split(" ", 2)
    found = (
        f"SELECT {listed.identifier} AS id, {wish.column} AS value, COUNT(*) OVER () AS matched "
        f"FROM (SELECT DISTINCT id FROM ({quick.rows.sql}) AS quick) AS few "
        f"{_joined(records, '{join}')} {table} {name} ON {listed.identifier} = few.id {rest} {_where(wish.condition)}"
    )
    begin = wish.after("value", "id")
    return await _late(
        records,
        wish,
        Rows(f"SELECT * FROM ({found}) AS few {_where(begin)}", (*quick.rows.values, *wish.condition.values, *begin.values)),
    )


async def _of_all(records: Records, wish: _Wish, by_state: ByState) -> list[_Found]:
    """The page of all rows, by the table that stands in the order of the list and holds all that the page shows."""
    listed = wish.listed
    name = listed.shown.split()[1]
    value, identifier = f"{name}.{by_state.column}", f"{name}.{by_state.identifier}"
    begin = wish.after(value, identifier)
    return await records.tuples(
        f"SELECT {listed.columns}, ({_sized(records, listed.table)}) AS sized, 0 AS matched, {value} AS sort_value, "
        f"{identifier} AS sort_id FROM {listed.shown} {_where(begin)} {wish.order(value, identifier)} {wish.cut.sql}",
        *begin.values,
        *wish.cut.values,
    )


async def _of_states(records: Records, wish: _Wish, by_state: ByState) -> list[_Found]:
    """The page by the index of states: the first rows of each, which stand in the order of the list."""
    columns = f"SELECT {by_state.identifier} AS id, {by_state.column} AS value, 0 AS matched FROM {by_state.table}"
    begin = wish.after(by_state.column, by_state.identifier)
    tail = f"{wish.order(by_state.column, by_state.identifier)} LIMIT {wish.skip + wish.limit + 1}"
    states = [one[0] for one in wish.condition.narrow[0].alternatives]
    plain = [one for one in states if one != FLAGGED]
    parts: list[str] = []
    values: list[object] = []
    for state in plain:
        where = _both(Clause(f"{by_state.state} = {{}}", (state,)), begin)
        parts.append(f"SELECT * FROM ({columns} {_where(where)} {tail}) AS one")
        values += where.values
    if len(plain) < len(states):
        marks = ", ".join("{}" for _ in plain)
        others = Clause(f"{by_state.state} || '' NOT IN ({marks})", tuple(plain)) if plain else Clause("")
        where = _both(_both(Clause(by_state.flag), others), begin)
        parts.append(f"SELECT * FROM ({columns} {_where(where)} {tail}) AS one")
        values += where.values
    way = narrow.rows_of(wish.condition.narrow[0], wish.listed.states_of, on_sqlite=records.on_sqlite)
    counts = f"({_sized(records, wish.listed.table)}) AS sized, ({_up_to(way, _countable())}) AS matched"
    return await _late(records, wish, Rows(" UNION ALL ".join(parts), tuple(values)), Rows(counts, way.values))


_AS_FOUND = Rows("found.matched AS matched", ())


async def _late(records: Records, wish: _Wish, found: Rows, counts: Rows = _AS_FOUND) -> list[_Found]:
    """The whole rows of a page for what was found: identifiers, sort values, how many match."""
    listed = wish.listed
    table, name, *rest = _joined(records, listed.shown).split(" ", 2)
    first = f"SELECT id, value, matched FROM ({found.sql}) AS every {wish.order('value', 'id')} {wish.cut.sql}"
    return await records.tuples(
        f"SELECT {listed.columns}, {counts.sql}, found.value AS sort_value, found.id AS sort_id "
        f"FROM ({first}) AS found {_joined(records, '{join}')} {table} {name} ON {listed.shown_id} = found.id {' '.join(rest)} "
        f"{wish.order('found.value', 'found.id')}",
        *counts.values,
        *found.values,
        *wish.cut.values,
    )


async def _counted(records: Records, wish: _Wish, rows: list[_Found]) -> _Count:
    if (told := wish.at_least(rows)).exact:
        return told
    sql = f"SELECT COUNT(*) AS n FROM {_joined(records, wish.listed.rows)} {_where(wish.condition)}"
    return _Count(int((await records.run(sql, *wish.condition.values))[0]["n"]), exact=True)


def _sorted_by(condition: Clause, column: str) -> Clause:
    """The condition of a list that is sorted by this column: its index may be used."""
    return replace(condition, sql=condition.sql.replace(f"+{column} ", f"{column} "))


def _where(condition: Clause) -> str:
    return f"WHERE {condition.sql}" if condition.sql else ""


def _both(one: Clause, other: Clause) -> Clause:
    parts = [clause for clause in (one, other) if clause.sql]
    return Clause(" AND ".join(part.sql for part in parts), tuple(value for part in parts for value in part.values))
