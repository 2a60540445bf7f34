"""Groups: the rows, who is in them and how far, and their reports."""

from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.errors import Conflict, Unknown
from appliance.moments import new_id
from appliance.records.cohort_tables import Cohort, CohortReport
from appliance.records.engine import Records
from appliance.records.words import like_pattern


class GroupThere(Conflict):
    """There is a group {group} already."""

    code = "group-there"
    next_step = "Use it, or choose another name."


class GroupOfKey(Conflict):
    """This idempotency key made the group {group}."""

    code = "group-of-key"
    next_step = "Use a new key for each group."


class GroupNotEmpty(Conflict):
    """Group {group} has {studies} studies."""

    code = "group-not-empty"
    next_step = "Take its studies out first, or keep the group."


class GroupRow(msgspec.Struct, kw_only=True, frozen=True):
    """One group; `products` as `appliance.groups.rules.pinned` writes them."""

    id: str
    name: str
    products: str
    created_by: str
    created_at: int
    completed_key: str
    schedule: str
    scheduled_at: int


class GroupLine(GroupRow, kw_only=True, frozen=True):
    """One group with how far its studies are."""

    studies: int
    done: int
    failed: int
    cancelled: int
    waiting: int
    """For a person."""
    reports: int
    reported_at: int | None
    delivered: str
    """Of the newest report: `failed`, `waiting`, `sent`, or empty where it went nowhere."""


class Member(msgspec.Struct, kw_only=True, frozen=True):
    """One study of a group with its newest order and that order's newest report."""

    study: str
    order: str | None
    state: str | None
    code: str | None
    report: str | None
    content: str | None


class GroupReportRow(msgspec.Struct, kw_only=True, frozen=True):
    """One report of a group."""

    id: str
    cohort: str
    version: int
    reason: str
    members: int
    done: int
    failed: int
    folder: str
    stem: str
    formats: str
    searched: str = "{}"
    """Format -> SHA-256 of the bytes that were looked through for identity, as JSON."""
    created_at: int
    idempotency_key: str = ""

    @property
    def format_list(self) -> list[str]:
        """The formats that were made."""
        return [one for one in self.formats.split(",") if one]


_LINES = (
    "SELECT c.*, COUNT(s.id) AS studies, "
    "COALESCE(SUM(CASE WHEN o.state IN ('REPORTED', 'DELIVERED') THEN 1 ELSE 0 END), 0) AS done, "
    "COALESCE(SUM(CASE WHEN o.state IN ('FAILED', 'EXPIRED') THEN 1 ELSE 0 END), 0) AS failed, "
    "COALESCE(SUM(CASE WHEN o.state = 'CANCELLED' THEN 1 ELSE 0 END), 0) AS cancelled, "
    "COALESCE(SUM(CASE WHEN o.state IN ('QC_FAILED', 'HELD') THEN 1 ELSE 0 END), 0) AS waiting, "
    "(SELECT COUNT(*) FROM cohort_reports r WHERE r.cohort = c.id) AS reports, "
    "(SELECT MAX(created_at) FROM cohort_reports r WHERE r.cohort = c.id) AS reported_at, "
    "(SELECT CASE WHEN COUNT(*) = 0 THEN '' WHEN SUM(CASE WHEN d.state = 'FAILED' THEN 1 ELSE 0 END) > 0 THEN 'failed' "
    "WHEN SUM(CASE WHEN d.state IN ('PENDING', 'SENDING') THEN 1 ELSE 0 END) > 0 THEN 'waiting' ELSE 'sent' END "
    "FROM deliveries d WHERE d.report = "
    "(SELECT r.id FROM cohort_reports r WHERE r.cohort = c.id ORDER BY r.version DESC LIMIT 1)) AS delivered "
    "FROM cohorts c LEFT JOIN studies s ON s.group_name = c.name LEFT JOIN study_list l ON l.study = s.id "
    "LEFT JOIN orders o ON o.id = l.order_id {where} GROUP BY c.id ORDER BY c.name"
)


def _group(row: dict[str, Any]) -> GroupRow:
    return msgspec.convert(row, GroupRow, strict=False)


def _report(row: dict[str, Any]) -> GroupReportRow:
    return msgspec.convert(row, GroupReportRow, strict=False)


async def create(records: Records, name: str, *, products: str, actor: str, now: int, identifier: str = "") -> GroupRow:
    """A new group; raises `GroupThere`. The same `identifier` gives the same group, or raises `GroupOfKey`."""
    made = await Cohort.select().where(Cohort.id == identifier).first().run() if identifier else None
    if made:
        if made["name"] != name:
            raise GroupOfKey(group=made["name"])
        return _group(made)
    rows = await records.run(
        "INSERT INTO cohorts (id, name, products, created_by, created_at, scheduled_at) VALUES ({}, {}, {}, {}, {}, {}) "
        "ON CONFLICT (name) DO NOTHING RETURNING *",
        *(identifier or new_id(now), name, products, actor, now, now),
    )
    if not rows:
        raise GroupThere(group=name)
    return _group(rows[0])


async def get(name: str) -> GroupRow:
    """One group; raises `Unknown`."""
    found = await find(name)
    if found is None:
        raise Unknown(kind="group")
    return found


async def find(name: str) -> GroupRow | None:
    """One group; None when there is none of this name."""
    row = await Cohort.select().where(Cohort.name == name).first().run() if name else None
    return _group(row) if row else None


async def everyone() -> list[GroupRow]:
    """All groups by name."""
    return [_group(row) for row in await Cohort.select().order_by(Cohort.name).run()]


async def lines(records: Records, name: str = "", part: str = "") -> list[GroupLine]:
    """Groups by name with how far they are: all, the one of a name, or those with a part in their name (`*` for anything)."""
    where, values = ("WHERE c.name = {}", [name]) if name else ("", [])
    if part:
        where, values = "WHERE LOWER(c.name) LIKE {} ESCAPE '\\'", [like_pattern(part.lower(), inside=True)]
    rows = await records.run(_LINES.replace("{where}", where), *values)
    return [msgspec.convert(row, GroupLine, strict=False) for row in rows]


async def pin(records: Records, group: str, products: str) -> None:
    """Fixes a group to other versions of its products."""
    await records.run("UPDATE cohorts SET products = {} WHERE id = {}", products, group)


async def remove(records: Records, row: GroupRow) -> None:
    """Takes a group without studies away, with its reports and their deliveries. Raises `GroupNotEmpty`."""
    async with records.transaction():
        held = await records.run("SELECT COUNT(*) AS n FROM studies WHERE group_name = {}", row.name)
        if held[0]["n"]:
            raise GroupNotEmpty(group=row.name, studies=int(held[0]["n"]))
        await records.run("DELETE FROM deliveries WHERE report IN (SELECT id FROM cohort_reports WHERE cohort = {})", row.id)
        await records.run("DELETE FROM cohort_reports WHERE cohort = {}", row.id)
        await records.run("DELETE FROM cohorts WHERE id = {}", row.id)


async def put(records: Records, study: str, name: str, now: int) -> None:
    """Puts a study and its orders into a group, or out of any for an empty name; joins the transaction that is open."""
    await records.run("UPDATE studies SET group_name = {}, row_version = row_version + 1 WHERE id = {}", name, study)
    await records.run(
        "UPDATE orders SET group_name = {}, updated_at = {}, row_version = row_version + 1 WHERE study = {}", name, now, study
    )


async def members(records: Records, name: str, *, content: bool = False) -> list[Member]:
    """The studies of a group in order of arrival; with `content` the newest report's as well."""
    wanted = "r.content" if content else "NULL"
    rows = await records.run(
        f'SELECT s.id AS study, o.id AS "order", o.state, o.code, r.id AS report, {wanted} AS content FROM studies s '
        "LEFT JOIN study_list l ON l.study = s.id LEFT JOIN orders o ON o.id = l.order_id "
        "LEFT JOIN reports r ON r.order_id = o.id AND r.kind = 'report' AND r.version = "
        "(SELECT MAX(n.version) FROM reports n WHERE n.order_id = o.id AND n.kind = 'report') "
        "WHERE s.group_name = {} ORDER BY s.first_at, s.id",
        name,
    )
    return [msgspec.convert(row, Member, strict=False) for row in rows]


async def next_version(records: Records, group: str) -> int:
    """The number that a group's next report gets."""
    rows = await records.run("SELECT COALESCE(MAX(version), 0) AS n FROM cohort_reports WHERE cohort = {}", group)
    return int(rows[0]["n"]) + 1


async def claim_completed(records: Records, row: GroupRow, key: str) -> bool:
    """Notes for which members a group was complete; false when another process did so meanwhile."""
    sql = "UPDATE cohorts SET completed_key = {} WHERE id = {} AND completed_key = {} RETURNING id"
    return bool(await records.run(sql, key, row.id, row.completed_key))


async def claim_scheduled(records: Records, row: GroupRow, schedule: str, now: int) -> bool:
    """Notes when a group's schedule was last heeded; false when another process did so meanwhile."""
    sql = "UPDATE cohorts SET schedule = {}, scheduled_at = {} WHERE id = {} AND scheduled_at = {} RETURNING id"
    return bool(await records.run(sql, schedule, now, row.id, row.scheduled_at))


async def add_report(row: GroupReportRow) -> None:
    """Stores a report; joins the transaction that is open."""
    await CohortReport.insert(CohortReport(**msgspec.structs.asdict(row))).run()


async def report(identifier: str) -> GroupReportRow:
    """One report of a group; raises `Unknown`."""
    row = await CohortReport.select().where(CohortReport.id == identifier).first().run()
    if row is None:
        raise Unknown(kind="group report")
    return _report(row)


async def report_of_key(key: str) -> GroupReportRow | None:
    """The report that this idempotency key made."""
    row = await CohortReport.select().where(CohortReport.idempotency_key == key).first().run() if key else None
    return _report(row) if row else None


async def reports(group: str, limit: int = 100) -> Sequence[GroupReportRow]:
    """The reports of a group, newest first."""
    query = CohortReport.select().where(CohortReport.cohort == group).order_by(CohortReport.version, ascending=False)
    return [_report(row) for row in await query.limit(limit).run()]


async def every_report() -> list[GroupReportRow]:
    """The reports of all groups."""
    return [_report(row) for row in await CohortReport.select().order_by(CohortReport.id).run()]


async def keep_formats(records: Records, identifier: str, formats: Sequence[str], searched: str) -> None:
    """Notes which formats of a report are left, and the digests of what was looked through."""
    await records.run(
        "UPDATE cohort_reports SET formats = {}, searched = {} WHERE id = {}", ",".join(formats), searched, identifier
    )


async def of_report(identifier: str) -> GroupRow:
    """The group that a report is about; raises `Unknown`."""
    row = await Cohort.select().where(Cohort.id == (await report(identifier)).cohort).first().run()
    if row is None:
        raise Unknown(kind="group")
    return _group(row)
