"""A report to a PACS: C-STORE of an Encapsulated PDF (PS3.4 annex B)."""

import asyncio
import io
import socket
from pathlib import Path
from typing import Any, NamedTuple

from pydicom import config, dcmread
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ

from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import DicomPdf
from appliance.probe import Probe

Verification = UID("1.2.840.10008.1.1")
"""PS3.4 annex A."""

WARNINGS = {
    0x0107: "attribute list error",
    0x0111: "it was there already",
    0x0116: "attribute value out of range",
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match the SOP class",
}
"""Statuses under which the object is stored, with what the PACS did (PS3.4 table B.2-1, PS3.7 annex C)."""

REFUSALS = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0115: "invalid argument",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "class and instance do not fit",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
}
_REJECTIONS = {
    (1, 2): "it does not know the application context",
    (1, 3): "it does not know the calling AE title",
    (1, 7): "it does not know the called AE title",
    (2, 2): "it does not speak this protocol version",
    (3, 1): "it is congested",
    (3, 2): "its limit of associations is reached",
}
_PERMANENT = 1


class _Session(NamedTuple):
    """An association, or the outcome of not getting one."""

    association: Any
    outcome: Outcome | None


async def send(parcel: Parcel, section: DicomPdf) -> Outcome:
    """Stores the parcel's Part 10 file at the destination.

    0000 is SENT, warnings are SENT_WITH_WARNING; A9xx, Cxxx and the refusals of PS3.7 are REFUSED; A7xx, an abort, a broken or
    missing connection and a transient rejection are tried again.
    """
    file = parcel.files.get("dicom-pdf")
    if file is None:
        return Outcome(result=Result.REFUSED, answer=f"This {parcel.kind} has no DICOM object.")
    return await asyncio.to_thread(_send, Path(file), section)


async def probe(section: DicomPdf) -> Probe:
    """Opens an association, says which classes the PACS takes, and asks for an echo; stores nothing."""
    return await asyncio.to_thread(_probe, section, storing=True)


async def echo(section: DicomPdf) -> Probe:
    """Asks a DICOM node for an echo and nothing else (PS3.4 annex A)."""
    return await asyncio.to_thread(_probe, section, storing=False)


def _send(file: Path, section: DicomPdf) -> Outcome:
    session = _associate(section)
    if session.outcome is not None:
        return session.outcome
    association = session.association
    try:
        with config.disable_value_validation():
            status = association.send_c_store(dcmread(io.BytesIO(file.read_bytes())))
    except (ValueError, RuntimeError, AttributeError):
        # pynetdicom raises these for a context that fell away, or an association that ended meanwhile.
        return Outcome(
            result=Result.TRY_AGAIN, answer=f"{section.called_ae} ended the association before the report was stored"
        )
    finally:
        _leave(association)
    if "Status" not in status:
        return Outcome(result=Result.TRY_AGAIN, answer=f"{section.called_ae} broke off before it answered")
    return outcome_of(int(status.Status))


def outcome_of(status: int) -> Outcome:
    """What a C-STORE status means for the delivery; the error comment of the PACS is never repeated."""
    name = f"C-STORE answered {status:04X}H"
    if status == 0x0000:
        return Outcome(result=Result.SENT, answer=f"{name} (success)")
    if status in WARNINGS or 0xB000 <= status <= 0xBFFF:
        return Outcome(result=Result.SENT_WITH_WARNING, answer=f"{name} (stored; {WARNINGS.get(status, 'warning')})")
    if status in REFUSALS:
        return Outcome(result=Result.REFUSED, answer=f"{name} ({REFUSALS[status]})")
    if 0xA900 <= status <= 0xA9FF:
        return Outcome(result=Result.REFUSED, answer=f"{name} (data set does not match the SOP class)")
    if 0xC000 <= status <= 0xCFFF:
        return Outcome(result=Result.REFUSED, answer=f"{name} (the PACS cannot understand it)")
    words = "out of resources" if 0xA700 <= status <= 0xA7FF else "processing failure"
    return Outcome(result=Result.TRY_AGAIN, answer=f"{name} ({words})")


def _probe(section: DicomPdf, *, storing: bool) -> Probe:
    why = _unreachable(section)
    if why:
        return Probe(ok=False, lines=[f"{why}."])
    session = _associate(section, storing=storing, echo=True)
    if session.outcome is not None:
        return Probe(ok=False, lines=[f"{session.outcome.answer}."])
    association = session.association
    lines = [f"{section.called_ae} accepted the association."]
    try:
        taken = {context.abstract_syntax for context in association.accepted_contexts}
        stores = EncapsulatedPDFStorage in taken
        if storing:
            lines.append(f"It {'takes' if stores else 'does not take'} Encapsulated PDF Storage.")
        if Verification not in taken:
            return Probe(ok=storing and stores, lines=[*lines, "It does not take Verification, so no echo was asked for."])
        status = association.send_c_echo()
    except (ValueError, RuntimeError, AttributeError):
        return Probe(ok=False, lines=[*lines, "It ended the association before it answered the echo."])
    finally:
        _leave(association)
    echoed = "Status" in status and status.Status == 0x0000
    lines.append("C-ECHO succeeded." if echoed else "C-ECHO was not answered with success.")
    return Probe(ok=(stores or not storing) and echoed, lines=[*lines, "Nothing was stored by this test."])


def _unreachable(section: DicomPdf) -> str:
    """Why no connection can be made; empty when one can. The library itself does not tell."""
    place = f"{section.host} port {section.port}"
    try:
        with socket.create_connection((section.host, section.port), timeout=section.timeout_s):
            return ""
    except TimeoutError:
        return f"{place} did not answer within {section.timeout_s} s"
    except ConnectionRefusedError:
        return f"{place} refused the connection: nothing listens there"
    except OSError as fault:
        known = isinstance(fault, socket.gaierror)
        return (
            f"the name {section.host} is not known to the network" if known else f"no connection to {place}: {fault.strerror}"
        )


def _associate(section: DicomPdf, *, storing: bool = True, echo: bool = False) -> _Session:
    entity = AE(ae_title=section.calling_ae)
    entity.connection_timeout = section.timeout_s
    entity.acse_timeout = section.timeout_s
    entity.dimse_timeout = section.timeout_s
    entity.network_timeout = section.timeout_s
    # One context for each syntax: the PACS may take either, and neither choice shuts the other out.
    if storing:
        entity.add_requested_context(EncapsulatedPDFStorage, ExplicitVRLittleEndian)
        entity.add_requested_context(EncapsulatedPDFStorage, ImplicitVRLittleEndian)
    if echo:
        entity.add_requested_context(Verification, ImplicitVRLittleEndian)
    rejections: list[A_ASSOCIATE_RJ] = []

    def on_pdu(event: Any) -> None:
        # The library can lose a rejection whose connection is closed at once and call it an abort: so we look ourselves.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append(event.pdu)

    try:
        association = entity.associate(
            section.host, section.port, ae_title=section.called_ae, evt_handlers=[(evt.EVT_PDU_RECV, on_pdu)]
        )
    except OSError:
        return _Session(None, Outcome(result=Result.TRY_AGAIN, answer=f"the name {section.host} is not known to the network"))
    if association.is_established:
        return _Session(association, None)
    if rejections:
        return _Session(None, _rejected(rejections[0], section))
    if association.rejected_contexts:
        wanted = "Encapsulated PDF" if storing else "Verification"
        words = f"{section.called_ae} takes no {wanted} in a transfer syntax that we speak"
        return _Session(None, Outcome(result=Result.REFUSED, answer=words))
    words = f"no association with {section.called_ae}: no connection, no answer, or an abort"
    return _Session(None, Outcome(result=Result.TRY_AGAIN, answer=words))


def _rejected(pdu: A_ASSOCIATE_RJ, section: DicomPdf) -> Outcome:
    """What an A-ASSOCIATE-RJ means for the delivery (PS3.8 section 9.3.4)."""
    reason = _REJECTIONS.get((pdu.source or 0, pdu.reason_diagnostic or 0), "it gives no reason")
    if pdu.result == _PERMANENT:
        return Outcome(result=Result.REFUSED, answer=f"{section.called_ae} rejected the association for good: {reason}")
    return Outcome(result=Result.TRY_AGAIN, answer=f"{section.called_ae} rejected the association for now: {reason}")


def _leave(association: Any) -> None:
    if association.is_established:
        association.release()
