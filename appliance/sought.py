"""What must not stand in what leaves without identity: the values of a study, or of a group's studies, for the last look."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from appliance.deidentify.last_look import Look, Sought, stored
from appliance.deidentify.passport import SourceFile
from appliance.deidentify.rules import Kind
from appliance.deidentify.search import Wanted
from appliance.errors import Conflict, Misconfigured, Unknown
from appliance.house import House
from appliance.records import groups, identities, studies, users
from appliance.settings import Settings


class _Dated(msgspec.Struct, frozen=True):
    made_at: str


class ReasonNamesPatient(Misconfigured):
    """The reason names the patient or a number of the patient, and it is printed where nobody may be named."""

    code = "reason-names-patient"
    next_step = "Say the same without name, numbers and birth date; the report goes back to the right patient by itself."


class ReportFileChanged(Conflict):
    """This file of the report is not the one that was looked through for identity when it was made."""

    code = "report-file-changed"
    next_step = "Look for what else writes to the data folder; run the order again for a new report."


async def unchanged(path: Path, searched: str, name: str) -> None:
    """Raises `ReportFileChanged` for a format's file that is not what `searched` says; one of before is let through."""
    passed = msgspec.json.decode(searched, type=dict[str, str]).get(name)
    if passed and await asyncio.to_thread(digest, path) != passed:
        raise ReportFileChanged()


def digest(path: Path) -> str:
    """SHA-256 of a file; empty when there is none, which whoever needs it says."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


async def refuse_named(house: House, study: str, reason: str) -> None:
    """Raises `ReasonNamesPatient` for words of a person that will be printed and name the patient of a study."""
    if Look(await by_identity(house, study)).in_text(reason, "reason"):
        raise ReasonNamesPatient(field="reason")


async def of_study(house: House, settings: Settings, study: str, made: int) -> Sought:
    """The values of one study; `made` is when what leaves was made (milliseconds UTC), which it may say of itself.

    A study that was never de-identified is read now, by whoever looks.
    """
    kept = await identities.sought(house.keys, study)
    if not kept:
        return await _sought(house, settings, [], await _originals(house, study), [made])
    uids = await identities.linking(house.keys, study)
    return await _sought(house, settings, [stored(kept, uids)], [], [made])


async def of_group(house: House, settings: Settings, group: str, made: int) -> Sought:
    """The values of all studies of a group together; their UIDs are none of what its report is made from."""
    known, files, moments = [], list[SourceFile](), [made]
    for member in await groups.members(house.records, group, content=True):
        kept = await identities.sought(house.keys, member.study)
        if kept:
            known.append(stored(kept, ()))
        else:
            files += await _originals(house, member.study)
        if member.content:
            dated = msgspec.json.decode(member.content, type=_Dated)
            moments.append(int(datetime.fromisoformat(dated.made_at).timestamp() * 1000))
    return await _sought(house, settings, known, files, moments)


async def _sought(
    house: House, settings: Settings, known: list[Wanted], files: list[SourceFile], moments: Sequence[int]
) -> Sought:
    zone = ZoneInfo(settings.site.time_zone)
    named = [one.name for one in await users.everybody()]
    return Sought(
        known=known,
        files=files,
        section=msgspec.to_builtins(settings.deidentify),
        spared=[settings.site.name, settings.reports.institution, *named],
        days=sorted({_day(at, place) for at in moments for place in (UTC, zone)}),
    )


async def by_identity(house: House, study: str) -> Sought:
    """The values that are known of a study without reading it: those of its de-identification, or who it belongs to."""
    kept = await identities.sought(house.keys, study)
    if kept:
        return Sought(known=[stored(kept, ())])
    found, wanted = await identities.get(house.keys, study), Wanted()
    if found is not None:
        wanted.name(found.patient_name)
        for number in (found.patient_id, found.accession):
            wanted.value(number, Kind.IDENTIFIER)
        wanted.dates |= {found.birth_date} - {""}
    return Sought(known=[wanted])


async def _originals(house: House, study: str) -> list[SourceFile]:
    try:
        version = (await studies.get(study)).version
    except Unknown:
        return []
    absolute = house.storage.absolute
    found = await studies.instances(study, version)
    return [SourceFile(instance=one.id, series=one.series, path=str(absolute(one.path))) for one in found]


def _day(at: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at / 1000, zone).strftime("%Y%m%d")
