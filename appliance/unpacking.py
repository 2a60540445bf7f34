"""A ZIP that somebody handed in, unpacked in a child process without rights: DICOM files only, within limits."""

from pathlib import Path

import msgspec

from appliance.compute.local import run_stage
from appliance.receive import drop
from appliance.receive.unpack import UnpackAnswer, UnpackRequest
from appliance.steps import LIGHT


async def unpack(archive: Path, out: Path, most_bytes: int) -> int:
    """Unpacks into a new folder and gives how many files are no DICOM files; raises `StageEnded`, `StageDied`."""
    out.mkdir(mode=0o700, parents=True)
    request = UnpackRequest(archive=str(archive), out_folder=str(out), most_files=drop.MOST_FILES, most_bytes=most_bytes)

    async def silent(_fraction: float, _step: str) -> None:
        return None

    limits = msgspec.structs.replace(LIGHT, out_mb=(most_bytes >> 20) + 1)
    raw = await run_stage("unpack", request, limits, progress=silent, out_folder=out)
    return msgspec.json.decode(raw, type=UnpackAnswer).left_out
