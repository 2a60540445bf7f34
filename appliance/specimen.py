"""A marked test object, stored at a DICOM destination only after a person agreed to it (RES-02).

It is made and sent by the ways of a report, for a patient who is nobody, so that what arrives is what reports will be.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from appliance import probes, steps
from appliance.compute.local import StageDied, StageEnded, run_stage
from appliance.delivery import destinations
from appliance.delivery.parcel import Parcel, Result
from appliance.delivery.section import DicomPdf, DicomSc, DicomSr, StowRs
from appliance.errors import Conflict
from appliance.house import House
from appliance.moments import id_of_digest, iso, new_id, uid_of
from appliance.probe import Probe
from appliance.records.identities import PatientIdentity
from appliance.reports.content import CopyRequest, ProductSection, RenderAnswer, ReportContent, Row
from appliance.settings import FieldProblem, Settings, SettingsRefused
from appliance.storage import remove_folder

PATIENT_ID = "RANVIER-TEST"
PATIENT_NAME = "RANVIER^TEST"
DEADLINE_S = 28.0
"""Making the object takes a moment beside the test itself."""
_NO_RESULT = Row(name="test", label="Test value, no result", value=1.0, unit="1")


class NotAgreed(Conflict):
    """This would store a marked test object at {destination}, for the patient {patient_name} with the ID {patient}; nothing was
    sent.
    """

    code = "test-object-not-agreed"
    next_step = "Ask whoever runs that archive; then ask again with `patient` set to {patient}."


async def stored(house: House, in_force: Settings, values: dict[str, Any], *, patient: str, now: int) -> Probe:
    """Stores one test object where a destination of these fields leads; `patient` repeats its patient ID, which is consent.

    All test objects of an appliance are of one study, so that they are found and deleted together. Raises `NotAgreed`, and
    `SettingsRefused` for bad fields and destinations that take no DICOM object.
    """
    section = probes.destination(in_force, values)
    if not isinstance(section, DicomPdf | DicomSr | DicomSc | StowRs):
        told = "only destinations of DICOM and DICOMweb take a test object"
        raise SettingsRefused([FieldProblem(field="protocol", message=told)])
    if patient != PATIENT_ID:
        raise NotAgreed(destination=section.name, patient=PATIENT_ID, patient_name=PATIENT_NAME)
    try:
        async with asyncio.timeout(DEADLINE_S):
            found = await destinations.probe(section)
            return await _stored(house, section, now) if found.ok else found
    except TimeoutError:
        return Probe(ok=False, lines=[f"No answer within {DEADLINE_S:.0f} s; the object may have been stored."])


async def _stored(house: House, section: DicomPdf | DicomSr | DicomSc | StowRs, now: int) -> Probe:
    report = new_id(now)
    folder = house.storage.scratch(report)
    request = _request(house, section, report, folder / "out", now)
    try:
        await asyncio.to_thread((folder / "out").mkdir, parents=True)
        raw = await run_stage("copies", request, steps.LIGHT, progress=_quiet)
        made = msgspec.json.decode(raw, type=RenderAnswer).files
        outcome = await destinations.send(_parcel(request, made), section)
    except (StageEnded, StageDied) as fault:
        why = fault.error.what if isinstance(fault, StageEnded) else fault.what
        return Probe(ok=False, lines=["The test object could not be made.", why])
    finally:
        await asyncio.to_thread(remove_folder, folder)
    good = outcome.result in (Result.SENT, Result.SENT_WITH_WARNING)
    lines = [f"A test object of the patient {PATIENT_NAME}, ID {PATIENT_ID}, was {'stored' if good else 'not stored'}."]
    where = [f"SOP Instance UID {request.sop_instance_uid}; delete it in the archive when you have seen it."] if good else []
    return Probe(ok=good, lines=[*lines, f"{outcome.answer.rstrip('.')}.", *where])


def _request(house: House, section: DicomPdf | DicomSr | DicomSc | StowRs, report: str, folder: Path, now: int) -> CopyRequest:
    order = new_id(now)
    identity = PatientIdentity(
        patient_name=PATIENT_NAME,
        patient_id=PATIENT_ID,
        study_instance_uid=uid_of(id_of_digest(house.keys.digest("specimen", "study"))),
        study_id="TEST",
        study_date=iso(now)[:10].replace("-", ""),
        study_description="RANVIER TEST OBJECT, NO PATIENT",
    )
    content = ReportContent(
        order=order,
        report=report,
        version=1,
        kind="test",
        study=order,
        study_version=1,
        made_at=iso(now),
        instances=0,
        qc_verdict="",
        # A structured report must hold a number (PS3.16 TID 1500).
        sections=[ProductSection(product="test", version="1", title="Test of the connection", rows=[_NO_RESULT])],
        caveats=["This is a test of the connection. It belongs to no patient and holds no result; delete it."],
    )
    return CopyRequest(
        content=content,
        out_folder=str(folder),
        formats=list(destinations.needs(section)),
        identity=msgspec.to_builtins(identity),
        identity_on_pages=destinations.wants_identity(section),
        sop_instance_uid=uid_of(report),
        created_at=now,
    )


def _parcel(request: CopyRequest, made: dict[str, str]) -> Parcel:
    content = request.content
    return Parcel(
        order=content.order,
        report=content.report,
        delivery=content.report,
        kind=content.kind,
        version=content.version,
        files={one: Path(request.out_folder) / name for one, name in made.items()},
        idempotency_key=content.report,
        sop_instance_uid=request.sop_instance_uid,
    )


async def _quiet(_fraction: float, _step: str) -> None:
    """Nobody watches."""
