"""What is older than the settings keep it is deleted: studies with all their orders and traces, rows, log files (NOT-04).

Nothing goes that is in use, held for a person, still arriving, not delivered, being pulled, or whose sender waits for storage
commitment. The audit is never touched.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from appliance import audit, logs, removal
from appliance.errors import RanvierError
from appliance.house import House
from appliance.records import retention as rows
from appliance.records.retention import OldStudy
from appliance.storage import remove_folder

DAY_MS = 86_400_000
MOST_AT_ONCE = 500
"""Studies of one run: the rest goes with the next, so that no run lasts for hours."""


class Swept(msgspec.Struct, kw_only=True, frozen=True):
    """What went, or would go, and what stays although it is old."""

    studies: list[str]
    orders: int
    files: int
    bytes: int
    rows: dict[str, int]
    logs: int
    quarantined: int
    """Instances that could not be filed; they belong to no study."""
    kept: dict[str, int]
    """Reason -> number of studies."""

    @property
    def words(self) -> str:
        """In one line."""
        stay = ", ".join(f"{count} {reason}" for reason, count in sorted(self.kept.items()))
        gone = f"{len(self.studies)} studies, {self.orders} orders, {self.files} files, {sum(self.rows.values())} rows, "
        aside = f", {self.quarantined} from quarantine" if self.quarantined else ""
        return f"{gone}{self.logs} log files{aside}" + (f"; kept: {stay}" if stay else "")


async def run(house: House, *, actor: str, now: int, dry_run: bool = False) -> Swept:
    """Deletes what is old, or only says what would go; each study that goes stands in the audit."""
    section = (await house.settings()).settings.retention
    gone: list[str] = []
    kept: Counter[str] = Counter()
    traces: list[removal.Traces] = []
    if section.orders_days:
        async for one in _old(house, now - section.orders_days * DAY_MS):
            if len(gone) == MOST_AT_ONCE:
                break
            if one.reason:
                kept[one.reason] += 1
                continue
            try:
                traces.append(await removal.delete_study(house, one.id, actor=actor, now=now, dry_run=dry_run))
            except RanvierError as busy:
                kept[busy.code] += 1
                continue
            gone.append(one.id)
            if not dry_run:
                await audit.append(actor, "study.deleted", one.id, "done", "retention", now, traces[-1].words)
    found: dict[str, int] = {}
    if section.records_days:
        before = now - section.records_days * DAY_MS
        found = await rows.old_rows(house.records, before)
        if found and not dry_run:
            await rows.forget_rows(house.records, before)
            said = ", ".join(f"{count} of {table}" for table, count in found.items())
            await audit.append(actor, "retention.rows", "", "done", "retention", now, said)
    aside = await _old_quarantine(house, section.orders_days, now, dry_run=dry_run)
    if aside and not dry_run:
        await audit.append(actor, "retention.quarantine", "", "done", "retention", now, f"{aside} folders")
    old_logs = await asyncio.to_thread(logs.forget, house.home, section.logs_days, now, dry_run=dry_run)
    return Swept(
        studies=gone,
        orders=sum(len(one.orders) for one in traces),
        files=sum(one.files for one in traces),
        bytes=sum(one.bytes for one in traces),
        rows=found,
        logs=old_logs,
        quarantined=aside,
        kept=dict(kept),
    )


async def _old_quarantine(house: House, days: int, now: int, *, dry_run: bool) -> int:
    """Deletes what was set aside so many days ago and belongs to no order; gives how many. 0 days is without end."""
    if not days:
        return 0
    before, gone = (now - days * DAY_MS) / 1000, 0
    for folder in await asyncio.to_thread(house.storage.quarantined):
        newest = max((one.stat().st_mtime for one in (folder, *folder.rglob("*"))), default=0.0)
        if newest < before and not await rows.is_order(house.records, folder.name):
            gone += 1
            if not dry_run:
                await asyncio.to_thread(remove_folder, folder)
    return gone


async def _old(house: House, before: int) -> AsyncIterator[OldStudy]:
    after = ""
    while page := await rows.old_studies(house.records, before, after):
        for one in page:
            yield one
        after = page[-1].id
