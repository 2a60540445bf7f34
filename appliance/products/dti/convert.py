"""DICOM to NIfTI, b-values and gradient directions, by dcm2niix."""

import hashlib
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from appliance.products.dti.faults import ConversionFailed, ConversionTimedOut, NoDiffusionFound

_DONE = "conversion.json"
NOTHING_FOUND = 2
"""dcm2niix's exit status when it read no DICOM at all."""


class Conversion(msgspec.Struct, kw_only=True, frozen=True):
    """What a conversion read and how it ended."""

    input_sha256: str
    """Of the sorted SHA-256 of all files: the same study gives the same value whatever its files are called."""
    input_files: int
    input_bytes: int
    converter: str
    status: int
    """The converter's exit status; other than 0, some series were not converted, or not wholly."""


def convert(in_folder: Path, work: Path, timeout_s: float) -> Conversion:
    """Converts a folder of DICOM files into `work`; an earlier conversion of the same bytes there is kept.

    Raises `NoDiffusionFound` for a folder without images, `ConversionFailed`, `ConversionTimedOut`.
    """
    files = sorted(path for path in in_folder.rglob("*") if path.is_file())
    digest, size = _fingerprint(files)
    done = work / _DONE
    if done.exists():
        earlier = msgspec.json.decode(done.read_bytes(), type=Conversion)
        if earlier.input_sha256 == digest:
            return earlier
    _empty(work)
    status, version = _run_dcm2niix(in_folder, work, timeout_s)
    if status == NOTHING_FOUND:
        raise NoDiffusionFound(series=0, derived=0)
    if status != 0 and not any(work.glob("*.nii")):
        raise ConversionFailed(status=status, files=len(files))
    made = Conversion(input_sha256=digest, input_files=len(files), input_bytes=size, converter=version, status=status)
    done.write_bytes(msgspec.json.encode(made))
    return made


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()


def _fingerprint(files: Iterable[Path]) -> tuple[str, int]:
    digests: list[str] = []
    size = 0
    for path in files:
        with path.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
            size += stream.tell()
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest(), size


def _run_dcm2niix(in_folder: Path, work: Path, timeout_s: float) -> tuple[int, str]:
    import dcm2niix

    arguments = [
        dcm2niix.bin,
        *("-g", "i"),  # no defaults from a file in somebody's home
        *("-f", "s%s"),  # named by series number alone: descriptions can hold a name
        *("-b", "y", "-ba", "y", "-c", ""),  # sidecar without identifying values, no comment in the NIfTI header
        *("-z", "n", "-d", "9", "-w", "2"),
        *("-o", str(work), str(in_folder)),
    ]
    # Its words are not kept: they quote paths and descriptions. HOME keeps its defaults file out of the user's.
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(work), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired as fault:
        raise ConversionTimedOut(seconds=int(timeout_s)) from fault
    return done.returncode, dcm2niix.__version__
