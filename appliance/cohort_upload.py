"""One study as a ZIP into a group: unpacked in a child process, taken as by DICOM, and in the group before its order opens."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from appliance import cohorts
from appliance.compute.local import StageEnded
from appliance.errors import Failed
from appliance.house import House
from appliance.moments import new_id
from appliance.receive import drop
from appliance.receive.posted import Postbox
from appliance.receive.statuses import SUCCESS
from appliance.receive.unpack import ArchiveTooLarge
from appliance.records import groups, pulls, studies
from appliance.storage import remove_folder
from appliance.unpacking import unpack

FILED_WITHIN_S = 120.0
_LOOK_S = 0.1


class ArchiveRefused(Failed):
    """This ZIP cannot be taken: {why}"""

    code = "archive-refused"
    next_step = "Make one ZIP for each study, without a password, and send it again."


class NoImagesInside(Failed):
    """There is no DICOM image in this ZIP."""

    code = "archive-without-images"
    next_step = "Make one ZIP for each study, with its DICOM files in it."


class NotFiledInTime(Failed):
    """The study was received, but not filed within {seconds} s; it is not in the group yet."""

    code = "not-filed-in-time"
    next_step = "Put it into the group by hand when it stands in the list."


class Uploaded(msgspec.Struct, kw_only=True, frozen=True):
    """What came of one ZIP."""

    studies: list[str]
    stored: int
    left_out: int
    """Files that are no DICOM images, or that could not be stored."""


async def take(
    house: House, box: Postbox, group: str, body: AsyncIterator[bytes], *, actor: str, address: str, now: int
) -> Uploaded:
    """Takes the body as one ZIP into a group.

    Raises `Unknown` without such a group, `ArchiveRefused`, `ArchiveTooLarge`, `NoImagesInside`, `NotFiledInTime`,
    `GroupProductsDiffer`, `OutOfSpace`; what was stored before stays.
    """
    await groups.get(group)
    most = (await house.settings()).settings.uploads.maximum_gb << 30
    scratch = house.storage.scratch(new_id(now))
    try:
        archive = await _kept(house, body, scratch, most)
        left_out = await _unpacked(archive, scratch / "out", most)
        files = await asyncio.to_thread(drop.files_of, scratch / "out")
        async with box.taking(None, sender=actor, address=address) as taking:
            left_out += await asyncio.to_thread(drop.bring_in, taking, files)
            stored = [one for one in taking.outcomes if one.status == SUCCESS]
            left_out += len(taking.outcomes) - len(stored)
            # While the association is open the study cannot be complete: it is in the group before its order opens.
            found = await _filed(house, list(dict.fromkeys(pulls.study_key(house.keys, one.study) for one in stored)))
            for study in found:
                await cohorts.put(house, study, group, actor=actor, now=now)
    finally:
        await asyncio.to_thread(remove_folder, scratch)
    return Uploaded(studies=found, stored=len(stored), left_out=left_out)


async def _kept(house: House, body: AsyncIterator[bytes], scratch: Path, most: int) -> Path:
    """The body on disk."""
    scratch.mkdir(mode=0o700, parents=True)
    archive, size = scratch / "upload.zip", 0
    with archive.open("xb") as file:
        async for piece in body:
            size += len(piece)
            if size > most:
                raise ArchiveTooLarge(limit=f"{most >> 20} MiB")
            house.storage.require_space(len(piece))
            await asyncio.to_thread(file.write, piece)
    return archive


async def _unpacked(archive: Path, out: Path, most: int) -> int:
    try:
        return await unpack(archive, out, most)
    except StageEnded as ended:
        raise ArchiveRefused(why=ended.error.what) from None


async def _filed(house: House, keys: list[str]) -> list[str]:
    """The studies behind these keys, as soon as all of them are filed."""
    if not keys:
        raise NoImagesInside()
    try:
        async with asyncio.timeout(FILED_WITHIN_S):
            while True:
                found = await studies.by_uid_keys(house.records, keys)
                if len(found) == len(keys):
                    return list(found.values())
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise NotFiledInTime(seconds=FILED_WITHIN_S) from None
