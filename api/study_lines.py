"""The list of studies: what is kept of each becomes a row of the answer, and a page of them becomes bytes."""

from functools import lru_cache
from typing import cast

import msgspec
from litestar import MediaType, Response
from litestar.serialization import encode_json

from api.routes.asked import whole
from api.views import StudyList, StudyRow, at
from appliance.compute.dask import WAITING
from appliance.records.lists import Line, StudyLine, study_line_of
from appliance.records.paging import Page
from appliance.states import DELIVERY_FACTS, ORDER_FACTS, STUDY_FACTS, DeliveryState, Facts, OrderState, StudyState

_WAITS = Facts("Waiting", "waiting", "◌", ".", "", active=True)
"""An order whose state is at work and which cannot go on now; its code says for what it waits."""


def order_facts(state: OrderState, delivery_failed: bool, code: str) -> Facts:
    """What the state of an order means to people."""
    # A failed delivery leaves the order REPORTED; what people must see is the delivery.
    if delivery_failed and state is OrderState.REPORTED:
        return DELIVERY_FACTS[DeliveryState.FAILED]
    return _WAITS if code in WAITING and ORDER_FACTS[state].active else ORDER_FACTS[state]


@lru_cache(maxsize=256)
def _row_facts(state: str, of_order: bool, delivery_failed: bool, code: str) -> Facts:
    if of_order:
        return order_facts(OrderState(state), delivery_failed, code)
    return STUDY_FACTS[StudyState(state)]


@lru_cache(maxsize=4096)
def encoded_row(line: Line) -> msgspec.Raw:
    """One study as the list shows it, encoded: a list that is looked at again and again shows the same lines."""
    return msgspec.Raw(encode_json(study_row(study_line_of(line))))


class _EncodedPage(msgspec.Struct, kw_only=True, frozen=True):
    """A `StudyList` whose rows are encoded already."""

    items: list[msgspec.Raw]
    next: str | None
    matched: int
    total: int
    matched_exact: bool
    total_exact: bool
    pages: int


def study_list(page: Page[Line], limit: int) -> Response[StudyList]:
    """A page of studies as an answer."""
    body = encode_json(_EncodedPage(items=[encoded_row(one) for one in page.items], **whole(page, limit)))
    # The framework sends bytes as they are; what they hold is what the type says.
    return Response(cast("StudyList", body), media_type=MediaType.JSON)


def study_row(line: StudyLine) -> StudyRow:
    """One study as the list shows it."""
    state, of_order = line.order_state or line.study_state, bool(line.order)
    facts = _row_facts(state, of_order, line.delivery_failed, line.code)
    return StudyRow(
        study=line.study,
        version=line.version,
        order=line.order or None,
        state=state,
        word=facts.word,
        glyph=facts.glyph,
        plain_glyph=facts.plain_glyph,
        percent=line.percent,
        step=line.step,
        qc=qc_word(line.qc_asked, line.qc_failed, line.bypass_by),
        products=line.products.split(",") if line.products else [],
        group=line.group,
        received_at=at(line.received_at),
        updated_at=at(line.updated_at if line.updated_at > line.last_at else line.last_at),
        instances=line.instances,
        series=line.series,
        has_accession=line.has_accession,
        sender=line.sender,
        needs_person=facts.needs_person,
        terminal=facts.terminal and not facts.needs_person,
        code=line.code or line.reason,
        detail=line.detail,
        delivery_failed=line.delivery_failed,
        bypassed=bool(line.bypass_by),
        priority=line.priority,
    )


def qc_word(asked: int, failed: int, bypass_by: str) -> str:
    """The QC column: empty before QC, `bypassed`, `ok 8/8`, or `6/8`."""
    if bypass_by:
        return "bypassed"
    if not asked:
        return ""
    return f"{asked - failed}/{asked}" if failed else f"ok {asked}/{asked}"
