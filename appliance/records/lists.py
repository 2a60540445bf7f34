"""The lists: studies, orders and results; how a page of them is found stands in `appliance.records.paging`."""

from typing import Any, NewType

import msgspec

from appliance.errors import Unknown
from appliance.records.engine import Records
from appliance.records.listed import ByState, Listed
from appliance.records.paging import Asked, Page, page_of
from appliance.records.words import ORDER_WORDS, RESULT_WORDS, STUDY_WORDS

Line = NewType("Line", str)
"""One study as `study_list` keeps it for the list: a `StudyLine` as JSON."""


class StudyLine(msgspec.Struct, array_like=True, frozen=True):
    """One study with its newest order; the fields from `order` on are empty where there is none.

    They stand in the order in which the migration `line of each study` writes them.
    """

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
    qc_asked: int = 0
    qc_failed: int = 0
    bypass_by: str = ""
    delivery_failed: bool = False
    priority: int = 0
    updated_at: int = 0


class ResultLine(msgspec.Struct, array_like=True, frozen=True):
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
    folder: str
    searched: str


_STUDY_LINE = msgspec.json.Decoder(StudyLine, strict=False)

_OF_STUDIES = "SELECT n.id AS id FROM ({rows}) AS found CROSS JOIN orders n WHERE n.study = found.id"
_REPORTS_OF_ORDERS = "SELECT m.id AS id FROM ({rows}) AS made CROSS JOIN reports m WHERE m.order_id = made.id"
_REPORTS_OF_STUDIES = _REPORTS_OF_ORDERS.replace("{rows}", _OF_STUDIES)

_STUDIES = Listed(
    rows="studies s {join} study_list l ON l.study = s.id LEFT JOIN orders o ON o.id = l.order_id",
    identifier="s.id",
    columns="l.line",
    shown="study_list l",
    shown_id="l.study",
    sorts={
        "received": "s.first_at",
        "updated": "s.last_at",
        "group": "s.group_name",
        "sender": "s.sender",
        "instances": "s.instances",
    },
    words=STUDY_WORDS,
    table="studies",
    quick={"words": "{rows}", "ids": "{rows}", "states": "{rows}"},
    states_of="studies",
    by_state=ByState(sort="received", table="study_list", identifier="study", column="first_at", state="shown", flag="flagged"),
)

_ORDERS = Listed(
    rows="orders o {join} studies s ON s.id = o.study",
    identifier="o.id",
    columns="o.id",
    shown="orders o",
    shown_id="o.id",
    sorts={"created": "o.created_at", "updated": "o.updated_at", "priority": "o.priority"},
    words=ORDER_WORDS,
    table="orders",
    quick={"words": _OF_STUDIES, "ids": _OF_STUDIES, "states": "{rows}"},
    states_of="orders",
    by_state=ByState(
        sort="created", table="orders", identifier="id", column="created_at", state="state", flag="delivery_failed"
    ),
)

_RESULTS = Listed(
    rows="reports r {join} orders o ON o.id = r.order_id {join} studies s ON s.id = o.study",
    identifier="r.id",
    columns=(
        'r.id AS report, r.order_id AS "order", o.study, r.kind, r.version, r.supersedes, r.formats, r.content, '
        "r.created_at, r.folder, r.searched"
    ),
    shown="reports r {join} orders o ON o.id = r.order_id",
    shown_id="r.id",
    sorts={"created": "r.created_at"},
    words=RESULT_WORDS,
    table="reports",
    quick={"words": _REPORTS_OF_STUDIES, "ids": _REPORTS_OF_STUDIES, "states": _REPORTS_OF_ORDERS},
    states_of="orders",
    by_state=None,
)


def study_line_of(line: Line) -> StudyLine:
    """A line of the list of studies, read."""
    return _STUDY_LINE.decode(line)


async def lines_page(records: Records, asked: Asked, now: int) -> Page[Line]:
    """A page of studies, each as it is kept; raises `FilterProblem`, `BadSort`, `BadCursor`."""
    return await page_of(records, _STUDIES, asked, now, _first)


async def studies_page(records: Records, asked: Asked, now: int) -> Page[StudyLine]:
    """A page of studies; raises as `lines_page`."""
    page = await lines_page(records, asked, now)
    return Page(**{**msgspec.structs.asdict(page), "items": [study_line_of(one) for one in page.items]})


async def study_line(records: Records, study: str) -> StudyLine:
    """One study as the list shows it; raises `Unknown`."""
    found = await records.tuples("SELECT line FROM study_list WHERE study = {}", study)
    if not found:
        raise Unknown(kind="study")
    return study_line_of(found[0][0])


async def order_ids_page(records: Records, asked: Asked, now: int) -> Page[str]:
    """A page of orders by identifier; raises as `lines_page`."""
    return await page_of(records, _ORDERS, asked, now, _first)


async def results_page(records: Records, asked: Asked, now: int) -> Page[ResultLine]:
    """A page of reports; raises as `lines_page`."""
    return await page_of(records, _RESULTS, asked, now, _results)


def _first(rows: list[tuple[Any, ...]]) -> list[Any]:
    return [row[0] for row in rows]


def _results(rows: list[tuple[Any, ...]]) -> list[ResultLine]:
    # One call for the whole page, which never leaves C.
    return msgspec.convert(rows, list[ResultLine], strict=False)
