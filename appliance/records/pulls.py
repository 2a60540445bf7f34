"""Pulls from PACS nodes: ask, claim, follow, end; and what the source of a study said that the study holds.

What is wanted is sealed: a Study Instance UID names a patient at whoever gave it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.errors import Conflict, Unknown
from appliance.moments import new_id
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.records.latest import latest
from appliance.records.retrieval_tables import Completeness, Pull
from appliance.records.words import PULL_WORDS
from appliance.states import RunState

_PURPOSE = "pulls"
OPEN = (RunState.PENDING, RunState.RUNNING)


class PullEnded(Conflict):
    """This pull has ended already ({state})."""

    code = "pull-ended"


class Wanted(msgspec.Struct, kw_only=True, frozen=True):
    """What is to be retrieved: a study, some of its series, or some instances of one series, by their UIDs at the node."""

    study_uid: str
    series_uids: tuple[str, ...] = ()
    sop_uids: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """The level of the retrieval (PS3.4 section C.4.2)."""
        return "IMAGE" if self.sop_uids else "SERIES" if self.series_uids else "STUDY"


class PullRow(msgspec.Struct, kw_only=True, frozen=True):
    """One pull as it stands in the records."""

    id: str
    node: str
    state: RunState
    reason: str
    uid_key: str
    level: str
    remaining: int | None
    completed: int
    failed: int
    warnings: int
    attempt: int
    detail: str
    owner: str
    cancel_asked: bool
    worker: str
    lease_until: int
    not_before: int
    created_at: int
    ended_at: int | None


class CompletenessRow(msgspec.Struct, kw_only=True, frozen=True):
    """What a node said of a study: `state` is whole, missing or unknown."""

    study: str
    node: str
    state: str
    row_version: int
    expected: int | None
    held: int
    missing: int
    pulls: int
    detail: str
    asked_at: int


def study_key(keys: Sealer, study_uid: str) -> str:
    """The digest under which filing keeps a study with this UID."""
    return keys.digest("study-uid", study_uid)


def sop_key(keys: Sealer, sop_uid: str) -> str:
    """The digest under which filing keeps an instance with this UID."""
    return keys.digest("sop-uid", sop_uid)


def series_key(keys: Sealer, series_uid: str) -> str:
    """The digest under which filing keeps a series with this UID."""
    return keys.digest("series-uid", series_uid)


async def add(
    keys: Sealer, node: str, wanted: Sequence[Wanted], *, reason: str, owner: str, now: int, idempotency_key: str = ""
) -> list[PullRow]:
    """Asks for retrievals, one row for each; the same idempotency key again gives the rows that are there."""
    if there := await by_idempotency_key(idempotency_key):
        return there
    rows = []
    for one in wanted:
        identifier = new_id(now)
        rows.append(
            Pull(
                id=identifier,
                node=node,
                state=str(RunState.PENDING),
                reason=reason,
                sealed=keys.seal(_PURPOSE, msgspec.json.encode(one), identifier),
                uid_key=study_key(keys, one.study_uid),
                level=one.level,
                owner=owner,
                not_before=now,
                created_at=now,
                idempotency_key=idempotency_key,
            )
        )
    if rows:
        await Pull.insert(*rows).run()
    return [await get(str(one.id)) for one in rows]


def _row(found: dict[str, Any]) -> PullRow:
    return msgspec.convert(found, PullRow, strict=False)


async def get(pull: str) -> PullRow:
    """One pull; raises `Unknown`."""
    row = await Pull.select().where(Pull.id == pull).first().run()
    if row is None:
        raise Unknown(kind="pull")
    return _row(row)


async def wanted(keys: Sealer, pull: str) -> Wanted:
    """What a pull is to bring."""
    row = await Pull.select(Pull.sealed).where(Pull.id == pull).first().run()
    if row is None:
        raise Unknown(kind="pull")
    return msgspec.json.decode(keys.open(_PURPOSE, bytes(row["sealed"]), pull), type=Wanted)


async def page(text: str = "", *, before: str = "", limit: int = 100, now: int = 0) -> tuple[list[PullRow], str]:
    """The newest pulls that fit a filter, from one on, and the mark of the next page; raises `FilterProblem`."""
    rows, mark_of_next = await latest(Pull, PULL_WORDS, text=text, before=before, limit=limit, now=now)
    return [_row(row) for row in rows], mark_of_next


async def by_idempotency_key(key: str) -> list[PullRow]:
    """The pulls that this key asked for."""
    return [_row(one) for one in await Pull.select().where(Pull.idempotency_key == key).order_by(Pull.id).run()] if key else []


async def open_for(uid_key: str) -> bool:
    """Whether a pull that may bring instances of this study has not ended."""
    states = [str(one) for one in OPEN]
    return bool(await Pull.select(Pull.id).where(Pull.uid_key == uid_key).where(Pull.state.is_in(states)).first().run())


async def unsettled(records: Records) -> int:
    """How many pulls have not ended."""
    rows = await records.run("SELECT COUNT(*) AS n FROM pulls WHERE state IN ({}, {})", *(str(one) for one in OPEN))
    return int(rows[0]["n"])


async def source_of(uid_key: str) -> str:
    """The node that a study was last pulled from as somebody asked; empty when it came by itself."""
    query = Pull.select(Pull.node).where(Pull.uid_key == uid_key).where(Pull.reason != "missing")
    row = await query.order_by(Pull.id, ascending=False).first().run()
    return str(row["node"]) if row else ""


async def claim(records: Records, *, worker: str, now: int, lease_ms: int, busy: Sequence[str] = ()) -> PullRow | None:
    """Takes the pull that is due longest, of none of the `busy` nodes; one whose worker died is taken up again."""
    marks = ", ".join("{}" for _ in busy)
    others = f"AND node NOT IN ({marks}) " if busy else ""
    skip = "" if records.on_sqlite else "FOR UPDATE SKIP LOCKED"
    due = "((state = {} AND not_before <= {}) OR (state = {} AND lease_until <= {}))"
    moment = (str(RunState.PENDING), now, str(RunState.RUNNING), now)
    # Nearly every look finds nothing, and a look takes no lock that writers wait for.
    if not await records.run(f"SELECT id FROM pulls WHERE {due} {others}LIMIT 1", *moment, *busy):
        return None
    rows = await records.run(
        "UPDATE pulls SET state = {}, worker = {}, attempt = attempt + 1, lease_until = {} WHERE id = ("
        f"SELECT id FROM pulls WHERE {due} {others}ORDER BY not_before, id LIMIT 1 {skip}) AND {due} RETURNING *",
        str(RunState.RUNNING),
        worker,
        now + lease_ms,
        *moment,
        *busy,
        *moment,
    )
    return _row(rows[0]) if rows else None


async def follow(
    records: Records, row: PullRow, *, now: int, lease_ms: int, remaining: int | None, completed: int, failed: int
) -> bool:
    """Writes how far a pull is and keeps its lease; false when somebody asked to cancel or the lease was lost."""
    rows = await records.run(
        "UPDATE pulls SET remaining = {}, completed = {}, failed = {}, lease_until = {} "
        "WHERE id = {} AND worker = {} AND attempt = {} AND state = {} RETURNING cancel_asked",
        remaining,
        completed,
        failed,
        now + lease_ms,
        row.id,
        row.worker,
        row.attempt,
        str(RunState.RUNNING),
    )
    return bool(rows) and not rows[0]["cancel_asked"]


async def end(
    records: Records, row: PullRow, state: RunState, *, now: int, detail: str, warnings: int = 0, not_before: int = 0
) -> bool:
    """Ends an attempt: for good, or PENDING again from `not_before` on; false when the lease was lost."""
    rows = await records.run(
        "UPDATE pulls SET state = {}, detail = {}, warnings = {}, not_before = {}, ended_at = {}, worker = '', lease_until = 0 "
        "WHERE id = {} AND worker = {} AND attempt = {} RETURNING id",
        str(state),
        detail,
        warnings,
        not_before,
        None if state in OPEN else now,
        row.id,
        row.worker,
        row.attempt,
    )
    return bool(rows)


async def cancel(records: Records, pull: str, *, now: int) -> PullRow:
    """Ends a waiting pull, asks a running one to stop; raises `Unknown` and `PullEnded`."""
    row = await get(pull)
    if row.state not in OPEN:
        raise PullEnded(state=row.state)
    await records.run(
        "UPDATE pulls SET state = {}, cancel_asked = {}, ended_at = {} WHERE id = {} AND state = {}",
        str(RunState.CANCELLED),
        True,
        now,
        pull,
        str(RunState.PENDING),
    )
    await Pull.update({Pull.cancel_asked: True}).where(Pull.id == pull).run()
    return await get(pull)


async def completeness(study: str) -> CompletenessRow | None:
    """What the source of a study said; None when nobody was asked."""
    row = await Completeness.select().where(Completeness.study == study).first().run()
    return msgspec.convert(row, CompletenessRow, strict=False) if row else None


async def save_completeness(records: Records, row: CompletenessRow) -> None:
    """Writes what a node said, in place of what was said before."""
    await records.run("DELETE FROM completeness WHERE study = {}", row.study)
    await Completeness.insert(Completeness(**msgspec.structs.asdict(row))).run()


async def held(records: Records, study: str) -> tuple[dict[str, int], set[str]]:
    """What a study holds: digest of a series UID -> how many instances of it, and the digests of the SOP Instance UIDs."""
    series = await records.run(
        "SELECT series.uid_key, COUNT(DISTINCT instances.sop_key) AS n FROM series "
        "LEFT JOIN instances ON instances.series = series.id WHERE series.study = {} GROUP BY series.uid_key",
        study,
    )
    instances = await records.run("SELECT DISTINCT sop_key FROM instances WHERE study = {}", study)
    return {str(one["uid_key"]): int(one["n"]) for one in series}, {str(one["sop_key"]) for one in instances}
