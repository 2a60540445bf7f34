"""The lists: studies, orders and results, filtered, sorted and paged by keyset.

A page is asked for by the sort value and identifier of the last row before it: page 500 costs what page 1 costs, and rows that
come meanwhile shift nothing.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from appliance.errors import Rejected, Unknown
from appliance.records.engine import Records
from appliance.records.filter import Clause, Vocabulary, compile_filter
from appliance.records.words import ORDER_WORDS, RESULT_WORDS, STUDY_WORDS

MOST_ROWS = 500

Row = TypeVar("Row")


class BadCursor(Rejected):
    """This page mark does not belong to this list."""

    code = "cursor"
    next_step = "Begin again at the first page."


class BadSort(Rejected):
    """This list cannot be sorted so; it can by {sorts}, each with - before it for the other direction."""

    code = "sort"
    next_step = "Choose one of those."


class Page(msgspec.Struct, Generic[Row], kw_only=True, frozen=True):
    """Some rows, the mark of the next page (None: that was all), how many match and how many there are."""

    items: list[Row]
    next: str | None
    matched: int
    total: int


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """Which page of a list somebody wants."""

    filter: str = ""
    sort: str = ""
    cursor: str = ""
    limit: int = 200


class StudyLine(msgspec.Struct, kw_only=True, frozen=True):
    """One study with its newest order; the fields from `order` on are empty where there is none."""

    study: str
    version: int
    study_state: str
    group: str
    received_at: int
    last_at: int
    instances: int
    series: int
    sender: str
    reason: str
    has_accession: bool
    order: str = ""
    order_state: str = ""
    code: str = ""
    detail: str = ""
    products: str = ""
    percent: int = 0
    step: str = ""
    qc_verdict: str = ""
    qc_report: str = ""
    bypass_by: str = ""
    delivery_failed: bool = False
    priority: int = 0
    updated_at: int = 0


class ResultLine(msgspec.Struct, kw_only=True, frozen=True):
    """One report with the order and study it belongs to."""

    report: str
    order: str
    study: str
    kind: str
    version: int
    supersedes: str
    formats: str
    content: str
    created_at: int


@dataclass(frozen=True, slots=True)
class _List:
    """One list as SQL: its rows, its columns, what it can be sorted by, and the table that `total` counts."""

    rows: str
    identifier: str
    columns: str
    sorts: Mapping[str, str]
    words: Vocabulary
    table: str
    join: str = ""
    """Joined for the page only: it takes no row away and no filter asks for it."""


_NEWEST = "LEFT JOIN orders o ON o.study = s.id AND o.id = (SELECT MAX(n.id) FROM orders n WHERE n.study = s.id)"

_STUDIES = _List(
    rows=f"studies s {_NEWEST}",
    identifier="s.id",
    columns=(
        "s.id AS study, s.version, s.state AS study_state, s.group_name AS grouped, s.first_at AS received_at, s.last_at, "
        "s.instances, s.series, s.sender, s.reason, COALESCE(i.accession_key, '') <> '' AS has_accession, o.id AS order_id, "
        "o.state AS order_state, o.code, o.detail, o.products, o.percent, o.step, o.qc_verdict, o.qc_report, o.bypass_by, "
        "o.delivery_failed, o.priority, o.updated_at"
    ),
    sorts={
        "received": "s.first_at",
        "updated": "s.last_at",
        "group": "s.group_name",
        "sender": "s.sender",
        "instances": "s.instances",
    },
    words=STUDY_WORDS,
    table="studies",
    join="LEFT JOIN identities i ON i.study = s.id",
)

_ORDERS = _List(
    rows="orders o JOIN studies s ON s.id = o.study",
    identifier="o.id",
    columns="o.*",
    sorts={"created": "o.created_at", "updated": "o.updated_at", "priority": "o.priority"},
    words=ORDER_WORDS,
    table="orders",
)

_RESULTS = _List(
    rows="reports r JOIN orders o ON o.id = r.order_id JOIN studies s ON s.id = o.study",
    identifier="r.id",
    columns=("r.id AS report, r.order_id, o.study, r.kind, r.version, r.supersedes, r.formats, r.content, r.created_at"),
    sorts={"created": "r.created_at"},
    words=RESULT_WORDS,
    table="reports",
)

_RENAMED = {"order_id": "order", "grouped": "group"}


async def studies_page(records: Records, asked: Asked, now: int) -> Page[StudyLine]:
    """A page of studies; raises `FilterProblem`, `BadSort`, `BadCursor`."""
    return await _page(records, _STUDIES, asked, now, StudyLine)


async def study_line(records: Records, study: str) -> StudyLine:
    """One study as the list shows it; raises `Unknown`."""
    rows = await records.run(f"SELECT {_STUDIES.columns} FROM {_STUDIES.rows} {_STUDIES.join} WHERE s.id = {{}}", study)
    if not rows:
        raise Unknown(kind="study")
    return _converted(rows[0], StudyLine)


async def order_ids_page(records: Records, asked: Asked, now: int) -> Page[str]:
    """A page of orders by identifier; raises as `studies_page`."""
    lean = _with_columns(_ORDERS, "o.id")
    page = await _page(records, lean, asked, now, dict)
    return Page(items=[str(row["id"]) for row in page.items], next=page.next, matched=page.matched, total=page.total)


async def results_page(records: Records, asked: Asked, now: int) -> Page[ResultLine]:
    """A page of reports; raises as `studies_page`."""
    return await _page(records, _RESULTS, asked, now, ResultLine)


def _with_columns(wanted: _List, columns: str) -> _List:
    return _List(wanted.rows, wanted.identifier, columns, wanted.sorts, wanted.words, wanted.table, wanted.join)


async def _page(records: Records, wanted: _List, asked: Asked, now: int, kind: type[Row]) -> Page[Row]:
    sort = asked.sort or "-" + next(iter(wanted.sorts))
    column = wanted.sorts.get(sort.removeprefix("-"))
    if column is None:
        raise BadSort(sorts=", ".join(wanted.sorts))
    condition = compile_filter(asked.filter, wanted.words, now)
    down = sort.startswith("-")
    limit = min(max(asked.limit, 1), MOST_ROWS)
    where = _both(condition, _after(asked.cursor, sort, column, wanted.identifier, down))
    direction = "DESC" if down else "ASC"
    rows = await records.run(
        f"SELECT {wanted.columns}, {column} AS sort_value, {wanted.identifier} AS sort_id FROM {wanted.rows} {wanted.join} "
        f"{_where(where)} ORDER BY {column} {direction}, {wanted.identifier} {direction} LIMIT {{}}",
        *where.values,
        limit + 1,
    )
    total = await _count(records, wanted.table, Clause(""))
    matched = await _count(records, wanted.rows, condition) if condition.sql else total
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[_converted(row, kind) for row in rows[:limit]],
        next=_mark(sort, last["sort_value"], last["sort_id"]) if last else None,
        matched=matched,
        total=total,
    )


def _converted(row: dict[str, Any], kind: type[Row]) -> Row:
    # Columns of an order that is not there come as NULL: the struct's own defaults stand for them.
    named = {_RENAMED.get(name, name): value for name, value in row.items() if value is not None}
    return msgspec.convert(named, kind, strict=False)


async def _count(records: Records, rows: str, condition: Clause) -> int:
    found = await records.run(f"SELECT COUNT(*) AS n FROM {rows} {_where(condition)}", *condition.values)
    return int(found[0]["n"])


def _where(condition: Clause) -> str:
    return f"WHERE {condition.sql}" if condition.sql else ""


def _both(one: Clause, other: Clause) -> Clause:
    parts = [clause for clause in (one, other) if clause.sql]
    return Clause(" AND ".join(part.sql for part in parts), tuple(value for part in parts for value in part.values))


def _after(cursor: str, sort: str, column: str, identifier: str, down: bool) -> Clause:
    if not cursor:
        return Clause("")
    value, last = _read_mark(cursor, sort)
    return Clause(f"({column}, {identifier}) {'<' if down else '>'} ({{}}, {{}})", (value, last))


def _mark(sort: str, value: int | str, identifier: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([sort, value, identifier])).decode().rstrip("=")


def _read_mark(cursor: str, sort: str) -> tuple[int | str, str]:
    try:
        plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        made_for, value, identifier = msgspec.json.decode(plain, type=tuple[str, int | str, str])
    except (binascii.Error, msgspec.DecodeError, ValueError):
        raise BadCursor() from None
    numeric = sort.removeprefix("-") not in ("group", "sender")
    if made_for != sort or isinstance(value, int) != numeric or not _plain(identifier) or not _plain(value):
        raise BadCursor()
    return value, identifier


def _plain(value: int | str) -> bool:
    """Whether both engines can compare with it."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return len(value) <= 64 and value.isprintable()
