"""Reports: one row for each version of an order's report or failure report."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from appliance.errors import Conflict, Unknown
from appliance.records.tables import Report

Kind = Literal["report", "failure"]


class ReportThere(Conflict):
    """Version {version} of this order's {kind} is there already."""

    code = "report-there"


class ReportRow(msgspec.Struct, kw_only=True, frozen=True):
    """One report as it stands in the records; `content` is the JSON of `appliance.reports.content.ReportContent`."""

    id: str
    order: str
    kind: Kind
    version: int
    supersedes: str
    content: str
    formats: str
    folder: str
    """Below the storage root."""
    searched: str = "{}"
    """Format -> SHA-256 of the bytes that were looked through for identity, as JSON."""
    created_at: int

    @property
    def format_list(self) -> list[str]:
        """The formats that were made."""
        return [one for one in self.formats.split(",") if one]


class NextVersion(msgspec.Struct, kw_only=True, frozen=True):
    """The number that a new report of an order gets, and the report that it takes the place of."""

    version: int = 1
    supersedes: str = ""


def _row(found: dict[str, Any]) -> ReportRow:
    return msgspec.convert({**found, "order": found["order_id"]}, ReportRow, strict=False)


async def next_version(order: str, kind: Kind) -> NextVersion:
    """What a new report of this kind would be."""
    last = await newest(order, kind)
    return NextVersion(version=last.version + 1, supersedes=last.id) if last else NextVersion()


async def add(
    report: str,
    order: str,
    kind: Kind,
    number: NextVersion,
    *,
    content: str,
    formats: Sequence[str],
    folder: str,
    now: int,
    searched: str = "{}",
) -> ReportRow:
    """Stores a report; joins the transaction that is open. Raises `ReportThere` when another one has this version."""
    taken = Report.exists().where(Report.order == order, Report.kind == kind, Report.version == number.version)
    if await taken.run():
        raise ReportThere(version=number.version, kind=kind)
    row = Report(
        id=report,
        order=order,
        kind=kind,
        version=number.version,
        supersedes=number.supersedes,
        content=content,
        formats=",".join(formats),
        folder=folder,
        searched=searched,
        created_at=now,
    )
    await Report.insert(row).run()
    return await get(report)


async def get(report: str) -> ReportRow:
    """One report; raises `Unknown`."""
    row = await Report.select().where(Report.id == report).first().run()
    if row is None:
        raise Unknown(kind="report")
    return _row(row)


async def newest(order: str, kind: Kind | None = None) -> ReportRow | None:
    """The last report of an order, of one kind if named; None when there is none."""
    query = Report.select().where(Report.order == order)
    if kind:
        query = query.where(Report.kind == kind)
    row = await query.order_by(Report.created_at, Report.version, ascending=False).first().run()
    return _row(row) if row else None


async def of_order(order: str) -> list[ReportRow]:
    """All reports of an order, newest first."""
    query = Report.select().where(Report.order == order).order_by(Report.created_at, Report.version, ascending=False)
    return [_row(row) for row in await query.run()]
