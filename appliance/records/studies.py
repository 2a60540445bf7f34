"""Studies, series, instances and what still holds them open: the named queries of receiving and of those who read after it.

Functions that write join the transaction that is open. Bulk rows go through `Records.run_many`: Piccolo's own insert costs
twenty times as much for each row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from appliance.errors import Unknown
from appliance.records.engine import Records
from appliance.records.tables import Activity, Instance, Series, Study
from appliance.states import StudyState

_AT_ONCE = 400
"""Values in one IN list: SQLite of old builds takes 999 in a statement."""

ORDER_DELETED = "order-deleted"
"""`reason` of a study whose order somebody deleted: none is opened for it by itself."""


class StudyRow(msgspec.Struct, kw_only=True, frozen=True):
    """One study in its newest version."""

    id: str
    version: int
    state: StudyState
    uid_key: str
    pseudonym: str
    sender: str
    address: str
    origin: str
    instances: int
    series: int
    bytes: int
    first_at: int
    last_at: int
    stable_at: int | None
    reason: str
    conflicts: int
    priority: int
    product_tag: str
    labels: str
    workflow_status: str
    group_name: str
    row_version: int


class SeriesRow(msgspec.Struct, kw_only=True, frozen=True):
    """One series; `label` names nobody."""

    id: str
    study: str
    uid_key: str
    number: int
    modality: str
    label: str
    sop_class: str
    transfer_syntax: str
    instances: int


class InstanceRow(msgspec.Struct, kw_only=True, frozen=True):
    """One instance as it came; `path` is below the storage root."""

    id: str
    study: str
    series: str
    version: int
    sop_key: str
    sop_class: str
    transfer_syntax: str
    content_hash: str
    bytes: int
    path: str
    conflict: bool
    sender: str
    received_at: int


class ActivityRow(msgspec.Struct, kw_only=True, frozen=True):
    """An association or upload that may still bring instances of a study."""

    id: str
    kind: str
    process: str
    study: str
    sender: str
    opened_at: int
    seen_at: int


class Counts(msgspec.Struct, kw_only=True, frozen=True):
    """How many studies stand in which state."""

    receiving: int = 0
    stable: int = 0
    quarantined: int = 0


def _study(row: dict[str, Any]) -> StudyRow:
    return msgspec.convert(row, StudyRow, strict=False)


async def get(study: str) -> StudyRow:
    """One study; raises `Unknown`."""
    row = await Study.select().where(Study.id == study).first().run()
    if row is None:
        raise Unknown(kind="study")
    return _study(row)


async def locked_by_uid_key(records: Records, uid_key: str) -> StudyRow | None:
    """The study with this digest of its Study Instance UID, kept from other writers until this transaction ends."""
    tail = "" if records.on_sqlite else " FOR UPDATE"
    rows = await records.run("SELECT * FROM studies WHERE uid_key = {}" + tail, uid_key)
    return _study(rows[0]) if rows else None


async def by_uid_keys(records: Records, uid_keys: Sequence[str]) -> dict[str, str]:
    """Digest of a Study Instance UID -> our study, of those that are here."""
    rows = await _in(records, "SELECT id, uid_key FROM studies WHERE uid_key IN ({list})", uid_keys)
    return {str(row["uid_key"]): str(row["id"]) for row in rows}


async def of_patient(pseudonym: str) -> list[str]:
    """The studies that share a pseudonym."""
    rows = await Study.select(Study.id).where(Study.pseudonym == pseudonym).run() if pseudonym else []
    return [str(row["id"]) for row in rows]


async def lock(records: Records, study: str) -> None:
    """Keeps other writers off a study until this transaction ends (SQLite's immediate transactions keep them off all)."""
    if not records.on_sqlite:
        await records.run("SELECT id FROM studies WHERE id = {} FOR UPDATE", study)


async def in_state(state: StudyState, limit: int = 10_000) -> list[StudyRow]:
    """The studies of one state, oldest first."""
    rows = await Study.select().where(Study.state == str(state)).order_by(Study.id).limit(limit).run()
    return [_study(row) for row in rows]


async def states(records: Records) -> dict[str, StudyState]:
    """The state of every study by its identifier."""
    rows = await records.run("SELECT id, state FROM studies")
    return {str(row["id"]): StudyState(row["state"]) for row in rows}


async def counts(records: Records) -> Counts:
    """How many studies stand in which state."""
    rows = await records.run("SELECT state, COUNT(*) AS n FROM studies GROUP BY state")
    return Counts(**{str(row["state"]).lower(): int(row["n"]) for row in rows})


async def without_order(records: Records, limit: int = 100) -> list[StudyRow]:
    """Stable studies that have no order for their newest version, oldest first.

    Not those whose order somebody deleted, those that a client of the hub uploaded, who says itself what runs, and uploaded
    ones that wait for a person.
    """
    rows = await records.run(
        "SELECT s.* FROM studies s WHERE s.state = {} AND s.reason <> {} AND NOT EXISTS "
        "(SELECT 1 FROM orders o WHERE o.study = s.id AND o.study_version = s.version) "
        "AND NOT EXISTS (SELECT 1 FROM hub_orders h WHERE h.uid_key = s.uid_key AND s.sender = 'HUB-' || substr(h.token, 25)) "
        "AND NOT EXISTS (SELECT 1 FROM submission_studies u WHERE u.uid_key = s.uid_key AND u.held = {}) "
        "ORDER BY s.id LIMIT {}",
        str(StudyState.STABLE),
        ORDER_DELETED,
        True,
        limit,
    )
    return [_study(row) for row in rows]


async def give_reason(records: Records, study: str, reason: str) -> bool:
    """Notes why a stable study does not go on, or with nothing that it does; false when it said so already."""
    return bool(
        await records.run("UPDATE studies SET reason = {} WHERE id = {} AND reason <> {} RETURNING id", reason, study, reason)
    )


async def give_pseudonym(records: Records, study: str, pseudonym: str) -> None:
    """Makes a study one of another patient."""
    await records.run("UPDATE studies SET pseudonym = {}, row_version = row_version + 1 WHERE id = {}", pseudonym, study)


async def ask_products(records: Records, study: str, products: str) -> None:
    """Notes which products a study's orders run, where its images name none."""
    await records.run("UPDATE studies SET product_tag = {} WHERE id = {}", products, study)


async def series(study: str) -> list[SeriesRow]:
    """The series of a study by their number."""
    rows = await Series.select().where(Series.study == study).order_by(Series.number, Series.id).run()
    return [msgspec.convert(row, SeriesRow, strict=False) for row in rows]


async def instances(study: str, version: int, *, series: str = "") -> list[InstanceRow]:
    """The instances that a version of a study holds: those that came up to it, conflicts among them, in order of arrival."""
    query = Instance.select().where(Instance.study == study).where(Instance.version <= version)
    if series:
        query = query.where(Instance.series == series)
    return [_instance(row) for row in await query.order_by(Instance.id).run()]


async def first_of_each_series(records: Records, study: str, version: int) -> list[str]:
    """Paths of the instance of each series that came first, in order of arrival."""
    rows = await records.run(
        "SELECT path FROM instances WHERE id IN (SELECT MIN(id) FROM instances WHERE study = {} AND version <= {} "
        "GROUP BY series) ORDER BY id",
        study,
        version,
    )
    return [str(row["path"]) for row in rows]


async def first_instance(study: str) -> InstanceRow | None:
    """The instance that came first."""
    row = await Instance.select().where(Instance.study == study).order_by(Instance.id).first().run()
    return _instance(row) if row else None


def _instance(row: dict[str, Any]) -> InstanceRow:
    return msgspec.convert(row, InstanceRow, strict=False)


async def paths_of(records: Records, instance_ids: Sequence[str]) -> dict[str, str]:
    """Where the bytes of those of these instances lie that have a row."""
    rows = await _in(records, "SELECT id, path FROM instances WHERE id IN ({list})", instance_ids)
    return {str(row["id"]): str(row["path"]) for row in rows}


class Known(msgspec.Struct, kw_only=True, frozen=True):
    """What the records hold under a SOP Instance UID."""

    sop_key: str
    study: str
    content_hash: str


async def known_instances(records: Records, sop_keys: Sequence[str]) -> list[Known]:
    """Everything that came before under these digests of SOP Instance UIDs."""
    rows = await _in(records, "SELECT sop_key, study, content_hash FROM instances WHERE sop_key IN ({list})", sop_keys)
    return [msgspec.convert(row, Known, strict=False) for row in rows]


async def _in(records: Records, sql: str, values: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for start in range(0, len(values), _AT_ONCE):
        part = values[start : start + _AT_ONCE]
        found += await records.run(sql.replace("{list}", ", ".join(["{}"] * len(part))), *part)
    return found


async def add_study(row: Study) -> bool:
    """Stores a new study; false when another writer stored one with the same Study Instance UID first."""
    return bool(await Study.insert(row).on_conflict(target=Study.uid_key, action="DO NOTHING").run())


async def save_progress(records: Records, study: StudyRow) -> None:
    """Writes what filing changed in a study and raises its row version."""
    await records.run(
        "UPDATE studies SET version = {}, state = {}, instances = {}, series = {}, bytes = {}, last_at = {}, stable_at = {}, "
        "reason = {}, conflicts = {}, row_version = row_version + 1 WHERE id = {}",
        study.version,
        str(study.state),
        study.instances,
        study.series,
        study.bytes,
        study.last_at,
        study.stable_at,
        study.reason,
        study.conflicts,
        study.id,
    )


async def save_series(records: Records, rows: Iterable[SeriesRow]) -> None:
    """Stores series, and the counts of those that are there."""
    await records.run_many(
        "INSERT INTO series (id, study, uid_key, number, modality, label, sop_class, transfer_syntax, instances) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET instances = excluded.instances",
        [(r.id, r.study, r.uid_key, r.number, r.modality, r.label, r.sop_class, r.transfer_syntax, r.instances) for r in rows],
    )


async def add_instances(records: Records, rows: Iterable[InstanceRow]) -> None:
    """Stores many instances."""
    await records.run_many(
        "INSERT INTO instances (id, study, series, version, sop_key, sop_class, transfer_syntax, content_hash, bytes, path, "
        "conflict, sender, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [msgspec.structs.astuple(row) for row in rows],
    )


async def mark_stable(records: Records, study: StudyRow, now: int) -> bool:
    """RECEIVING to STABLE if the row is as it was read and nothing holds it open; false when that no longer holds."""
    rows = await records.run(
        "UPDATE studies SET state = {}, stable_at = {}, row_version = row_version + 1 WHERE id = {} AND state = {} "
        "AND row_version = {} AND NOT EXISTS (SELECT 1 FROM activities a WHERE a.study = {}) RETURNING id",
        str(StudyState.STABLE),
        now,
        study.id,
        str(StudyState.RECEIVING),
        study.row_version,
        study.id,
    )
    return bool(rows)


async def change_state(records: Records, study: str, old: StudyState, new: StudyState, now: int) -> bool:
    """Moves a study whatever holds it open; false when it is no longer in `old`."""
    stable_at = now if new is StudyState.STABLE else None
    rows = await records.run(
        "UPDATE studies SET state = {}, stable_at = {}, row_version = row_version + 1 "
        "WHERE id = {} AND state = {} RETURNING id",
        str(new),
        stable_at,
        study,
        str(old),
    )
    return bool(rows)


async def open_activity(row: ActivityRow) -> None:
    """Records that an association or upload may bring instances of a study; again is nothing."""
    values = Activity(**msgspec.structs.asdict(row))
    await Activity.insert(values).on_conflict(target=Activity.id, action="DO NOTHING").run()


async def touch_activities(process: str, now: int) -> None:
    """Says that a process and all it holds open are alive."""
    await Activity.update({Activity.seen_at: now}).where(Activity.process == process).run()


async def touch_activity(activity: str, now: int) -> None:
    """Says that one upload is alive."""
    await Activity.update({Activity.seen_at: now}).where(Activity.id == activity).run()


async def close_activities(activity_ids: Sequence[str]) -> None:
    """Nothing more comes from these."""
    if activity_ids:
        await Activity.delete().where(Activity.id.is_in(list(activity_ids))).run()


async def close_activities_of(process: str) -> None:
    """A process has ended: nothing more comes from any of its associations."""
    await Activity.delete().where(Activity.process == process).run()


async def expire_activity(activity: str, seen_at: int) -> None:
    """Drops an activity whose process gave no sign since `seen_at`."""
    await Activity.delete().where(Activity.id == activity).where(Activity.seen_at == seen_at).run()


async def activities(study: str = "") -> list[ActivityRow]:
    """What is open now, of one study if named."""
    query = Activity.select().where(Activity.study == study) if study else Activity.select()
    return [msgspec.convert(row, ActivityRow, strict=False) for row in await query.order_by(Activity.opened_at).run()]
