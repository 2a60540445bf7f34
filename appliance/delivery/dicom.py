"""A report to a PACS: C-STORE of an Encapsulated PDF, a Comprehensive SR or a Secondary Capture (PS3.4 annex B)."""

import asyncio
import io
from pathlib import Path
from typing import Any

from pydicom import config, dcmread
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
)
from pynetdicom import build_context, build_role

from appliance.associating import NotAssociated, associated, leave, unreachable
from appliance.delivery.dicom_commitment import Question
from appliance.delivery.dicom_status import outcome_of
from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import Dicom, DicomNode, DicomObject, DicomSc, DicomSr
from appliance.errors import Misconfigured
from appliance.probe import Probe
from appliance.promises import PUSH_MODEL

Verification = UID("1.2.840.10008.1.1")
"""PS3.4 annex A."""

SYNTAXES: dict[str, UID] = {
    "explicit-little": ExplicitVRLittleEndian,
    "implicit-little": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


def object_of(section: DicomNode) -> tuple[UID, str, str]:
    """SOP class, its name for people, and the parcel's format of what a destination gets."""
    if isinstance(section, DicomSr):
        return ComprehensiveSRStorage, "Comprehensive SR", "dicom-sr"
    if isinstance(section, DicomSc):
        return MultiFrameGrayscaleByteSecondaryCaptureImageStorage, "Secondary Capture", "dicom-sc"
    return EncapsulatedPDFStorage, "Encapsulated PDF", "dicom-pdf"


async def send(parcel: Parcel, section: DicomObject) -> Outcome:
    """Stores the parcel's Part 10 file at the destination.

    0000 is SENT, warnings are SENT_WITH_WARNING; A9xx, Cxxx and the refusals of PS3.7 are REFUSED; A7xx, an abort, a broken or
    missing connection and a transient rejection are tried again. With a Transaction UID in the parcel the PACS is then asked
    for its storage commitment, and what is stored is AWAITED until it has answered.
    """
    file = parcel.files.get(object_of(section)[2])
    if file is None:
        return Outcome(result=Result.REFUSED, answer=f"This {parcel.kind} has no DICOM object.")
    try:
        return await asyncio.to_thread(_send, Path(file), section, parcel)
    except Misconfigured as error:
        return Outcome(result=Result.REFUSED, answer=error.what)


async def probe(section: Dicom) -> Probe:
    """Opens an association, says which classes the PACS takes, and asks for an echo; stores nothing."""
    return await _probed(section, storing=True)


async def echo(section: DicomNode) -> Probe:
    """Asks a DICOM node for an echo and nothing else (PS3.4 annex A)."""
    return await _probed(section, storing=False)


async def _probed(section: DicomNode, *, storing: bool) -> Probe:
    try:
        return await asyncio.to_thread(_probe, section, storing=storing)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])


def _send(file: Path, section: DicomObject, parcel: Parcel) -> Outcome:
    asked = parcel.transaction_uid
    question = Question(asked, str(object_of(section)[0]), parcel.sop_instance_uid) if asked else None
    try:
        association = _associate(section, question=question)
    except NotAssociated as fault:
        return without(fault, section, object_of(section)[1])
    try:
        with config.disable_value_validation():
            if question and not _takes(association, PUSH_MODEL):
                words = f"{section.called_ae} takes no storage commitment, so nothing was sent"
                return Outcome(result=Result.REFUSED, answer=words)
            status = association.send_c_store(dcmread(io.BytesIO(file.read_bytes())))
            if "Status" not in status:
                words = f"{section.called_ae} broke off before it answered"
                return Outcome(result=Result.TRY_AGAIN, answer=words)
            stored = outcome_of(int(status.Status))
            if question is None or stored.result not in (Result.SENT, Result.SENT_WITH_WARNING):
                return stored
            return question.ask(association, section, stored)
    except (ValueError, RuntimeError, AttributeError):
        # pynetdicom raises these for a context that fell away, or an association that ended meanwhile.
        return Outcome(
            result=Result.TRY_AGAIN, answer=f"{section.called_ae} ended the association before the report was stored"
        )
    finally:
        leave(association)


def _takes(association: Any, sop_class: str) -> bool:
    return any(context.abstract_syntax == sop_class for context in association.accepted_contexts)


def _probe(section: DicomNode, *, storing: bool) -> Probe:
    why = unreachable(section)
    if why:
        return Probe(ok=False, lines=[f"{why}."])
    try:
        association = _associate(section, storing=storing, echo=True)
    except NotAssociated as fault:
        wanted = object_of(section)[1] if storing else "Verification"
        return Probe(ok=False, lines=[f"{without(fault, section, wanted).answer}."])
    lines = [f"{section.called_ae} accepted the association."]
    try:
        taken = {context.abstract_syntax for context in association.accepted_contexts}
        sop_class, named, _ = object_of(section)
        stores = sop_class in taken
        if storing:
            lines.append(f"It {'takes' if stores else 'does not take'} {named} Storage.")
        if Verification not in taken:
            return Probe(ok=storing and stores, lines=[*lines, "It does not take Verification, so no echo was asked for."])
        status = association.send_c_echo()
    except (ValueError, RuntimeError, AttributeError):
        return Probe(ok=False, lines=[*lines, "It ended the association before it answered the echo."])
    finally:
        leave(association)
    echoed = "Status" in status and status.Status == 0x0000
    lines.append("C-ECHO succeeded." if echoed else "C-ECHO was not answered with success.")
    return Probe(ok=(stores or not storing) and echoed, lines=[*lines, "Nothing was stored by this test."])


def _associate(section: DicomNode, *, storing: bool = True, echo: bool = False, question: Question | None = None) -> Any:
    """An association for one object, or an echo, or both; raises `NotAssociated`."""
    sop_class = object_of(section)[0]
    # One context for each syntax: the PACS may take any, and no choice shuts another out.
    report = section if storing and isinstance(section, Dicom) else None
    contexts = [build_context(sop_class, SYNTAXES[one]) for one in report.transfer_syntaxes] if report else []
    contexts += [build_context(Verification, ImplicitVRLittleEndian)] if echo else []
    contexts += [build_context(PUSH_MODEL)] if question else []
    roles = [build_role(sop_class, scu_role=True)] if report and report.role_selection else []
    return associated(section, contexts, roles=roles, handlers=question.handlers if question else ())


def without(fault: NotAssociated, section: DicomNode, wanted: str) -> Outcome:
    """What it means for a delivery that there is no association."""
    if fault.cause == "contexts":
        words = f"{section.called_ae} takes no {wanted} in a transfer syntax that we speak"
        return Outcome(result=Result.REFUSED, answer=words)
    result = Result.REFUSED if fault.cause == "rejected-for-good" else Result.TRY_AGAIN
    return Outcome(result=result, answer=fault.why)
