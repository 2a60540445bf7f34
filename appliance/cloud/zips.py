"""ZIPs of a dataset as the protocol takes them: flat, of a size that the settings say, the same bytes every time."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)


def planned(files: Sequence[Path], most: int) -> list[list[Path]]:
    """The files of each ZIP, in their order: one is closed when the next file would make it larger than `most` bytes."""
    found: list[list[Path]] = []
    room = 0
    for file in files:
        size = file.stat().st_size
        if not found or size > room:
            found.append([])
            room = most
        found[-1].append(file)
        room -= size
    return found


def made(files: Sequence[Path], first: int) -> bytes:
    """One ZIP; names count on from `first`, because directories are dropped there and a name must be unique in a dataset.

    Without the time of day or the machine's own marks: what is sent again after a restart has the same digest.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, file in enumerate(files, start=first):
            entry = zipfile.ZipInfo(f"IM{number:06}.dcm", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return out.getvalue()
