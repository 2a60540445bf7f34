"""The stage that unpacks a ZIP or tar somebody handed in: under names of our own, within limits.

It runs in a child without rights (see `appliance.stage`). What an archive says of itself is believed only when it says too
much; what comes out is counted as it is written. No name of an archive becomes part of a path, nothing is followed, and what
is no plain file is left out.
"""

import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from appliance.errors import Failed
from appliance.receive.part10 import PREAMBLE_BYTES

_PIECE = 1 << 20
_ENCRYPTED = 0x1
"""General purpose bit 0 (APPNOTE 4.4.4)."""
MOST_OTHERS = 1_000
OTHER_BYTES = 200 << 20
_RATIO, _RATIO_FROM = 200, 256 << 20
"""More than so many times its own size comes out of no archive of images."""
_SYSTEM_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini", "dicomdir", "autorun.inf"})
_PROGRAM_ENDING = re.compile(
    r"\.(app|bat|bin|cab|cfg|class|cmd|com|cpl|dll|dmg|dylib|exe|gz|hta|html?|ico|inf|ini|iso|jar|js|lnk|msi|ocx|pif|ps1|py"
    r"|rar|reg|scr|sh|so|svg|sys|tar|vbs|wsf|xap|zip|7z)$",
    re.IGNORECASE,
)
_PROGRAM_HEADS = (b"MZ", b"\x7fELF", b"#!", b"PK\x03\x04", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


class UnpackRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Which archive, where to, and how much at most."""

    archive: str
    out_folder: str
    most_files: int
    most_bytes: int
    keep_others: bool = False
    """Whether documents come out too, beside images; programs and files of operating systems never do."""


class Other(msgspec.Struct, kw_only=True, frozen=True):
    """A file that is no image: under which name it lies now, and which it had."""

    file: str
    path: str


class UnpackAnswer(msgspec.Struct, kw_only=True, frozen=True):
    """How many images were unpacked, and how many files are none or were left out."""

    unpacked: int
    left_out: int
    others: list[Other] = []


class ArchiveBroken(Failed):
    """The archive is broken or not whole."""

    code = "archive-broken"
    next_step = "Make it again and put it there again."


class ArchiveLocked(Failed):
    """The ZIP file is protected by a password."""

    code = "archive-locked"
    next_step = "Unpack it first, and hand in what was in it."


class ArchiveTooLarge(Failed):
    """The archive holds more than {limit}."""

    code = "archive-too-large"
    next_step = "Hand in one study at a time, or raise the limit in the settings."


class _Member(NamedTuple):
    name: str
    size: int
    opened: Callable[[], IO[bytes]] | None
    """None for a link, a device, a socket: never read."""


def run(request: UnpackRequest, progress: Callable[[float, str], None]) -> UnpackAnswer:
    """Unpacks; raises `ArchiveBroken`, `ArchiveLocked` and `ArchiveTooLarge`."""
    try:
        with open(request.archive, "rb") as file:
            head = file.read(512)
        if head[257:262] == b"ustar":
            with tarfile.open(request.archive, "r:") as archive:
                return _Unpacking(request, progress).all(_of_tar(archive), 0)
        with zipfile.ZipFile(request.archive) as archive:
            members, strange = _of_zip(archive, request)
            return _Unpacking(request, progress).all(iter(members), strange, len(members))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, UnicodeError, ValueError) as fault:
        raise ArchiveBroken() from fault


def _of_zip(archive: zipfile.ZipFile, request: UnpackRequest) -> tuple[list[_Member], int]:
    members = [one for one in archive.infolist() if not one.is_dir()]
    if len(members) > request.most_files:
        raise ArchiveTooLarge(limit=f"{request.most_files} files")
    if any(one.flag_bits & _ENCRYPTED for one in members):
        raise ArchiveLocked()
    if sum(one.file_size for one in members) > request.most_bytes:
        raise ArchiveTooLarge(limit=f"{request.most_bytes >> 20} MiB")
    # Links of Unix stand in the upper half of the external attributes (APPNOTE 4.4.15).
    plain = [one for one in members if (one.external_attr >> 28) in (0, 8)]
    return [_Member(one.filename, one.file_size, partial(archive.open, one)) for one in plain], len(members) - len(plain)


def _of_tar(archive: tarfile.TarFile) -> Iterator[_Member]:
    for one in archive:
        if one.isdir():
            continue
        plain = one.isreg() and not one.issparse()
        yield _Member(one.name if plain else "", one.size if plain else 0, partial(_content, archive, one) if plain else None)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(member)
    if found is None:
        raise tarfile.TarError
    return found


class _Unpacking:
    """One archive on its way out."""

    def __init__(self, request: UnpackRequest, progress: Callable[[float, str], None]) -> None:
        self._request, self._progress = request, progress
        self._room = request.most_bytes
        size = Path(request.archive).stat().st_size
        self._ratio_room = max(_RATIO * size, _RATIO_FROM)
        self._others: list[Other] = []

    def all(self, members: Iterator[_Member], strange: int, count: int = 0) -> UnpackAnswer:
        """Every member in turn; `strange` were left out before, `count` is how many there are, if that is known."""
        unpacked, seen = 0, 0
        for number, member in enumerate(members, start=1):
            seen = number
            if number > self._request.most_files:
                raise ArchiveTooLarge(limit=f"{self._request.most_files} files")
            if member.opened and not (self._request.keep_others and _is_system(member.name)):
                unpacked += self._member(member.name, member.size, member.opened, f"{number:06}")
            self._progress(number / max(count, number + 1), "unpacking")
        return UnpackAnswer(unpacked=unpacked, left_out=seen + strange - unpacked - len(self._others), others=self._others)

    def _member(self, path: str, size: int, opened: Callable[[], IO[bytes]], name: str) -> bool:
        """Writes one member; true for an image."""
        with opened() as source:
            piece = source.read(_PIECE)
            image = piece[128:PREAMBLE_BYTES] == b"DICM"
            if not image and not (self._request.keep_others and self._wanted(path, size, piece)):
                return False
            target = Path(self._request.out_folder) / (name if image else f"{name}.other")
            with target.open("xb") as file:
                while piece:
                    self._room -= len(piece)
                    self._ratio_room -= len(piece)
                    if self._room < 0 or self._ratio_room < 0:
                        raise ArchiveTooLarge(limit=f"{self._request.most_bytes >> 20} MiB")
                    file.write(piece)
                    piece = source.read(_PIECE)
        if not image:
            self._others.append(Other(file=target.name, path=path))
        return image

    def _wanted(self, path: str, size: int, piece: bytes) -> bool:
        """Whether a file that is no image may come along as a document: by its ending, and by what it is."""
        return (
            len(self._others) < MOST_OTHERS
            and 0 < size <= OTHER_BYTES
            and not piece.startswith(_PROGRAM_HEADS)
            and not _PROGRAM_ENDING.search(path)
        )


def _is_system(name: str) -> bool:
    """Whether a file belongs to an operating system, or lists what is on a CD."""
    parts = name.replace("\\", "/").lower().split("/")
    return "__macosx" in parts or parts[-1] in _SYSTEM_NAMES or parts[-1].startswith("._")
