"""From a group's members to its report: a table with its schema and a page of statistics, and one delivery a destination."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from appliance import sought
from appliance.compute.local import StageEnded, run_stage
from appliance.deidentify.last_look import IdentityFound
from appliance.errors import Conflict
from appliance.events import GroupReportMade, GroupReportWithheld
from appliance.groups import rules
from appliance.house import House
from appliance.moments import iso, new_id
from appliance.records import deliveries, events, groups
from appliance.records.groups import GroupReportRow, GroupRow, Member
from appliance.reports.as_csv import facts_of
from appliance.reports.cohort import Distribution, distributions_of
from appliance.reports.cohort_content import CohortMember, Number
from appliance.reports.content import ReportContent
from appliance.searched import Searched, SearchedCohort
from appliance.settings import Settings
from appliance.steps import LIGHT
from appliance.storage import publish_folder, remove_folder


class Overtaken(Conflict):
    """Another process made this report of group {group} meanwhile."""

    code = "group-report-overtaken"


class Withheld(Conflict):
    """The report of group {group} was made and thrown away. {why}"""

    code = "group-report-withheld"
    next_step = "Look at the reports of the group's studies for a name that somebody typed or a product wrote."


class NobodyThere(Conflict):
    """Group {group} has no studies yet."""

    code = "group-empty"
    next_step = "Put studies into the group first."


Claim = Callable[[], Awaitable[bool]]


async def make(
    house: House, group: GroupRow, *, reason: str, now: int, send: bool, claim: Claim | None = None, again: str = ""
) -> GroupReportRow:
    """A new report of a group as its members stand; raises `NobodyThere`, `Overtaken`, `Withheld` and what the stage raises.

    `claim` is asked in the transaction that stores the report: when it is false another process was faster, and nothing is
    stored.
    """
    settings = (await house.settings()).settings
    request = await _request(house, group, settings, reason, now)
    final = house.storage.cohort(group.id) / request.report
    try:
        answer = await _drawn(house, request, final)
    except StageEnded as ended:
        if ended.error.code != IdentityFound.code:
            raise
        await _withheld(house, group, ended.error.what, now, claim)
        raise Withheld(group=group.name, why=ended.error.what) from None
    row = GroupReportRow(
        id=request.report,
        cohort=group.id,
        version=request.version,
        reason=reason,
        members=len(request.members),
        done=sum(one.standing == "done" for one in request.members),
        failed=sum(one.standing == "failed" for one in request.members),
        folder=house.storage.relative(final),
        stem=request.stem,
        formats=",".join(answer.files),
        searched=msgspec.json.encode(answer.searched).decode(),
        created_at=now,
        idempotency_key=again,
    )
    names = [one.name for one in settings.delivery.group_destinations] if send else []
    try:
        await _stored(house, group, row, names, now, claim)
    except Overtaken:
        await asyncio.to_thread(remove_folder, final)
        raise
    return row


async def _request(house: House, group: GroupRow, settings: Settings, reason: str, now: int) -> SearchedCohort:
    found = await groups.members(house.records, group.name, content=True)
    if not found:
        raise NobodyThere(group=group.name)
    report, version = new_id(now), await groups.next_version(house.records, group.id)
    return SearchedCohort(
        group=group.name,
        report=report,
        version=version,
        made_at=iso(now),
        reason=reason,
        site=settings.reports.institution or settings.site.name,
        products=rules.unpinned(group.products),
        members=await asyncio.to_thread(_members, found),
        out_folder=str(house.storage.scratch(report) / "out"),
        stem=rules.file_stem(settings.groups.filename_template, group.name, _date(settings, now), version),
        paper=settings.reports.paper,
        sought=await sought.of_group(house, settings, group.name, now),
    )


async def statistics(house: House, group: GroupRow) -> list[Distribution]:
    """How every number is distributed over the members as they stand; empty where no study has one."""
    found = await groups.members(house.records, group.name, content=True)
    return await asyncio.to_thread(lambda: distributions_of(_members(found)))


async def _drawn(house: House, request: SearchedCohort, final: Path) -> Searched:
    """Has the files made and looked through, and puts them where they stay."""
    draft = Path(request.out_folder)
    draft.mkdir(parents=True)
    try:
        raw = await run_stage("cohort", request, LIGHT, progress=_silent, out_folder=draft)
        await asyncio.to_thread(publish_folder, draft, final)
    finally:
        await asyncio.to_thread(remove_folder, house.storage.scratch(request.report))
    return msgspec.json.decode(raw, type=Searched)


async def _withheld(house: House, group: GroupRow, why: str, now: int, claim: Claim | None) -> None:
    """Says once that a person must look; the next report is tried when the group has changed or somebody asks."""
    async with house.records.transaction():
        if claim is not None and not await claim():
            raise Overtaken(group=group.name)
        await events.append(GroupReportWithheld(group=group.name, what=why), now)


async def _stored(
    house: House, group: GroupRow, row: GroupReportRow, destinations: Sequence[str], now: int, claim: Claim | None
) -> None:
    async with house.records.transaction():
        if claim is not None and not await claim():
            raise Overtaken(group=group.name)
        await groups.add_report(row)
        await deliveries.create(row.id, "", destinations, now)
        told = GroupReportMade(group=group.name, report=row.id, version=row.version, reason=row.reason)
        await events.append(told, now)


async def send(house: House, report: GroupReportRow, *, now: int) -> int:
    """Sends a report to every group destination; those that have it get the same again. Gives how many."""
    names = [one.name for one in (await house.settings()).settings.delivery.group_destinations]
    async with house.records.transaction():
        there = {one.destination: one for one in await deliveries.of_report(report.id)}
        for name in names:
            row = there.get(name)
            if row is not None and row.state not in deliveries.OPEN:
                await deliveries.send_again(house.records, row.id, now=now)
        await deliveries.create(report.id, "", names, now)
    return len(names)


def _members(found: Sequence[Member]) -> list[CohortMember]:
    return [_member(one) for one in found]


def _member(one: Member) -> CohortMember:
    standing = rules.standing(one.state or "")
    plain = CohortMember(study=one.study, order=one.order or "", standing=standing, code=one.code or "")
    if standing != "done" or not one.content:
        return plain
    content = msgspec.json.decode(one.content, type=ReportContent)
    numbers = [
        Number(column=f"{section.product}.{row.name}", label=row.label, value=row.value, unit=row.unit)
        for section in content.sections
        if not section.failure
        for row in section.rows
    ]
    return msgspec.structs.replace(plain, facts=facts_of(content), numbers=numbers)


def _date(settings: Settings, now: int) -> str:
    return datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(settings.site.time_zone)).strftime("%Y-%m-%d")


async def _silent(_fraction: float, _step: str) -> None:
    return None
