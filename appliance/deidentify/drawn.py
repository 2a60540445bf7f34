"""Looks for text that is drawn into the pixels, with Tesseract (Debian package tesseract-ocr) as a program of its own.

What is seen: bright letters on the image, as devices and workstations burn them in: each frame is reduced to what is at least
85 % of the way from its darkest to its brightest value, and read at two sizes. Faint or dark letters are not seen; this is a
guard beside the rules on declared annotations and captures, no proof.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from appliance.deidentify.errors import NoReader, UnreadableInstance
from appliance.deidentify.passport import MaskedRegion, SourceFile

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[float, str], None]
PROGRAM = "tesseract"
SIZES = (2, 3)
_BRIGHT = 0.85
_AT_ONCE = 64
_EDGE = 20
_TIMEOUT_S = 600
_SURE, _LETTERS, _TALLEST = 60.0, 3, 40
"""A word counts from this confidence (0-100) with so many letters or figures, at most so many pixels high."""
_NEAR_SURE, _NEAR_LETTERS = 20.0, 2
"""Beside a word that counts, these do as well."""


class _Frame(NamedTuple):
    owners: list[tuple[str, int]]
    """Instances and frame numbers with these very pixels."""
    size: int
    """How many times it was enlarged."""
    picture: Path


class _Word(NamedTuple):
    text: str
    sure: float
    left: int
    top: int
    width: int
    height: int


def find(files: list[tuple[SourceFile, str]], scratch: Path, progress: Progress) -> list[MaskedRegion]:
    """Where text is drawn in some files, given with their paths; equal frames are read once.

    `scratch` is made and removed. Raises `NoReader` without Tesseract and `UnreadableInstance` for pixels that cannot be read.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise NoReader()
    scratch.mkdir(mode=0o700, parents=True)
    try:
        found: list[tuple[_Frame, MaskedRegion]] = []
        waiting: list[_Frame] = []
        owners: dict[bytes, list[tuple[str, int]]] = {}
        for number, (file, path) in enumerate(files):
            waiting += _pictures(file.instance, path, scratch, owners)
            if len(waiting) >= _AT_ONCE:
                found += _read(program, waiting, scratch)
                waiting = []
            progress(number / len(files), "look for drawn text")
        found += _read(program, waiting, scratch)
        return [
            msgspec.structs.replace(region, instance=instance, frame=number)
            for frame, region in found
            for instance, number in frame.owners
        ]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pictures(instance: str, path: str, scratch: Path, owners: dict[bytes, list[tuple[str, int]]]) -> Iterator[_Frame]:
    for number, frame in enumerate(_frames(instance, path)):
        digest = hashlib.sha256(frame.tobytes()).digest()
        if digest in owners:
            owners[digest].append((instance, number))
            continue
        owners[digest] = [(instance, number)]
        for size in SIZES:
            picture = scratch / f"{instance}-{number}-{size}.png"
            _drawn(frame, size, picture)
            yield _Frame(owners[digest], size, picture)


def _frames(instance: str, path: str) -> "np.ndarray[Any, Any]":
    """Frames x rows x columns; of colours the brightest."""
    import pydicom

    dataset = pydicom.dcmread(path, force=False)
    try:
        pixels = dataset.pixel_array
    except (AttributeError, ValueError, NotImplementedError, RuntimeError, KeyError):
        raise UnreadableInstance(instance=instance, reason="its pixels cannot be read to look for drawn text") from None
    if int(dataset.get("SamplesPerPixel", 1)) > 1:
        pixels = pixels.max(axis=-1)
    return pixels.reshape(-1, *pixels.shape[-2:])


def _drawn(frame: "np.ndarray[Any, Any]", size: int, picture: Path) -> None:
    from PIL import Image, ImageOps

    low, high = float(frame.min()), float(frame.max())
    letters = Image.fromarray(((frame < low + _BRIGHT * (high - low)) * 255).astype("uint8"))
    enlarged = letters.resize((letters.width * size, letters.height * size), Image.Resampling.BICUBIC)
    ImageOps.expand(enlarged, _EDGE, 255).save(picture)


def _read(program: str, frames: list[_Frame], scratch: Path) -> list[tuple[_Frame, MaskedRegion]]:
    if not frames:
        return []
    listed = scratch / "pictures.txt"
    listed.write_text("".join(f"{one.picture}\n" for one in frames))
    command = [program, str(listed), "-", "--psm", "11", "--dpi", "150", "tsv"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    try:
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        raise NoReader() from None
    words: dict[int, list[_Word]] = {}
    for line in ended.stdout.splitlines():
        cells = line.split("\t")
        if len(cells) == 12 and cells[0] == "5":
            left, top, width, height = (int(cell) for cell in cells[6:10])
            words.setdefault(int(cells[1]), []).append(_Word(cells[11], float(cells[10]), left, top, width, height))
    found = [(frames[page - 1], one) for page, seen in words.items() for one in _regions(frames[page - 1].size, seen)]
    for one in frames:
        one.picture.unlink()
    return found


def _regions(size: int, words: list[_Word]) -> Iterator[MaskedRegion]:
    """Each word's line, some letters wider on both sides, because parts of a word may not be read."""
    low = [one for one in words if one.height <= _TALLEST * size]
    if not any(one.sure >= _SURE and _letters(one.text) >= _LETTERS for one in low):
        return
    for one in low:
        if one.sure >= _NEAR_SURE and _letters(one.text) >= _NEAR_LETTERS:
            left, top = (one.left - _EDGE) // size, (one.top - _EDGE) // size
            width, height = -(-one.width // size), -(-one.height // size)
            yield MaskedRegion(
                instance="",
                frame=0,
                left=max(0, left - 4 * height),
                top=max(0, top - 2),
                right=left + width + 4 * height,
                bottom=top + height + 3,
            )


def _letters(text: str) -> int:
    return sum(letter.isalnum() for letter in text)
