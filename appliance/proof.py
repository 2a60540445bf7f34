"""De-identification as people ask for it: what would leave, the passport, the proof again, the linking table."""

import asyncio
import hashlib
from collections import Counter
from typing import Any, TypeVar

import msgspec

from appliance import settings, steps
from appliance.compute.local import StageEnded, run_stage
from appliance.deidentify.errors import NothingToPreview, ProofFailed
from appliance.deidentify.passport import DeidRequest, Passport, Source, SourceFile
from appliance.deidentify.preview import Preview
from appliance.deidentify.recheck import Recheck, RecheckRequest
from appliance.deidentify.signature import is_genuine, public_key
from appliance.errors import Conflict, Retry
from appliance.house import House
from appliance.qc.finding import Origin
from appliance.records import identities, orders, studies
from appliance.records.orders import OrderRow
from appliance.reports.content import Sheet, SheetRequest

AT_ONCE = 2
"""Stages that may run for people at the same time; an order's own stages are not counted."""
_running = [0]
MOST_RULES = 12
_GONE = "Originals that the passport names are no longer here."

Answer = TypeVar("Answer", bound=msgspec.Struct)


class NoPassportYet(Conflict):
    """This order has no passport yet."""

    code = "no-passport-yet"
    next_step = "Wait until its study is de-identified."


class Busy(Retry):
    """Others look at de-identification right now."""

    code = "proof-busy"
    next_step = "Try again in a moment."


async def preview(house: House, study: str, what_if: dict[str, Any], *, series: str = "") -> Preview:
    """What the settings, with some fields of the section changed, would do to a study; raises `SettingsRefused` and others.

    Without `series` every series of the newest version is shown. The answer holds patient values.
    """
    section = settings.section_from((await house.settings()).settings, "deidentify", what_if)
    row = await studies.get(study)
    found = await studies.instances(study, row.version, series=series)
    files = [
        SourceFile(instance=one.id, series=one.series, path=str(house.storage.absolute(one.path)))
        for one in found
        if not one.conflict
    ]
    if not files:
        raise NothingToPreview()
    request = await _request(house, study, files, msgspec.to_builtins(section))
    return await _stage("deidentify-preview", request, Preview)


async def _request(house: House, study: str, files: list[SourceFile], section: dict[str, Any]) -> DeidRequest:
    row = await studies.get(study)
    return DeidRequest(
        order="",
        files=files,
        out_folder="",
        pseudonym=row.pseudonym or house.keys.digest("patient", study),
        secret=house.keys.derive("deidentify").hex(),
        section=section,
    )


async def passport(order: str) -> Passport:
    """The signed passport of an order; raises `Unknown`, `NoPassportYet`."""
    row = await orders.get(order)
    if not row.passport:
        raise NoPassportYet()
    return msgspec.json.decode(row.passport, type=Passport)


async def page(house: House, order: str, *, paper: str) -> bytes:
    """The passport as one page of PDF; the same passport gives the same bytes. Raises as `passport` does."""
    found = await passport(order)
    row = await orders.get(order)
    site = (await house.settings()).settings.site.name
    request = SheetRequest(
        title="De-identification passport",
        headline=_headline(found),
        rows=[("Study", row.study), *_rows(found)],
        site=site,
        paper=paper,
    )
    return (await _stage("sheet", request, Sheet)).pdf


def _headline(found: Passport) -> str:
    if found.clean:
        return "Clean: the independent verifier found nothing that identifies the patient."
    return f"NOT CLEAN: {len(found.residues)} findings. Nothing left the appliance."


def _rows(found: Passport) -> list[tuple[str, str]]:
    residues = Counter(one.rule for one in found.residues).most_common(MOST_RULES)
    return [
        ("Order", found.order),
        ("Profile", f"{found.profile}, version {found.profile_version}"),
        ("Files", f"{found.instances} instances, {sum(file.bytes for file in found.files):,} bytes"),
        *([("Complete", found.source.words)] if isinstance(found.source, Source) else []),
        ("Digest of the files", f"SHA-256 {manifest_digest(found)}"),
        ("Dates", "moved by the same number of days" if found.date_offset_applied else "removed"),
        ("What was done", ", ".join(f"{action}: {count:,}" for action, count in sorted(found.actions.items()))),
        ("Findings", "; ".join(f"{rule} ({count})" for rule, count in residues) or "none"),
        ("Settings", ", ".join(f"{name}={_said(value)}" for name, value in sorted(found.settings.items()))),
        *(("Note", note) for note in found.notes),
        ("Public key", found.public_key or "not signed"),
        ("Signature", found.signature or "not signed"),
        ("To check it again", f"ranvier deid verify {found.order}, or ranvier passport verify FILE FOLDER"),
    ]


def _said(value: object) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def manifest_digest(found: Passport) -> str:
    """SHA-256 over the lines that `sha256sum` prints for the files in order of their names."""
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in sorted(found.files, key=lambda one: one.path))
    return hashlib.sha256(lines.encode()).hexdigest()


async def recheck(house: House, order: str) -> Recheck:
    """Proves an order's de-identified files once more: signature, every byte, every rule. Raises as `passport` does."""
    found = await passport(order)
    row = await orders.get(order)
    by_path = {f"{one.series}/{one.id}": one for one in await studies.instances(row.study, row.study_version)}
    missing = [file.path for file in found.files if _bare(file.path) not in by_path]
    if missing or not found.files:
        return Recheck(genuine=_is_ours(house, found), unchanged=False, remark=_GONE, residues=[])
    files = [
        SourceFile(instance=one.id, series=one.series, path=str(house.storage.absolute(one.path)))
        for one in (by_path[_bare(file.path)] for file in found.files)
    ]
    request = await _request(house, row.study, files, found.settings)
    asked = RecheckRequest(
        **{
            **{name: getattr(request, name) for name in request.__struct_fields__},
            "order": row.id,
            "out_folder": str(house.storage.deidentified(row.study, row.study_version, row.id)),
            "given": _given(row),
            "passport": found,
            "public_key": _own_key(house),
        }
    )
    return await _stage("deidentify-recheck", asked, Recheck)


def _bare(path: str) -> str:
    """Our identifiers alone, without what kind of file it is."""
    return path.partition(".")[0]


def _own_key(house: House) -> str:
    return public_key(house.keys.derive("passport"))


def _is_ours(house: House, found: Passport) -> bool:
    return is_genuine(found, _own_key(house))


def _given(row: OrderRow) -> dict[str, str]:
    metadata = msgspec.json.decode(row.metadata or "{}", type=dict[str, Origin])
    return {name: one.value for name, one in metadata.items() if one.value and one.origin in ("form", "sidecar")}


async def linking(house: House, study: str) -> dict[str, str]:
    """Original UID to the one that left, of every order of a study; empty when nothing was de-identified."""
    return await identities.linking(house.keys, study)


async def _stage(name: str, request: msgspec.Struct, answer: type[Answer]) -> Answer:
    if _running[0] >= AT_ONCE:
        raise Busy()
    _running[0] += 1
    try:
        raw = await run_stage(name, request, steps.LIGHT, progress=_quiet)
    except StageEnded as ended:
        raise ProofFailed(reason=ended.error.what) from None
    finally:
        _running[0] -= 1
    return await asyncio.to_thread(msgspec.json.decode, raw, type=answer)


async def _quiet(_fraction: float, _step: str) -> None:
    """Nobody watches."""
