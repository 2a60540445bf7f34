"""From records to answers: states become words and glyphs, JSON columns become lists, moments become ISO 8601."""

from collections.abc import Sequence
from typing import Any

import msgspec

from api.study_lines import order_facts, study_row
from api.views import (
    DeliveryView,
    FindingView,
    OrderView,
    OriginView,
    QcView,
    RepairView,
    ReportView,
    ResultView,
    RunView,
    SeriesView,
    StudyView,
    TimelineView,
    ValueView,
    at,
)
from appliance.compute.dask import WAITING
from appliance.errors import Unknown
from appliance.events import Event, InstancesArrived
from appliance.moments import iso
from appliance.qc.finding import Origin, QcReport
from appliance.receive.sheet import QUARANTINE_SENTENCES
from appliance.records import details, events, lists, orders, studies
from appliance.records.deliveries import DeliveryRow
from appliance.records.details import OrderDetails, ReportHead
from appliance.records.engine import Records
from appliance.records.lists import ResultLine
from appliance.records.orders import OrderRow
from appliance.reports.content import REPORT_FORMATS
from appliance.states import DELIVERY_FACTS, ORDER_FACTS, OrderState, StudyState


class NoQcYet(Unknown):
    """Quality control has not looked at this order yet."""

    code = "no-qc-yet"
    next_step = "Wait until the order has left the state QC."


TIMELINE = 1000
SHOWN_FORMATS = REPORT_FORMATS
"""What can be downloaded: the formats that carry no identity."""


def _split(listed: str) -> list[str]:
    return [one for one in listed.split(",") if one]


async def study_view(records: Records, study: str) -> StudyView:
    """One study with everything about it; raises `Unknown`."""
    line = await lists.study_line(records, study)
    rows = await orders.of_study(study)
    filled = [order_view(one) for one in await details.of_orders([row.id for row in rows])]
    inputs = _inputs(rows[0]) if rows else set()
    series = [
        SeriesView(
            series=one.id,
            number=one.number,
            modality=one.modality,
            label=one.label,
            instances=one.instances,
            sop_class=one.sop_class,
            product_input=one.id in inputs,
        )
        for one in await studies.series(study)
    ]
    kept = await studies.get(study)
    return StudyView(
        **msgspec.structs.asdict(study_row(line)),
        study_state=str(kept.state),
        quarantine=QUARANTINE_SENTENCES.get(kept.reason, "") if kept.state is StudyState.QUARANTINED else "",
        conflicts=kept.conflicts,
        series_list=series,
        orders=filled,
        timeline=timeline(await events.after(0, TIMELINE, study=study)),
        metadata=filled[0].metadata if filled else {},
        reports=[report for one in filled for report in one.reports],
    )


def _inputs(row: OrderRow) -> set[str]:
    found = msgspec.json.decode(row.inputs or "{}", type=dict[str, list[str]])
    return {series for listed in found.values() for series in listed}


def timeline(rows: Sequence[events.Stored]) -> list[TimelineView]:
    """What happened, oldest first; filings of one sender that follow each other are one line with their sum."""
    lines: list[TimelineView] = []
    sums: list[Event] = []
    for stored in rows:
        event, before = stored.event, sums[-1] if sums else None
        if isinstance(event, InstancesArrived) and isinstance(before, InstancesArrived) and event.sender == before.sender:
            event = msgspec.structs.replace(event, count=before.count + event.count)
            lines.pop()
            sums.pop()
        sums.append(event)
        lines.append(_timeline(stored, event))
    return lines


def _timeline(stored: events.Stored, event: Event) -> TimelineView:
    return TimelineView(
        seq=stored.seq,
        at=iso(stored.at),
        name=stored.name,
        title=event.title,
        severity=stored.severity,
        text=event.text(),
        order=stored.order,
    )


async def order_by_id(order: str) -> OrderView:
    """One order; raises `Unknown`."""
    found = await details.of_orders([order])
    if not found:
        raise Unknown(kind="order")
    return order_view(found[0])


def order_view(found: OrderDetails) -> OrderView:
    """One order with its runs, reports and deliveries."""
    row = found.order
    facts = order_facts(row.state, row.delivery_failed, row.code)
    return OrderView(
        order=row.id,
        study=row.study,
        study_version=row.study_version,
        state=str(row.state),
        word=facts.word,
        glyph=facts.glyph,
        plain_glyph=facts.plain_glyph,
        terminal=ORDER_FACTS[row.state].terminal,
        retryable=ORDER_FACTS[row.state].retryable,
        needs_person=facts.needs_person,
        code=row.code,
        detail=row.detail,
        advice=_advice(row),
        products=row.product_list,
        runs=[
            RunView(product=run.product, version=run.product_version, state=str(run.state), code=run.code, detail=run.detail)
            for run in found.runs
        ],
        priority=row.priority,
        group=row.group_name,
        owner=row.owner,
        percent=row.percent,
        step=row.step,
        stage=row.stage,
        # The row's `attempt` counts claims, which fence leases; people mean tries, of which only failures make more.
        attempt=row.failures + 1,
        qc_verdict=row.qc_verdict,
        bypass_by=row.bypass_by,
        bypass_reason=row.bypass_reason,
        delivery_failed=row.delivery_failed,
        metadata=_metadata(msgspec.json.decode(row.metadata, type=dict[str, Origin])) if row.metadata else {},
        created_at=at(row.created_at),
        updated_at=at(row.updated_at),
        deliveries=[delivery_view(one) for one in found.deliveries],
        reports=[report_view(one) for one in found.reports],
        row_version=row.row_version,
    )


_ADVICE: dict[OrderState, str] = {
    OrderState.QC_FAILED: "Look at the QC findings; give what is missing, bypass QC with a reason, or send the study again.",
    OrderState.HELD: "Look at the reason, remove its cause, then retry.",
    OrderState.FAILED: "Look at the reason, remove its cause, then retry.",
    OrderState.CANCELLED: "Retry takes the order up again.",
    OrderState.EXPIRED: "Retry takes the order up again.",
}


def _advice(row: OrderRow) -> str:
    if row.delivery_failed:
        return "Test the destination, correct its settings, then send the report again."
    if row.code in WAITING:
        return "Nothing: it goes on by itself when that is there."
    return _ADVICE.get(row.state, "")


def _metadata(found: dict[str, Origin]) -> dict[str, OriginView]:
    return {name: OriginView(value=one.value, origin=one.origin, contradicts=one.contradicts) for name, one in found.items()}


def delivery_view(row: DeliveryRow) -> DeliveryView:
    """One delivery."""
    facts = DELIVERY_FACTS[row.state]
    return DeliveryView(
        delivery=row.id,
        report=row.report,
        order=row.order,
        destination=row.destination,
        state=str(row.state),
        word=facts.word,
        glyph=facts.glyph,
        plain_glyph=facts.plain_glyph,
        attempt=row.attempt,
        answer=row.answer,
        created_at=at(row.created_at),
        sent_at=at(row.sent_at),
    )


def shown_formats(formats: str) -> list[str]:
    """The formats of a report that can be downloaded."""
    made = _split(formats)
    return [one for one in SHOWN_FORMATS if one in made]


def report_view(row: ReportHead) -> ReportView:
    """One report."""
    return ReportView(**_report_fields(row.id, row.order, row.kind, row.version, row.supersedes, row.formats, row.created_at))


def _report_fields(
    report: str, order: str, kind: str, version: int, supersedes: str, formats: str, created_at: int
) -> dict[str, Any]:
    return {
        "report": report,
        "order": order,
        "kind": kind,
        "version": version,
        "supersedes": supersedes,
        "formats": shown_formats(formats),
        "created_at": at(created_at),
    }


def report_of_line(one: ResultLine) -> ReportView:
    """One line of the results as a report."""
    return ReportView(
        **_report_fields(one.report, one.order, one.kind, one.version, one.supersedes, one.formats, one.created_at)
    )


async def result_views(lines: list[ResultLine]) -> list[ResultView]:
    """A page of results with their numbers and deliveries."""
    deliveries = await details.of_reports([one.report for one in lines])
    return [
        ResultView(
            **_report_fields(one.report, one.order, one.kind, one.version, one.supersedes, one.formats, one.created_at),
            study=one.study,
            values=_values(one.content),
            deliveries=[delivery_view(delivery) for delivery in deliveries.get(one.report, [])],
        )
        for one in lines
    ]


class _Number(msgspec.Struct):
    label: str
    value: float | None
    unit: str = ""


class _Rows(msgspec.Struct):
    rows: list[_Number] = []


class _Measured(msgspec.Struct):
    """What a list shows of a report's content; the rest of it is passed over."""

    sections: list[_Rows] = []


def _values(content: str) -> list[ValueView]:
    if not content:
        return []
    sections = msgspec.json.decode(content, type=_Measured).sections
    return [ValueView(label=row.label, value=row.value, unit=row.unit) for section in sections for row in section.rows]


async def qc_view(order: str) -> QcView:
    """What quality control said about an order; raises `Unknown` before it said anything."""
    row = await orders.get(order)
    if not row.qc_report:
        raise NoQcYet()
    report = msgspec.json.decode(row.qc_report, type=QcReport)
    shown = [
        msgspec.structs.replace(one, picture=f"/api/orders/{order}/qc/{one.check}/picture" if one.picture else "")
        for one in report.findings
    ]
    return QcView(
        verdict="bypassed" if row.bypass_by else str(report.verdict),
        findings=msgspec.convert(msgspec.to_builtins(shown), list[FindingView]),
        metadata=_metadata(report.metadata),
        repairs=msgspec.convert(msgspec.to_builtins(report.repairs), list[RepairView], strict=False),
        thresholds=report.thresholds,
    )


def qc_picture(row: OrderRow, check: str) -> str:
    """The name of a check's picture in the order's folder of them; raises `Unknown`."""
    report = msgspec.json.decode(row.qc_report, type=QcReport) if row.qc_report else None
    found = next((one.picture for one in report.findings if one.check == check), "") if report else ""
    if not found:
        raise Unknown(kind="picture of this check")
    return found
