"""ZIPs that clients of the hub upload: part by part, then their DICOM files by the way of every other instance.

What a client uploads is filed under a sender of its own, and a study that somebody else has sent is not added to: no key
gets a result on images that it did not bring.
"""

import asyncio
from pathlib import Path
from uuid import uuid4

from appliance.compute.local import StageEnded
from appliance.house import House
from appliance.hub import parts
from appliance.hub.errors import (
    BucketNotFound,
    DatasetClosed,
    NoDicom,
    NotAZip,
    OrderTooLarge,
    SeveralStudies,
    StudyElsewhere,
    Unreadable,
    UploadUnknown,
)
from appliance.receive import drop
from appliance.receive import header as tags
from appliance.receive.header import read_header
from appliance.receive.part10 import NotPart10, read_prefix
from appliance.receive.posted import Postbox
from appliance.receive.statuses import SUCCESS
from appliance.receive.unpack import ArchiveTooLarge
from appliance.records import hub, studies
from appliance.records.hub import HubOrderRow, UploadRow
from appliance.storage import remove_folder
from appliance.unpacking import unpack

MB = 1_000_000
UPLOAD_MS = 24 * 3_600_000
ORDER_MS = 7 * UPLOAD_MS
EXPIRED = "Expired: it was not run within a week."
_HEAD_BYTES = 256 << 10


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
    if order.asked_at or order.refused:
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
    if order.asked_at or order.refused:
        raise DatasetClosed()
    most = (await house.settings()).settings.hub.order_mb * MB - order.bytes
    archive = await asyncio.to_thread(parts.joined, house.storage.hub(order.id), known.id, named)
    scratch = house.storage.scratch(known.id)
    try:
        files = await _unpacked(archive, scratch, most)
        await _require_ours(house, order, await asyncio.to_thread(_study_of, files))
        size = sum(one.stat().st_size for one in files)
        async with box.taking(None, sender=sender_of(order.token), address="hub") as taking:
            await asyncio.to_thread(drop.bring_in, taking, files)
    finally:
        await asyncio.to_thread(remove_folder, scratch)
    stored = {house.keys.digest("sop-uid", one.sop_instance) for one in taking.outcomes if one.status == SUCCESS}
    if not stored:
        raise NoDicom()
    await hub.unpacked(house.records, known.id, order.id, stored, size, final=final)
    await asyncio.to_thread(_forget, house, order.id, known.id)


async def _unpacked(archive: Path, scratch: Path, most: int) -> list[Path]:
    """The DICOM files in a ZIP; raises `NotAZip`, `OrderTooLarge`, `NoDicom`, and `StageDied` when it should be tried again."""
    if most <= 0:
        raise OrderTooLarge()
    await asyncio.to_thread(remove_folder, scratch)
    try:
        await unpack(archive, scratch / "out", most)
    except StageEnded as ended:
        if ended.error.code == ArchiveTooLarge.code:
            raise OrderTooLarge() from None
        raise NotAZip() from None
    files = await asyncio.to_thread(drop.files_of, scratch / "out")
    if not files:
        raise NoDicom()
    return files


async def _require_ours(house: House, order: HubOrderRow, study_uid: str) -> None:
    uid_key = house.keys.digest("study-uid", study_uid)
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


def _head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _study_of(files: list[Path]) -> str:
    """The one Study Instance UID (0020,000D) of DICOM files; raises `NoDicom`, `SeveralStudies`."""
    found = set()
    for path in files:
        head = _head_of(path)
        try:
            origin, start = read_prefix(head)
        except NotPart10:
            raise NoDicom() from None
        found.add(read_header(memoryview(head)[start:], origin.transfer_syntax).uid(tags.STUDY_INSTANCE))
        if len(found) > 1:
            raise SeveralStudies()
    if not any(found):
        raise NoDicom()
    return found.pop()


async def reap(house: House, now: int) -> str:
    """Ends what clients began and left: ZIPs after a day, orders that nobody ran after a week; says how many."""
    busy = set(await hub.end_uploads(now - UPLOAD_MS))
    ended = await hub.expire(now - ORDER_MS, EXPIRED)
    folders = [one for one in await asyncio.to_thread(_folders, house) if one.name not in busy]
    for folder in folders:
        await asyncio.to_thread(remove_folder, folder)
    return f"{len(folders)} uploads, {ended} orders ended"


def _folders(house: House) -> list[Path]:
    return [one for one in house.storage.hub_folder.iterdir() if one.is_dir()]


def integer(value: object) -> int:
    """A number as clients send it, as a number or as text; raises `Unreadable`."""
    try:
        found = int(str(value))
    except ValueError:
        raise Unreadable() from None
    if not 0 <= found <= 10_000:
        raise Unreadable()
    return found
