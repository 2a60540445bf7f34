"""The images of a study to an archive: C-STORE (PS3.4 annex B) or STOW-RS (PS3.18 section 10.5), resumed where they broke off.

Instances go as they lie, byte for byte. What the archive has acknowledged stands in a ledger, so that the next attempt, after a
fault or after the death of this process, sends the rest. What was sent and not yet written down is sent again under the same
SOP Instance UID.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
from pydicom import config, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config, build_context

from appliance import endpoint
from appliance.associating import NotAssociated, associated, leave
from appliance.delivery import stow
from appliance.delivery.dicom import without
from appliance.delivery.dicom_status import outcome_of
from appliance.delivery.parcel import Outcome, Result, Shipment
from appliance.delivery.section import DicomStudy, StowStudy, StudyDestination
from appliance.errors import Misconfigured

# The library then sends a file's data set as it lies, in pieces, and does not decode and encode it again.
_config.STORE_SEND_CHUNKED_DATASET = True

MOST_CONTEXTS = 128
"""Of an association (PS3.8 section 9.3.2.2)."""
REQUEST_BYTES = 16 * 1024 * 1024
"""Of one STOW-RS request, or one larger instance alone."""
_PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

Kind = tuple[str, str]
"""SOP class and transfer syntax."""


class Ledger:
    """Which instances the destination has acknowledged, and with which status: one line each, written after the answer."""

    def __init__(self, shipment: Shipment) -> None:
        self._path, self._head = shipment.ledger, f"{shipment.digest}\n"
        self.taken: dict[str, int] = {}
        lines = shipment.ledger.read_text().splitlines(keepends=True) if shipment.ledger.exists() else []
        if not lines or lines[0] != self._head:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.write_text(self._head)
            lines = []
        whole = [line for line in lines[1:] if line.endswith("\n")]
        if shipment.afresh and len(whole) >= len(shipment.names):
            whole = []  # Somebody wants all of it sent again.
        if len(whole) != len(lines[1:]):
            # A line that a death tore: what follows must begin a line of its own.
            self._path.write_text("".join([self._head, *whole]))
        for line in whole:
            status, _, name = line.rstrip("\n").partition(" ")
            self.taken[name] = int(status, 16)

    def note(self, names: Iterable[str], status: int) -> None:
        """The destination has these."""
        names = list(names)
        with self._path.open("a") as file:
            file.write("".join(f"{status:04X} {name}\n" for name in names))
        self.taken |= dict.fromkeys(names, status)


async def send(shipment: Shipment, section: StudyDestination) -> Outcome:
    """Sends what the destination does not have yet; every way it can end is an outcome.

    The first instance that the destination does not store ends the attempt: A9xx, Cxxx and the refusals of PS3.7 are REFUSED;
    A7xx, an abort and network faults are tried again.
    """
    try:
        if isinstance(section, DicomStudy):
            return await asyncio.to_thread(_store, shipment, section)
        return await _post(shipment, section)
    except Misconfigured as error:
        return Outcome(result=Result.REFUSED, answer=error.what)


def _ended(shipment: Shipment, ledger: Ledger, fault: Outcome | None) -> Outcome:
    total, there = len(shipment.names), len(ledger.taken)
    if fault is not None:
        return msgspec.structs.replace(fault, answer=f"{there} of {total} images stored; {fault.answer}")
    warned = sum(1 for status in ledger.taken.values() if status)
    if warned:
        words = f"{total} of {total} images stored, {warned} with a warning"
        return Outcome(result=Result.SENT_WITH_WARNING, answer=words)
    return Outcome(result=Result.SENT, answer=f"{total} of {total} images stored")


# --- C-STORE ----------------------------------------------------------------------------------------------------------


def _store(shipment: Shipment, section: DicomStudy) -> Outcome:
    ledger = Ledger(shipment)
    kinds = {name: _kind(shipment.folder / name) for name in shipment.names if name not in ledger.taken}
    for group in _sliced(sorted(set(kinds.values())), MOST_CONTEXTS // 2):
        fault = _associated(shipment, section, ledger, {name: kind for name, kind in kinds.items() if kind in group})
        if fault is not None:
            return _ended(shipment, ledger, fault)
    return _ended(shipment, ledger, None)


def _sliced(found: Sequence[Kind], size: int) -> Iterator[Sequence[Kind]]:
    return (found[start : start + size] for start in range(0, len(found), size))


def _kind(file: Path) -> Kind:
    meta = dcmread(file, stop_before_pixels=True, specific_tags=[]).file_meta
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def _proposed(kinds: Iterable[Kind]) -> list[Kind]:
    """One context for each kind, and implicit little endian besides, which every archive takes (PS3.5 section 10.1)."""
    found = set(kinds)
    return sorted(found | {(sop_class, str(ImplicitVRLittleEndian)) for sop_class, syntax in found if syntax in _PLAIN})


def _associated(shipment: Shipment, section: DicomStudy, ledger: Ledger, kinds: dict[str, Kind]) -> Outcome | None:
    """Sends files over one association; None when the archive has all of them."""
    try:
        association = associated(section, [build_context(*one) for one in _proposed(kinds.values())])
    except NotAssociated as fault:
        return without(fault, section, "image of this study")
    try:
        taken = {(str(one.abstract_syntax), str(one.transfer_syntax[0])) for one in association.accepted_contexts}
        for kind in sorted(set(kinds.values())):
            if not _takes(taken, kind):
                words = f"{section.called_ae} does not take all of the study's images in a transfer syntax that they have"
                return Outcome(result=Result.REFUSED, answer=words)
        for name, kind in kinds.items():
            answer = _one(association, shipment.folder / name, kind in taken)
            if answer is None:
                return Outcome(result=Result.TRY_AGAIN, answer=f"{section.called_ae} ended the association")
            found = outcome_of(answer)
            if found.result not in (Result.SENT, Result.SENT_WITH_WARNING):
                return found
            ledger.note([name], answer)
    finally:
        leave(association)
    return None


def _takes(taken: set[Kind], kind: Kind) -> bool:
    return kind in taken or (kind[1] in _PLAIN and (kind[0], str(ImplicitVRLittleEndian)) in taken)


def _one(association: Any, file: Path, as_it_lies: bool) -> int | None:
    """The status of one C-STORE; None when there was no answer."""
    with contextlib.suppress(ValueError, RuntimeError, AttributeError), config.disable_value_validation():
        # The library raises these for an association that ended meanwhile.
        status = association.send_c_store(file if as_it_lies else dcmread(file))
        return int(status.Status) if "Status" in status else None
    return None


# --- STOW-RS ----------------------------------------------------------------------------------------------------------


async def _post(shipment: Shipment, section: StowStudy) -> Outcome:
    ledger = await asyncio.to_thread(Ledger, shipment)
    waiting = [name for name in shipment.names if name not in ledger.taken]
    try:
        async with endpoint.client(section) as client:
            for names in _requests(shipment.folder, waiting):
                files = [shipment.folder / name for name in names]
                found = await stow.store(client, section, files, f"ranvier-{shipment.digest[:32]}")
                if found.result not in (Result.SENT, Result.SENT_WITH_WARNING):
                    return _ended(shipment, ledger, found)
                ledger.note(names, 0 if found.result is Result.SENT else 0xB000)
    except (httpx.HTTPError, ssl.SSLError, TimeoutError) as fault:
        lost = Outcome(result=Result.TRY_AGAIN, answer=endpoint.fault_words(fault, section))
        return _ended(shipment, ledger, lost)
    except httpx.InvalidURL:
        return Outcome(result=Result.REFUSED, answer="The URL is no address.")
    return _ended(shipment, ledger, None)


def _requests(folder: Path, names: Sequence[str]) -> Iterator[list[str]]:
    """Names in groups of one request each."""
    group: list[str] = []
    size = 0
    for name in names:
        bytes_of_it = (folder / name).stat().st_size
        if group and size + bytes_of_it > REQUEST_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += bytes_of_it
    if group:
        yield group
