"""QIDO-RS (PS3.18 section 10.6): studies, series and instances that are held, as JSON.

UIDs and patient values do not stand in the records: they are found by keyed digests and read, for the page that is shown, from
the sealed identities and from the heads of files.
"""

import asyncio
import fnmatch
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from appliance.dicomweb.answers import Answer, element, uid
from appliance.dicomweb.heads import head_of
from appliance.errors import Rejected
from appliance.foreign import FAULTS
from appliance.keys import Keys
from appliance.records import identities, web
from appliance.records.engine import Records
from appliance.records.identities import PatientIdentity
from appliance.records.web import Held, HeldSeries, HeldStudy
from appliance.storage import Storage

MOST = 1_000
USUAL = 100
SCAN_MOST = 50_000
"""So many studies are looked through, newest first, for a name, a date or a description."""
_SCAN = 500
_TAGS = {
    "0020000D": "StudyInstanceUID",
    "0020000E": "SeriesInstanceUID",
    "00080018": "SOPInstanceUID",
    "00100010": "PatientName",
    "00100020": "PatientID",
    "00080050": "AccessionNumber",
    "00080020": "StudyDate",
    "00081030": "StudyDescription",
    "00080061": "ModalitiesInStudy",
    "00080060": "Modality",
    "00200011": "SeriesNumber",
}
_STUDY = ("PatientName", "PatientID", "AccessionNumber", "StudyDate", "StudyDescription", "ModalitiesInStudy")
_KNOWN = frozenset(_TAGS.values())
_PASSED_OVER = frozenset({"limit", "offset", "includefield", "fuzzymatching"})
_HEAD_OF_SERIES = ("SeriesInstanceUID", "SeriesDescription", "StudyInstanceUID")
_HEAD_OF_INSTANCE = (
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber"),
    *("Rows", "Columns", "BitsAllocated", "NumberOfFrames"),
)


class BadSearch(Rejected):
    """This search cannot be made: {why}."""

    code = "bad-search"
    next_step = "See the page on DICOMweb in /docs for what can be searched for."


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One search: values by attribute, and which part of what is found."""

    values: dict[str, str]
    limit: int = USUAL
    offset: int = 0


class World(msgspec.Struct, frozen=True):
    """What a search looks into."""

    records: Records
    keys: Keys
    storage: Storage


def asked(query: Mapping[str, list[str]], **fixed: str) -> Asked:
    """A query of an address, `fixed` from its path; raises `BadSearch` for attributes that cannot be searched for."""
    values = dict(fixed)
    for name, given in query.items():
        plain = _TAGS.get(name.upper(), name)
        if plain in _PASSED_OVER:
            continue
        if plain not in _KNOWN:
            raise BadSearch(why="it names an attribute that is not searched for")
        text = ",".join(given).strip()
        if text and plain in values and values[plain] != text:
            raise BadSearch(why="it names an attribute twice")
        if text and text != "*":
            values[plain] = text
    return Asked(values=values, limit=_number(query, "limit", USUAL, MOST), offset=_number(query, "offset", 0, 10**9))


def _number(query: Mapping[str, list[str]], name: str, usual: int, most: int) -> int:
    text = query.get(name, [""])[0]
    if not text:
        return usual
    if not text.isascii() or not text.isdigit():
        raise BadSearch(why=f"{name} is no number")
    return min(int(text), most)


async def studies(world: World, wanted: Asked) -> list[tuple[str, Answer]]:
    """The studies found, newest first, each with our identifier for the audit."""
    ids = await _ids(world, wanted)
    rest = {name: wanted.values[name] for name in _STUDY if name in wanted.values}
    found: list[HeldStudy] = []
    need, before, seen = wanted.offset + wanted.limit, "", 0
    while len(found) < need and seen < SCAN_MOST:
        size = _SCAN if rest or wanted.offset else min(need, _SCAN)
        batch = await web.studies(world.records, world.keys, ids=ids, before=before, limit=size)
        found += [one for one in batch if all(_fits(one, name, value) for name, value in rest.items())]
        if len(batch) < size:
            break
        before, seen = batch[-1].id, seen + len(batch)
    return [(one.id, _study(one)) for one in found[wanted.offset : need]]


async def series(world: World, wanted: Asked) -> list[tuple[str, Answer]]:
    """The series found."""
    study = await _study_id(world, wanted)
    if study is None:
        return []
    number = wanted.values.get("SeriesNumber", "")
    if number and not number.isdigit():
        raise BadSearch(why="SeriesNumber is no number")
    rows = await web.series(
        study=study,
        uid_key=_digest(world, "series-uid", wanted.values.get("SeriesInstanceUID", "")),
        modality=wanted.values.get("Modality", ""),
        number=int(number) if number else None,
        limit=wanted.limit,
        offset=wanted.offset,
    )
    heads = await asyncio.to_thread(_heads, world.storage.root, rows, _HEAD_OF_SERIES)
    return [(row.study, _series(row, head)) for row, head in zip(rows, heads, strict=True)]


async def instances(world: World, wanted: Asked) -> list[tuple[str, Answer]]:
    """The instances found."""
    study = await _study_id(world, wanted)
    if study is None:
        return []
    series_uid, place = wanted.values.get("SeriesInstanceUID", ""), ""
    if series_uid:
        key = _digest(world, "series-uid", series_uid)
        place = (
            await web.series_of(study, key) if study else next((one.id for one in await web.series(uid_key=key, limit=1)), "")
        )
        if not place:
            return []
    sop_key = _digest(world, "sop-uid", wanted.values.get("SOPInstanceUID", ""))
    rows = await web.instances(study=study, series=place, sop_key=sop_key, limit=wanted.limit, offset=wanted.offset)
    heads = await asyncio.to_thread(_heads, world.storage.root, rows, _HEAD_OF_INSTANCE)
    return [(row.study, head) for row, head in zip(rows, heads, strict=True) if head]


async def _ids(world: World, wanted: Asked) -> list[str] | None:
    """Which studies alone can fit; None for all."""
    values, found = wanted.values, None
    if "StudyInstanceUID" in values:
        uids = re.split(r"[,\\]", values["StudyInstanceUID"])[:MOST]
        ids = [await web.study_of(_digest(world, "study-uid", one)) for one in uids]
        found = [one for one in ids if one]
    for name, kind in (("PatientID", "patient"), ("AccessionNumber", "accession")):
        value = values.get(name, "")
        if value and "*" not in value and "?" not in value:
            key = identities.lookup_key(world.keys, kind, value)
            exact = await identities.find("patient" if kind == "patient" else "accession", key, MOST)
            found = exact if found is None else [one for one in found if one in exact]
    return found


async def _study_id(world: World, wanted: Asked) -> str | None:
    """The one study that is searched in: empty for all, None when it is not held."""
    if any(name in wanted.values for name in _STUDY):
        raise BadSearch(why="attributes of the study are searched for at /studies only")
    uid_text = wanted.values.get("StudyInstanceUID", "")
    if not uid_text:
        return ""
    return await web.study_of(_digest(world, "study-uid", uid_text)) or None


def _digest(world: World, purpose: str, text: str) -> str:
    return world.keys.digest(purpose, text) if text else ""


def _fits(study: HeldStudy, name: str, value: str) -> bool:
    who = study.identity
    if name == "ModalitiesInStudy":
        return bool(set(re.split(r"[,\\]", value)) & set(study.modalities))
    if name == "StudyDate":
        first, dash, last = value.partition("-")
        return (first or "0") <= who.study_date <= (last or "99999999") if dash else who.study_date == value
    held = {
        "PatientName": who.patient_name,
        "PatientID": who.patient_id,
        "AccessionNumber": who.accession,
        "StudyDescription": who.study_description,
    }[name]
    if name == "PatientName":
        held, value = held.upper(), value.upper()
    # Only * and ? are wild cards (PS3.4 section C.2.2.2.4).
    return fnmatch.fnmatchcase(held, value.replace("[", "[[]"))


def _study(study: HeldStudy) -> Answer:
    who: PatientIdentity = study.identity
    return {
        "00080020": element("DA", who.study_date),
        "00080030": element("TM", who.study_time),
        "00080050": element("SH", who.accession),
        "00080056": element("CS", "ONLINE"),
        "00080061": element("CS", *study.modalities),
        "00080090": element("PN", who.referring_physician),
        "00081030": element("LO", who.study_description),
        "00100010": element("PN", who.patient_name),
        "00100020": element("LO", who.patient_id),
        "00100030": element("DA", who.birth_date),
        "00100040": element("CS", who.sex),
        "0020000D": uid(who.study_instance_uid),
        "00200010": element("SH", who.study_id),
        "00201206": element("IS", study.series),
        "00201208": element("IS", study.instances),
    }


def _series(row: HeldSeries, head: Answer) -> Answer:
    return {
        **head,
        "00080060": element("CS", row.modality),
        "00200011": element("IS", row.number),
        "00201209": element("IS", row.instances),
    }


def _heads(root: Path, rows: Sequence[Held | HeldSeries], names: tuple[str, ...]) -> list[Answer]:
    """What the heads of files say; a file that is gone or cannot be read says nothing."""
    found: list[Answer] = []
    for row in rows:
        try:
            found.append(head_of(root / row.path, row.transfer_syntax, *names).to_json_dict())
        except FAULTS:
            found.append({})
    return found
