"""What DICOMweb searches for: studies, series and instances by digests of their UIDs and by real columns, newest first."""

from collections.abc import Sequence

import msgspec
from piccolo.columns import Column

from appliance.records.engine import Records
from appliance.records.identities import PatientIdentity, Sealer
from appliance.records.tables import Identity, Instance, Series, Study

_PURPOSE = "identities"


class Held(msgspec.Struct, kw_only=True, frozen=True):
    """One instance and where it belongs."""

    id: str
    study: str
    series: str
    path: str
    transfer_syntax: str


class HeldSeries(msgspec.Struct, kw_only=True, frozen=True):
    """One series and one file of it."""

    id: str
    study: str
    number: int
    modality: str
    instances: int
    path: str
    transfer_syntax: str


class HeldStudy(msgspec.Struct, kw_only=True, frozen=True):
    """One study, whose it is, and what it holds."""

    id: str
    instances: int
    series: int
    modalities: list[str]
    identity: PatientIdentity


_HELD: list[Column] = [Instance.id, Instance.study, Instance.series, Instance.path, Instance.transfer_syntax]


async def study_of(uid_key: str) -> str:
    """Our identifier of a study; empty when it is not held."""
    row = await Study.select(Study.id).where(Study.uid_key == uid_key).first().run()
    return str(row["id"]) if row else ""


async def series_of(study: str, uid_key: str) -> str:
    """Our identifier of a series of a study; empty when it is not held."""
    row = await Series.select(Series.id).where((Series.study == study) & (Series.uid_key == uid_key)).first().run()
    return str(row["id"]) if row else ""


async def instances(*, study: str = "", series: str = "", sop_key: str = "", limit: int, offset: int = 0) -> list[Held]:
    """Instances without those that conflict with an earlier one, in order of arrival, or the newest of all first."""
    query = Instance.select(*_HELD).where(Instance.conflict == False)  # noqa: E712 - a column, not a value
    for column, value in ((Instance.study, study), (Instance.series, series), (Instance.sop_key, sop_key)):
        if value:
            query = query.where(column == value)
    ordered = query.order_by(Instance.id, ascending=bool(study or series)).limit(limit).offset(offset)
    return [msgspec.convert(row, Held, strict=False) for row in await ordered.run()]


async def series(
    *, study: str = "", uid_key: str = "", modality: str = "", number: int | None = None, limit: int, offset: int = 0
) -> list[HeldSeries]:
    """Series, each with one file."""
    query = Series.select(Series.id, Series.study, Series.number, Series.modality, Series.instances)
    for column, value in ((Series.study, study), (Series.uid_key, uid_key), (Series.modality, modality)):
        if value:
            query = query.where(column == value)
    if number is not None:
        query = query.where(Series.number == number)
    rows = await query.order_by(Series.id, ascending=bool(study)).limit(limit).offset(offset).run()
    found = []
    for row in rows:
        first = await Instance.select(Instance.path, Instance.transfer_syntax).where(Instance.series == row["id"]).first().run()
        nothing = {"path": "", "transfer_syntax": ""}
        found.append(msgspec.convert({**row, **(first or nothing)}, HeldSeries, strict=False))
    return found


async def studies(
    records: Records, keys: Sealer, *, ids: Sequence[str] | None = None, before: str = "", limit: int
) -> list[HeldStudy]:
    """Studies with their identities, newest first: those of `ids`, or all; `before`: older than this one."""
    query = Study.select(Study.id, Study.instances, Study.series)
    if ids is not None:
        query = query.where(Study.id.is_in(list(ids) or [""]))
    if before:
        query = query.where(Study.id < before)
    rows = await query.order_by(Study.id, ascending=False).limit(limit).run()
    wanted = [str(row["id"]) for row in rows]
    if not wanted:
        return []
    sealed = await Identity.select(Identity.study, Identity.sealed).where(Identity.study.is_in(wanted)).run()
    known = {
        str(row["study"]): msgspec.json.decode(
            keys.open(_PURPOSE, bytes(row["sealed"]), str(row["study"])), type=PatientIdentity
        )
        for row in sealed
    }
    modalities: dict[str, set[str]] = {}
    marks = ", ".join(["{}"] * len(wanted))
    for row in await records.run(f"SELECT DISTINCT study, modality FROM series WHERE study IN ({marks})", *wanted):
        modalities.setdefault(str(row["study"]), set()).add(str(row["modality"]))
    return [
        HeldStudy(
            id=str(row["id"]),
            instances=row["instances"],
            series=row["series"],
            modalities=sorted(filter(None, modalities.get(str(row["id"]), set()))),
            identity=known[str(row["id"])],
        )
        for row in rows
        if str(row["id"]) in known
    ]
