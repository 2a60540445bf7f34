"""The stage that unpacks a ZIP somebody handed in: DICOM files only, under names of our own, within limits.

It runs in a child without rights (see `appliance.stage`). What an archive says of itself is believed only when it says too
much; what comes out is counted as it is written.
"""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.errors import Failed
from appliance.receive.part10 import PREAMBLE_BYTES

_PIECE = 1 << 20
_ENCRYPTED = 0x1
"""General purpose bit 0 (APPNOTE 4.4.4)."""


class UnpackRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Which archive, where to, and how much at most."""

    archive: str
    out_folder: str
    most_files: int
    most_bytes: int


class UnpackAnswer(msgspec.Struct, kw_only=True, frozen=True):
    """How many files were unpacked, and how many are no DICOM files."""

    unpacked: int
    left_out: int


class ArchiveBroken(Failed):
    """The ZIP file is broken or not whole."""

    code = "archive-broken"
    next_step = "Make it again and put it there again."


class ArchiveLocked(Failed):
    """The ZIP file is protected by a password."""

    code = "archive-locked"
    next_step = "Unpack it first, and hand in what was in it."


class ArchiveTooLarge(Failed):
    """The ZIP file holds more than {limit}."""

    code = "archive-too-large"
    next_step = "Hand in one study at a time, or raise the limit in the settings."


def run(request: UnpackRequest, progress: Callable[[float, str], None]) -> UnpackAnswer:
    """Unpacks; raises `ArchiveBroken`, `ArchiveLocked` and `ArchiveTooLarge`."""
    try:
        with zipfile.ZipFile(request.archive) as archive:
            return _unpacked(archive, request, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError, ValueError) as fault:
        raise ArchiveBroken() from fault


def _unpacked(archive: zipfile.ZipFile, request: UnpackRequest, progress: Callable[[float, str], None]) -> UnpackAnswer:
    members = [one for one in archive.infolist() if not one.is_dir()]
    if len(members) > request.most_files:
        raise ArchiveTooLarge(limit=f"{request.most_files} files")
    if any(one.flag_bits & _ENCRYPTED for one in members):
        raise ArchiveLocked()
    room, unpacked = request.most_bytes, 0
    if sum(one.file_size for one in members) > room:
        raise ArchiveTooLarge(limit=f"{request.most_bytes >> 20} MiB")
    for number, member in enumerate(members, start=1):
        written = _member(archive, member, Path(request.out_folder) / f"{number:06}", room, request.most_bytes)
        room -= written
        unpacked += written > 0
        progress(number / len(members), "unpacking")
    return UnpackAnswer(unpacked=unpacked, left_out=len(members) - unpacked)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, room: int, limit: int) -> int:
    """Bytes that were written; 0 for what is no DICOM file."""
    written = 0
    with archive.open(member) as source:
        piece = source.read(_PIECE)
        if piece[128:PREAMBLE_BYTES] != b"DICM":
            return 0
        with target.open("xb") as file:
            while piece:
                written += len(piece)
                if written > room:
                    raise ArchiveTooLarge(limit=f"{limit >> 20} MiB")
                file.write(piece)
                piece = source.read(_PIECE)
    return written
