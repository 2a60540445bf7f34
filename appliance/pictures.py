"""Pixels for whoever asks by DICOMweb: what must be decoded is decoded by the stage `picture`, a few at a time."""

import asyncio
from typing import Literal

import msgspec

from appliance.compute.local import Limits, StageDied, StageEnded, run_stage
from appliance.dicomweb import retrieve
from appliance.dicomweb.pixels import ERRORS, PixelsAnswer, PixelsRequest
from appliance.errors import Retry
from appliance.house import House
from appliance.moments import new_id
from appliance.records.web import Held
from appliance.storage import remove_folder

LIMITS = Limits(memory_mb=2048, cores=1, timeout_s=60, out_mb=1024)
AT_ONCE = 2
MOST_WAITING = 64
_turn = asyncio.Semaphore(AT_ONCE)
_waiting = [0]


class TooManyPictures(Retry):
    """{count} pictures are waiting to be made."""

    code = "too-many-pictures"
    next_step = "Try again in a moment."


async def part10(house: House, one: Held, syntax: str) -> bytes:
    """The Part 10 file of an instance, as it is held or uncompressed; raises `NoSuchForm`."""
    found = await asyncio.to_thread(retrieve.part10, house.storage.root, one, syntax)
    return found if found is not None else (await _developed(house, one, "part10"))[0]


async def frames(house: House, one: Held, numbers: list[int]) -> list[bytes]:
    """Frames by number from 1, uncompressed, little endian; raises `NoSuchFrame`, `NoPicture`."""
    plain = await asyncio.to_thread(retrieve.plain_frames, house.storage.root, one, numbers)
    return plain if plain is not None else await _developed(house, one, "frames", frames=numbers)


async def picture(house: House, one: Held, *, frame: int, edge: int, form: Literal["JPEG", "PNG"]) -> bytes:
    """A picture of one frame (0: the one in the middle), no larger than `edge`; raises `NoSuchFrame`, `NoPicture`."""
    return (await _developed(house, one, "picture", frames=[frame] if frame else [], edge=edge, form=form))[0]


async def _developed(
    house: House,
    one: Held,
    kind: Literal["frames", "picture", "part10"],
    *,
    frames: list[int] | None = None,
    edge: int = 0,
    form: Literal["JPEG", "PNG"] = "JPEG",
) -> list[bytes]:
    if _waiting[0] >= MOST_WAITING:
        raise TooManyPictures(count=_waiting[0])
    folder = house.storage.scratch(new_id())
    request = PixelsRequest(
        path=str(house.storage.absolute(one.path)),
        kind=kind,
        out_folder=str(folder),
        transfer_syntax=one.transfer_syntax,
        frames=frames or [],
        edge=edge,
        form=form,
    )
    _waiting[0] += 1
    try:
        async with _turn:
            raw = await run_stage("picture", request, LIMITS, progress=_quiet, out_folder=folder)
        answer = msgspec.json.decode(raw, type=PixelsAnswer)
        return await asyncio.to_thread(lambda: [(folder / name).read_bytes() for name in answer.files])
    except StageEnded as ended:
        raise ERRORS.get(ended.error.code, retrieve.NoPicture)() from None
    except StageDied:
        raise retrieve.NoPicture() from None
    finally:
        _waiting[0] -= 1
        await asyncio.shield(asyncio.to_thread(remove_folder, folder))


async def _quiet(_fraction: float, _step: str) -> None:
    """Nobody watches."""
