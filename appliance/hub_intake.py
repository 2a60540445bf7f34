"""ZIPs that clients of the hub upload: part by part, then their DICOM files by the way of every other instance.

What a client uploads is filed under a sender of its own, and a study that somebody else has sent is not added to: no key
gets a result on images that it did not bring.
"""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from appliance.house import House
from appliance.hub import parts
from appliance.hub.errors import (
    BucketNotFound,
    DatasetClosed,
    NoDicom,
    OrderTooLarge,
    SeveralStudies,
    StudyElsewhere,
    Unreadable,
    UploadUnknown,
)
from appliance.receive import header as tags
from appliance.receive.header import read_header
from appliance.receive.multipart import Parts
from appliance.receive.part10 import NotPart10, read_prefix
from appliance.receive.posted import Postbox, Taking
from appliance.records import hub, studies
from appliance.records.hub import HubOrderRow, UploadRow
from appliance.storage import remove_folder

MB = 1_000_000


async def own(order: object, token: str) -> HubOrderRow:
    """An order of this key; raises `BucketNotFound`."""
    found = await hub.order(order, token) if isinstance(order, str) else None
    if found is None:
        raise BucketNotFound()
    return found


def sender_of(token: str) -> str:
    """The sender that stands for a key: 16 characters, as an AE title."""
    return f"HUB-{token[-12:]}"


async def begin(order: HubOrderRow, zip_index: int, now: int) -> str:
    """Begins a ZIP and gives its identifier; raises `DatasetClosed`."""
    if order.asked_at:
        raise DatasetClosed()
    upload = str(uuid4())
    await hub.add_upload(upload, order.id, zip_index, now)
    return upload


async def address(house: House, order: HubOrderRow, upload: object, part: int, now: int) -> str:
    """Path and query that one part can be put to for a while, by whoever has them; raises `UploadUnknown`."""
    known = await _upload(order, upload)
    until = now + parts.URL_MS
    signed = parts.signature(house.keys, order.id, known.id, part, until)
    return f"/objects/{order.id}/{known.id}?partNumber={part}&expires={until}&signature={signed}"


async def _upload(order: HubOrderRow, upload: object) -> UploadRow:
    found = await hub.upload(upload, order.id) if isinstance(upload, str) else None
    if found is None:
        raise UploadUnknown()
    return found


async def writer(house: House, order: str, upload: str, part: int, until: int, signed: str, now: int) -> parts.PartWriter:
    """Takes what is put to an address; raises `UrlOver`, `UploadUnknown`, `OrderTooLarge`."""
    parts.check_signature(house.keys, order, upload, part, until, signed, now)
    if await hub.upload(upload, order) is None:
        raise UploadUnknown()
    folder = house.storage.hub(order)
    left = (await house.settings()).settings.hub.order_mb * MB - await asyncio.to_thread(parts.used, folder)
    if left <= 0:
        raise OrderTooLarge()
    house.storage.require_space(0)
    return await asyncio.to_thread(parts.PartWriter, parts.part_file(folder, upload, part), left)


async def complete(
    house: House, box: Postbox, order: HubOrderRow, upload: object, named: list[tuple[int, str]], *, final: bool
) -> None:
    """A ZIP is whole: its instances are stored, synced, before this returns. Saying it twice does it once.

    Raises what `appliance.hub.errors` has for ZIPs.
    """
    known = await _upload(order, upload)
    if known.done:
        return
    if order.asked_at:
        raise DatasetClosed()
    most = (await house.settings()).settings.hub.order_mb * MB - order.bytes
    folder = house.storage.hub(order.id)
    archive = await asyncio.to_thread(parts.joined, folder, known.id, named)
    unpacking = _Unpacking(house, order)
    uid_key = await asyncio.to_thread(unpacking.survey, archive, most)
    await _require_ours(house, order, uid_key)
    boundary = secrets.token_hex(16)
    async with box.taking(Parts(boundary), sender=sender_of(order.token), address="hub") as taking:
        await asyncio.to_thread(unpacking.store, archive, most, taking, boundary)
    stored = {house.keys.digest("sop-uid", one.sop_instance) for one in taking.outcomes if not one.status}
    if not stored:
        raise NoDicom()
    await hub.unpacked(house.records, known.id, order.id, stored, unpacking.bytes, final=final)
    await asyncio.to_thread(_forget, house, order.id, known.id)


async def _require_ours(house: House, order: HubOrderRow, uid_key: str) -> None:
    if order.uid_key and order.uid_key != uid_key:
        raise SeveralStudies()
    here = await studies.by_uid_keys(house.records, [uid_key])
    if here and (await studies.get(here[uid_key])).sender != sender_of(order.token):
        raise StudyElsewhere()
    await hub.name_study(order.id, uid_key)


def _forget(house: House, order: str, upload: str) -> None:
    folder = house.storage.hub(order)
    for file in folder.glob(f"{upload}.*"):
        file.unlink()
    if not any(folder.iterdir()):
        remove_folder(folder)


class _Unpacking:
    """One ZIP, read twice: first whose study it is, then into the journal."""

    def __init__(self, house: House, order: HubOrderRow) -> None:
        self._house, self._order = house, order
        self.bytes = 0

    def survey(self, archive: Any, most: int) -> str:
        """The digest of the one Study Instance UID; raises `NoDicom`, `SeveralStudies` and what reading a ZIP raises."""
        found: set[str] = set()
        for file in parts.dicom_files(archive, most):
            found.add(_study_of(file.head))
            if len(found) > 1:
                raise SeveralStudies()
        if not found or "" in found:
            raise NoDicom()
        return self._house.keys.digest("study-uid", found.pop())

    def store(self, archive: Any, most: int, taking: Taking, boundary: str) -> None:
        """Every file as a part of one body."""
        for file in parts.dicom_files(archive, most):
            for piece in _framed(file, boundary):
                self.bytes += len(piece)
                taking.feed(piece)
        taking.feed(f"--{boundary}--\r\n".encode())
        taking.finish()


def _framed(file: parts.DicomFile, boundary: str) -> Iterator[bytes]:
    yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    yield file.head
    yield from file.rest
    yield b"\r\n"


def _study_of(head: bytes) -> str:
    """The Study Instance UID (0020,000D) at the beginning of a file; empty when there is none."""
    try:
        origin, start = read_prefix(head)
    except NotPart10:
        return ""
    return read_header(memoryview(head)[start:], origin.transfer_syntax).uid(tags.STUDY_INSTANCE)


def integer(value: object) -> int:
    """A number as clients send it, as a number or as text; raises `Unreadable`."""
    try:
        found = int(str(value))
    except ValueError:
        raise Unreadable() from None
    if not 0 <= found <= 10_000:
        raise Unreadable()
    return found
