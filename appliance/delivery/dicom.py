"""A report to a PACS: C-STORE of an Encapsulated PDF or a Comprehensive SR (PS3.4 annex B), plain or over TLS."""

import asyncio
import contextlib
import io
import socket
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from pydicom import config, dcmread
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ

from appliance import asking
from appliance.delivery import tls
from appliance.delivery.dicom_status import outcome_of
from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import Dicom, DicomSr
from appliance.errors import Misconfigured
from appliance.probe import Probe

Verification = UID("1.2.840.10008.1.1")
"""PS3.4 annex A."""

SYNTAXES: dict[str, UID] = {
    "explicit-little": ExplicitVRLittleEndian,
    "implicit-little": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
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


def object_of(section: Dicom) -> tuple[UID, str, str]:
    """SOP class, its name for people, and the parcel's format of what a destination gets."""
    if isinstance(section, DicomSr):
        return ComprehensiveSRStorage, "Comprehensive SR", "dicom-sr"
    return EncapsulatedPDFStorage, "Encapsulated PDF", "dicom-pdf"


async def send(parcel: Parcel, section: Dicom) -> Outcome:
    """Stores the parcel's Part 10 file at the destination.

    0000 is SENT, warnings are SENT_WITH_WARNING; A9xx, Cxxx and the refusals of PS3.7 are REFUSED; A7xx, an abort, a broken or
    missing connection and a transient rejection are tried again.
    """
    file = parcel.files.get(object_of(section)[2])
    if file is None:
        return Outcome(result=Result.REFUSED, answer=f"This {parcel.kind} has no DICOM object.")
    try:
        return await asyncio.to_thread(_send, Path(file), section)
    except Misconfigured as error:
        return Outcome(result=Result.REFUSED, answer=error.what)


async def probe(section: Dicom) -> Probe:
    """Opens an association, says which classes the PACS takes, and asks for an echo; stores nothing."""
    return await _probed(section, storing=True)


async def echo(section: Dicom) -> Probe:
    """Asks a DICOM node for an echo and nothing else (PS3.4 annex A)."""
    return await _probed(section, storing=False)


async def _probed(section: Dicom, *, storing: bool) -> Probe:
    try:
        return await asyncio.to_thread(_probe, section, storing=storing)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])


def _send(file: Path, section: Dicom) -> Outcome:
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


def _probe(section: Dicom, *, storing: bool) -> Probe:
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
        _leave(association)
    echoed = "Status" in status and status.Status == 0x0000
    lines.append("C-ECHO succeeded." if echoed else "C-ECHO was not answered with success.")
    return Probe(ok=(stores or not storing) and echoed, lines=[*lines, "Nothing was stored by this test."])


def _unreachable(section: Dicom) -> str:
    """Why no connection can be made; empty when one can. The library itself does not tell."""
    place = f"{section.host} port {section.port}"
    try:
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(socket.create_connection((section.host, section.port), timeout=section.timeout_s))
            if section.tls:
                secured = stack.enter_context(_context(section).wrap_socket(plain, server_hostname=_proven_name(section)))
                _let_it_refuse(secured)
        return ""
    except TimeoutError:
        return f"{place} did not answer within {section.timeout_s} s"
    except ConnectionRefusedError:
        return f"{place} refused the connection: nothing listens there"
    except ssl.SSLError as fault:
        return asking.words_for(fault, place, section.timeout_s)
    except OSError as fault:
        known = isinstance(fault, socket.gaierror)
        return (
            f"the name {section.host} is not known to the network" if known else f"no connection to {place}: {fault.strerror}"
        )


def _let_it_refuse(secured: ssl.SSLSocket) -> None:
    """With TLS 1.3 a host says only after our handshake that it wants another certificate; silence is consent."""
    secured.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        secured.recv(1)


def _context(section: Dicom) -> ssl.SSLContext:
    return tls.context(section.authority, section.certificate, section.key)


def _proven_name(section: Dicom) -> str:
    return section.host_name or section.host


def _associate(section: Dicom, *, storing: bool = True, echo: bool = False) -> _Session:
    entity = _entity(section, storing=storing, echo=echo)
    rejections: list[A_ASSOCIATE_RJ] = []

    def on_pdu(event: Any) -> None:
        # The library can lose a rejection whose connection is closed at once and call it an abort: so we look ourselves.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append(event.pdu)

    roles: list[Any] = [build_role(object_of(section)[0], scu_role=True)] if section.role_selection and storing else []
    try:
        association = entity.associate(
            section.host,
            section.port,
            ae_title=section.called_ae,
            ext_neg=roles,
            evt_handlers=[(evt.EVT_PDU_RECV, on_pdu)],
            tls_args=(_context(section), _proven_name(section)) if section.tls else None,
        )
    except OSError:
        return _Session(None, Outcome(result=Result.TRY_AGAIN, answer=f"the name {section.host} is not known to the network"))
    if association.is_established:
        return _Session(association, None)
    if rejections:
        return _Session(None, _rejected(rejections[0], section))
    if association.rejected_contexts:
        wanted = object_of(section)[1] if storing else "Verification"
        words = f"{section.called_ae} takes no {wanted} in a transfer syntax that we speak"
        return _Session(None, Outcome(result=Result.REFUSED, answer=words))
    why = _unreachable(section) if section.tls else ""
    words = why or f"no association with {section.called_ae}: no connection, no answer, or an abort"
    return _Session(None, Outcome(result=Result.TRY_AGAIN, answer=words))


def _entity(section: Dicom, *, storing: bool, echo: bool) -> AE:
    entity = AE(ae_title=section.calling_ae)
    entity.connection_timeout = section.timeout_s
    entity.acse_timeout = section.timeout_s
    entity.dimse_timeout = section.timeout_s
    entity.network_timeout = section.timeout_s
    # One context for each syntax: the PACS may take any, and no choice shuts another out.
    if storing:
        for syntax in section.transfer_syntaxes:
            entity.add_requested_context(object_of(section)[0], SYNTAXES[syntax])
    if echo:
        entity.add_requested_context(Verification, ImplicitVRLittleEndian)
    return entity


def _rejected(pdu: A_ASSOCIATE_RJ, section: Dicom) -> Outcome:
    """What an A-ASSOCIATE-RJ means for the delivery (PS3.8 section 9.3.4)."""
    reason = _REJECTIONS.get((pdu.source or 0, pdu.reason_diagnostic or 0), "it gives no reason")
    if pdu.result == _PERMANENT:
        return Outcome(result=Result.REFUSED, answer=f"{section.called_ae} rejected the association for good: {reason}")
    return Outcome(result=Result.TRY_AGAIN, answer=f"{section.called_ae} rejected the association for now: {reason}")


def _leave(association: Any) -> None:
    if association.is_established:
        association.release()
