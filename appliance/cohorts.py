"""Groups: what people do with them, and what the clock does for them.

All orders of a group use the same products in the same versions, so that their numbers belong in one table. A group is
complete when every member's newest order has ended; each time that becomes so, with other members or results than before, its
report is made.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from appliance import cohort_reports, pipeline
from appliance.events import GroupCompleted, StudyGrouped
from appliance.groups import rules
from appliance.house import House
from appliance.moments import id_of_digest
from appliance.products import catalogue
from appliance.records import events, groups, orders, studies
from appliance.records.groups import GroupReportRow, GroupRow
from appliance.settings import Settings
from appliance.storage import remove_folder
from appliance.upkeep.cadence import due, following
from appliance.upkeep.section import SchedulerSection


async def create(house: House, name: str, products: Sequence[str], *, actor: str, now: int, again: str = "") -> GroupRow:
    """A new group for some products, or the default ones, in the versions that are installed.

    The same `again` (a digest; empty: never) gives the same group. Raises `BadGroupName`, `GroupThere`, `GroupOfKey`,
    `ProductUnknown`, `ProductNotHere`.
    """
    settings = (await house.settings()).settings
    chosen = pipeline.chosen(house, settings, products)
    kept = rules.pinned(chosen, versions(house))
    identifier = id_of_digest(again) if again else ""
    return await groups.create(
        house.records, rules.checked_name(name), identifier=identifier, products=kept, actor=actor, now=now
    )


async def accept_versions(house: House, name: str) -> GroupRow:
    """Fixes a group to the versions of its products that are installed now; raises `Unknown`, `ProductUnknown`."""
    row = await groups.get(name)
    settings = (await house.settings()).settings
    chosen = pipeline.chosen(house, settings, list(rules.unpinned(row.products)))
    await groups.pin(house.records, row.id, rules.pinned(chosen, versions(house)))
    return await groups.get(name)


def versions(house: House) -> dict[str, str]:
    """Product -> installed version."""
    return {name: manifest.version for name, manifest in catalogue(house.home).items()}


async def put(house: House, study: str, name: str, *, actor: str, now: int) -> None:
    """Puts a study into a group, or out of its own for an empty name; raises `Unknown`, `GroupProductsDiffer`.

    Its orders that were not cancelled must have used the group's products: one that used others would tear a hole into the
    group's table.
    """
    group = await groups.get(name) if name else None
    async with house.records.transaction():
        await studies.lock(house.records, study)
        await studies.get(study)
        newest = next(iter(await orders.of_study(study)), None)
        if group is not None and newest is not None and rules.standing(str(newest.state)) != "cancelled":
            fixed = rules.unpinned(group.products)
            if set(newest.product_list) != set(fixed):
                asked = ", ".join(newest.product_list) or "no known product"
                raise rules.GroupProductsDiffer(group=name, fixed=", ".join(fixed), asked=asked)
        await groups.put(house.records, study, name, now)
        await events.append(StudyGrouped(study=study, group=name or "no group", actor=actor), now)


async def remove(house: House, name: str) -> None:
    """Takes away a group without studies, with its reports; raises `Unknown`, `GroupNotEmpty`."""
    row = await groups.get(name)
    await groups.remove(house.records, row)
    await asyncio.to_thread(remove_folder, house.storage.cohort(row.id))


async def report(house: House, name: str, *, now: int, send: bool, again: str = "") -> GroupReportRow:
    """A report on demand; raises `Unknown`, `NobodyThere`, `Withheld` and what the stage raises.

    The same `again` (a digest; empty: never) gives the same report.
    """
    group = await groups.get(name)
    if made := await groups.report_of_key(again):
        return made

    async def claim() -> bool:
        return await groups.report_of_key(again) is None

    return await cohort_reports.make(house, group, reason="on demand", now=now, send=send, claim=claim, again=again)


def next_scheduled(settings: Settings, group: GroupRow, now: int) -> int | None:
    """When the clock sends a group's next report; None where there is no schedule."""
    last = group.scheduled_at if settings.groups.schedule == group.schedule else now
    return following(settings.groups.schedule, settings.site.time_zone, last) if settings.groups.schedule else None


async def tend(house: House, now: int) -> None:
    """What the clock asks for: reports of groups that have become complete, and scheduled ones."""
    settings = (await house.settings()).settings
    for group in await groups.everyone():
        with suppress(cohort_reports.Overtaken, cohort_reports.Withheld):
            await _complete(house, group, settings, now)
        with suppress(cohort_reports.Overtaken, cohort_reports.Withheld):
            await _scheduled(house, group, settings, now)


async def is_reported(house: House, name: str) -> bool:
    """Whether a group is complete, and its report was made for the members that it has."""
    group = await groups.find(name)
    return group is not None and bool(group.completed_key) and (await _completion(house, name))[0] == group.completed_key


async def still_reported(house: House, name: str) -> None:
    """A member was deleted: that makes no new report of those that are left; joins the transaction that is open."""
    group = await groups.get(name)
    key, _ = await _completion(house, name)
    await groups.claim_completed(house.records, group, key or group.completed_key)


async def _completion(house: House, name: str) -> tuple[str, list[rules.Standing]]:
    """What tells one complete state of a group from another, empty while one is open; and how far each member is."""
    members = await groups.members(house.records, name)
    standings = [rules.standing(one.state or "") for one in members]
    if not members or "open" in standings:
        return "", standings
    told = [(one.order or "", standing, one.report or "") for one, standing in zip(members, standings, strict=True)]
    return rules.fingerprint(told), standings


async def _complete(house: House, group: GroupRow, settings: Settings, now: int) -> None:
    key, standings = await _completion(house, group.name)
    if not key or key == group.completed_key:
        return
    done, failed = standings.count("done"), standings.count("failed")

    async def claim() -> bool:
        if not await groups.claim_completed(house.records, group, key):
            return False
        await events.append(GroupCompleted(group=group.name, studies=len(standings), done=done, failed=failed), now)
        return True

    await cohort_reports.make(house, group, reason="completed", now=now, send=settings.groups.send_on_completion, claim=claim)


async def _scheduled(house: House, group: GroupRow, settings: Settings, now: int) -> None:
    """A report at each moment of the schedule; one that was missed is made up for once. A new schedule begins now."""
    schedule = settings.groups.schedule

    async def claim() -> bool:
        return await groups.claim_scheduled(house.records, group, schedule, now)

    if schedule != group.schedule:
        await claim()
        return
    section = SchedulerSection(cadence="cron", cron=schedule or "0 0 1 1 *")
    if not schedule or not due(section, settings.site.time_zone, group.scheduled_at, now):
        return
    if await groups.members(house.records, group.name):
        await cohort_reports.make(house, group, reason="scheduled", now=now, send=True, claim=claim)
    else:
        await claim()
