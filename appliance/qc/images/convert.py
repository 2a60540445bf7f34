"""One series to NIfTI by dcm2niix, for looking at: what is made here is thrown away when the stage ends."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import Retry
from appliance.qc.bundle import part_of
from appliance.qc.finding import SeriesFile


class ConversionTimedOut(Retry):
    """Converting the images for quality control took longer than {seconds} s and was ended."""

    code = "qc-conversion-timed-out"
    next_step = "Retry when the machine is less busy; if it happens again, switch the image checks off and report the study."


@dataclass(frozen=True, slots=True)
class Converted:
    """The files of one four-dimensional image with b-values and directions."""

    image: Path
    bvalues: Path
    bvectors: Path
    sidecar: dict[str, Any]


def convert(files: Sequence[SeriesFile], work: Path, timeout_s: float) -> Converted | None:
    """Converts the files of one series inside `work`; None where they give no diffusion image.

    Raises `ConversionTimedOut`.
    """
    if any(part_of(file.path) for file in files):
        return _already(files, work)
    out = work / "out"
    out.mkdir(parents=True)
    _run_dcm2niix(_folder_of(files, work), out, timeout_s)
    images = [image for image in sorted(out.glob("*.nii")) if image.with_suffix(".bval").exists()]
    whole = [image for image in images if image.with_suffix(".bvec").exists()]
    if not whole:
        return None
    largest = max(whole, key=lambda image: image.stat().st_size)
    described = _described(largest.with_suffix(".json"))
    return Converted(largest, largest.with_suffix(".bval"), largest.with_suffix(".bvec"), described)


def _folder_of(files: Sequence[SeriesFile], work: Path) -> Path:
    """A folder of this series alone: its own where it lies in one, else one of links; the originals stay as they are."""
    places = [os.path.split(os.path.abspath(file.path)) for file in files]
    folders = {folder for folder, _ in places}
    if len(folders) == 1 and set(os.listdir(*folders)) == {name for _, name in places}:
        return Path(*folders)
    links = work / "in"
    links.mkdir()
    for number, (folder, name) in enumerate(places):
        os.symlink(f"{folder}/{name}", f"{links}/{number:06}.dcm")
    return links


def _already(files: Sequence[SeriesFile], work: Path) -> Converted | None:
    """A series that came as NIfTI; a compressed image is unpacked, because it is read more than once."""
    by_part = {part_of(file.path): Path(file.path) for file in files}
    if not by_part.keys() >= {".nii", ".bval", ".bvec"}:
        return None
    image = by_part[".nii"]
    if image.name.lower().endswith(".gz"):
        work.mkdir(parents=True, exist_ok=True)
        with gzip.open(image) as packed, (work / "image.nii").open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        image = work / "image.nii"
    return Converted(image, by_part[".bval"], by_part[".bvec"], _described(by_part.get(".json")))


def _described(sidecar: Path | None) -> dict[str, Any]:
    if sidecar is None or not sidecar.exists():
        return {}
    try:
        return msgspec.json.decode(sidecar.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _run_dcm2niix(in_folder: Path, out_folder: Path, timeout_s: float) -> None:
    import dcm2niix

    arguments = [
        dcm2niix.bin,
        *("-g", "i", "-f", "s%s", "-b", "y", "-ba", "y", "-c", "", "-z", "n", "-d", "0", "-w", "2"),
        *("-o", str(out_folder), str(in_folder)),
    ]
    # Its words are not kept: they quote paths and descriptions. HOME keeps its defaults file out of the user's.
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(out_folder), "LC_ALL": "C.UTF-8"}
    try:
        subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired as fault:
        raise ConversionTimedOut(seconds=int(timeout_s)) from fault
