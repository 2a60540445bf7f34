"""A ZIP that somebody handed in, unpacked in a child process without rights: DICOM files only, within limits."""

from pathlib import Path

import msgspec

from appliance.compute.local import run_stage
from appliance.receive import drop
from appliance.receive.unpack import UnpackAnswer, UnpackRequest
from appliance.steps import LIGHT


async def unpack(archive: Path, out: Path, most_bytes: int) -> int:
    """Unpacks into a new folder and gives how many files are no DICOM files; raises `StageEnded`, `StageDied`."""
    return (await unpack_all(archive, out, most_bytes, keep_others=False)).left_out


async def unpack_all(archive: Path, out: Path, most_bytes: int, *, keep_others: bool = True) -> UnpackAnswer:
    """Unpacks images and documents into a new folder; raises `StageEnded`, `StageDied`."""
    out.mkdir(mode=0o700, parents=True)
    request = UnpackRequest(
        archive=str(archive), out_folder=str(out), most_files=drop.MOST_FILES, most_bytes=most_bytes, keep_others=keep_others
    )
    limits = msgspec.structs.replace(LIGHT, out_mb=(most_bytes >> 20) + 1)
    raw = await run_stage("unpack", request, limits, progress=silent, out_folder=out)
    return msgspec.json.decode(raw, type=UnpackAnswer)


async def silent(_fraction: float, _step: str) -> None:
    """For a stage whose progress nobody follows."""
