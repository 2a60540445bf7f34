"""When a study is complete: nothing came for the quiet time, and no association or upload may still bring more.

Quiet time is measured by the monotonic clock of the process that watches, from the moment it saw the last change; the wall
clock may jump either way and a daylight-saving hour may come, and no study becomes stable early or late. A process that has
just started has seen nothing yet and waits the whole quiet time.
"""

import time
from collections.abc import Awaitable, Callable, Hashable

import msgspec

from appliance.events import StudyReleased, StudyStable
from appliance.moments import new_id
from appliance.receive.quiet import proposal, quiet_seconds
from appliance.receive.section import ReceiveSection
from appliance.records import events, senders, studies
from appliance.records.engine import Records
from appliance.records.studies import ActivityRow, StudyRow
from appliance.states import IllegalMove, StudyState, check_study_move

LOST_AFTER_S = 30.0
"""An association or upload whose process gave no sign of life for so long counts as ended."""


class Watch:
    """Since when things have not changed, by the monotonic clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seen: dict[str, tuple[Hashable, float]] = {}

    def unchanged_for(self, key: str, state: Hashable) -> float:
        """Seconds since `state` was first seen under this key."""
        now = self._monotonic()
        before = self._seen.get(key)
        if before is None or before[0] != state:
            self._seen[key] = (state, now)
            return 0.0
        return now - before[1]

    def keep_only(self, keys: set[str]) -> None:
        """Forgets what is no longer there."""
        for key in self._seen.keys() - keys:
            del self._seen[key]


async def at_once(_study: StudyRow) -> bool:
    """Nothing else is waited for."""
    return True


class Settler:
    """Marks studies stable; one a process, asked about once a second."""

    def __init__(
        self,
        records: Records,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        ready: Callable[[StudyRow], Awaitable[bool]] = at_once,
    ) -> None:
        """`ready` is asked about each study that is quiet: whether its source has said that it is whole."""
        self._records = records
        self._ready = ready
        self._studies = Watch(monotonic)
        self._activities = Watch(monotonic)

    async def settle(self, section: ReceiveSection, *, now: int) -> list[str]:
        """Marks every study stable that is quiet and held by nobody; gives their identifiers."""
        held = await self._held()
        receiving = await studies.in_state(StudyState.RECEIVING)
        self._studies.keep_only({study.id for study in receiving})
        learned = await self._learned() if section.learned_quiet else {}
        settled = []
        for study in receiving:
            quiet = self._studies.unchanged_for(study.id, study.row_version)
            enough = quiet_seconds(section, study.sender, learned)
            if quiet < enough or study.id in held or not await self._ready(study):
                continue
            if await self._mark(study, now):
                settled.append(study.id)
        return settled

    async def _learned(self) -> dict[str, int]:
        return {one.sender: found for one in await senders.everyone() if (found := proposal(one)) is not None}

    async def _held(self) -> set[str]:
        """Studies that a living association or upload holds open; the rows of dead ones are dropped."""
        rows = await studies.activities()
        self._activities.keep_only({row.id for row in rows})
        held = set()
        for row in rows:
            if self._activities.unchanged_for(row.id, row.seen_at) >= LOST_AFTER_S:
                await studies.expire_activity(row.id, row.seen_at)
            else:
                held.add(row.study)
        return held

    async def _mark(self, study: StudyRow, now: int) -> bool:
        async with self._records.transaction():
            if not await studies.mark_stable(self._records, study, now):
                return False
            await events.append(StudyStable(study=study.id, version=study.version, instances=study.instances), now)
        return True


async def force_stable(records: Records, study: str, *, now: int) -> None:
    """Ends the wait for a study because a person says that it is complete; what comes later makes a new version.

    Raises `Unknown`, and `IllegalMove` for a study that is not RECEIVING.
    """
    async with records.transaction():
        await studies.lock(records, study)
        row = await studies.get(study)
        check_study_move(row.state, StudyState.STABLE)
        await studies.change_state(records, study, row.state, StudyState.STABLE, now)
        told = StudyStable(study=study, version=row.version, instances=row.instances, forced=True)
        await events.append(told, now)


async def release(records: Records, study: str, *, actor: str, now: int) -> None:
    """Lets a study out of quarantine because a person has looked; it is complete again after the quiet time.

    Raises `Unknown`, and `IllegalMove` for a study that is not QUARANTINED.
    """
    async with records.transaction():
        await studies.lock(records, study)
        row = await studies.get(study)
        if row.state is not StudyState.QUARANTINED:
            raise IllegalMove(thing="study", old=row.state, new=StudyState.RECEIVING)
        await studies.save_progress(
            records, msgspec.structs.replace(row, state=StudyState.RECEIVING, reason="", stable_at=None)
        )
        await events.append(StudyReleased(study=study, actor=actor), now)


async def open_activity(kind: str, *, process: str, study: str, sender: str, now: int) -> str:
    """Says that an upload (or another way in) may bring instances of a study; gives the activity's identifier.

    Without a `touch` within half a minute it counts as abandoned.
    """
    row = ActivityRow(
        id=new_id(now), kind=kind[:16], process=process, study=study, sender=sender[:64], opened_at=now, seen_at=now
    )
    await studies.open_activity(row)
    return row.id


async def touch(activity: str, *, now: int) -> None:
    """Says that an upload is alive."""
    await studies.touch_activity(activity, now)


async def close_activity(activity: str) -> None:
    """Says that nothing more comes from an upload."""
    await studies.close_activities([activity])
