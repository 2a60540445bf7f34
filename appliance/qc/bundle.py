"""NIfTI series as they are uploaded: an image with `.bval`, `.bvec` and `.json` beside it; pixels are not read."""

import gzip
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.qc.finding import SeriesFile
from appliance.qc.sidecar import Sidecar, read_sidecar

IMAGE, GZIPPED = ".nii", ".nii.gz"
PARTS = (IMAGE, ".bval", ".bvec", ".json")
"""The four files of a series; the image may also be compressed."""

_HEADER_BYTES = 540
_LARGEST_TEXT = 4 * 1024 * 1024


def part_of(path: str) -> str:
    """Which of `PARTS` a file is by its name; empty for DICOM."""
    name = path.lower()
    if name.endswith(GZIPPED):
        return IMAGE
    return next((part for part in PARTS if name.endswith(part)), "")


@dataclass(frozen=True, slots=True)
class Bundle:
    """One series of NIfTI files."""

    series: str
    parts: frozenset[str]
    repeated: frozenset[str] = frozenset()
    """Parts that are there more than once."""
    volumes: int | None = None
    """None where the image has no readable header."""
    bvalues: tuple[float, ...] | None = None
    """s/mm2; None where the file is not numbers."""
    directions: int | None = None
    """How many columns `.bvec` has; None where it is not three rows of numbers."""
    sidecar: Sidecar | None = None


def read_bundles(files: Sequence[SeriesFile]) -> tuple[Bundle, ...]:
    """The NIfTI series among the files; what cannot be read is missing from the bundle, never an error."""
    by_series: dict[str, dict[str, list[Path]]] = {}
    for file in files:
        part = part_of(file.path)
        if part:
            by_series.setdefault(file.series, {}).setdefault(part, []).append(Path(file.path))
    return tuple(_bundle(series, parts) for series, parts in by_series.items())


def _bundle(series: str, parts: dict[str, list[Path]]) -> Bundle:
    first = {part: paths[0] for part, paths in parts.items()}
    rows = _numbers(first.get(".bval"))
    vectors = _numbers(first.get(".bvec"))
    return Bundle(
        series=series,
        parts=frozenset(parts),
        repeated=frozenset(part for part, paths in parts.items() if len(paths) > 1),
        volumes=_volumes(first[IMAGE]) if IMAGE in first else None,
        bvalues=tuple(value for row in rows for value in row) if rows else None,
        directions=_columns(vectors),
        sidecar=read_sidecar(_read(first[".json"])) if ".json" in first else None,
    )


def _columns(vectors: list[list[float]] | None) -> int | None:
    """Directions stand in three rows (FSL), or in three columns."""
    if not vectors or len({len(row) for row in vectors}) != 1:
        return None
    if len(vectors) == 3:
        return len(vectors[0])
    return len(vectors) if len(vectors[0]) == 3 else None


def _numbers(path: Path | None) -> list[list[float]] | None:
    if path is None:
        return None
    try:
        return [[float(word) for word in line.split()] for line in _read(path).decode("ascii").splitlines() if line.strip()]
    except (ValueError, UnicodeDecodeError):
        return None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST_TEXT)
    except OSError:
        return b""


def _volumes(path: Path) -> int | None:
    """The length of the fourth dimension of a NIfTI-1 or NIfTI-2 header, either byte order."""
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as stream:
            header = stream.read(_HEADER_BYTES)
    except (OSError, EOFError, zlib.error):
        return None
    for order in "<>":
        if len(header) >= 348 and struct.unpack_from(f"{order}i", header)[0] == 348:
            dimensions = struct.unpack_from(f"{order}8h", header, 40)
        elif len(header) >= 540 and struct.unpack_from(f"{order}i", header)[0] == 540:
            dimensions = struct.unpack_from(f"{order}8q", header, 16)
        else:
            continue
        return max(1, int(dimensions[4])) if dimensions[0] > 3 else 1
    return None
