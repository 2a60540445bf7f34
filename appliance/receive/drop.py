"""What lies in a watched folder, whether it is whole, and taking it: everything that touches the file system of a site.

    <folder>/incoming/   where a site puts ZIPs, folders or single files
    <folder>/outgoing/   where its receipts and reports appear
    <folder>/.taken/     what is being brought in, out of the site's reach; one holder of its lock at a time

Nothing is followed that is no plain file or folder, and nothing is trusted that can still change: an entry is first moved
out of reach, then read.
"""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from appliance.receive.part10 import PREAMBLE_BYTES
from appliance.receive.posted import Taking
from appliance.receive.section import DropFolder

INCOMING, OUTGOING, TAKEN = "incoming", "outgoing", ".taken"
UNFINISHED = (".part", ".filepart", ".partial", ".tmp", ".crdownload")
"""Endings that senders give to files which they still write."""
MOST_FILES = 100_000
MOST_DEPTH = 32
PATIENCE = 10
"""So many settling times an entry that looks unfinished is waited for: a transfer may have been broken off."""
_PIECE = 1 << 20


class TooMuch(ValueError):
    """More files, or deeper folders, than a study has."""


class Seen(NamedTuple):
    """An entry as it looks now."""

    path: Path
    state: Hashable


@contextmanager
def held(section: DropFolder) -> Iterator[bool]:
    """Holds a watched folder for the time of a block; false when another process has it, or it is not there."""
    taken = Path(section.folder) / TAKEN
    try:
        taken.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(taken / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def entries(section: DropFolder) -> list[Seen]:
    """What a site has put there and says, or seems, to have finished; raises `OSError` when the folder is away."""
    found = []
    with os.scandir(Path(section.folder) / INCOMING) as listed:
        names = sorted(one.name for one in listed)
    marked = set(names)
    for name in names:
        marker = name.endswith(section.marker)
        waits = section.whole == "marker" and name + section.marker not in marked
        if name.startswith(".") or name.lower().endswith(UNFINISHED) or marker or waits:
            continue
        path = Path(section.folder) / INCOMING / name
        with suppress(OSError):
            found.append(Seen(path, _state(path)))
    return found


def _state(path: Path) -> Hashable:
    """Equal as long as nothing in an entry changed."""
    found = [_facts(path.lstat(), "")]
    with suppress(TooMuch):
        found += [_facts(one.lstat(), str(one.relative_to(path))) for one in _walked(path)]
    return hash(tuple(sorted(found)))


def _facts(of: os.stat_result, name: str) -> tuple[str, int, int, int, int]:
    return name, stat.S_IFMT(of.st_mode), of.st_size, of.st_mtime_ns, of.st_ino


def _walked(path: Path) -> Iterator[Path]:
    """Everything below a folder but folders; links are named, never followed. Raises `TooMuch`."""
    if path.is_symlink():
        return
    count, depth = 0, len(path.parts)
    for folder, folders, files in os.walk(path, followlinks=False):
        inner = Path(folder)
        if len(inner.parts) - depth > MOST_DEPTH:
            raise TooMuch
        folders.sort()
        links = [one for one in folders if (inner / one).is_symlink()]
        for name in sorted([*files, *links]):
            count += 1
            if count > MOST_FILES:
                raise TooMuch
            yield inner / name


def being_written(path: Path) -> bool:
    """Whether somebody on this machine has a file of an entry open for writing, as far as leases tell (fcntl(2))."""
    plain = path.is_file() and not path.is_symlink()
    try:
        return any(_open_elsewhere(one) for one in ([path] if plain else _walked(path)))
    except TooMuch:
        return False


def _open_elsewhere(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # A lease that somebody breaks is told by a signal: one that nobody minds.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as fault:
        # Files of other people and of network shares give no lease: then a settled size has to do.
        return fault.errno == errno.EAGAIN
    finally:
        os.close(handle)
    return False


def claim(section: DropFolder, path: Path, drop: str) -> None:
    """Moves an entry out of the site's reach, in one step; raises `OSError`, and then it lies where it was."""
    os.rename(path, place_of(section, drop))
    path.with_name(path.name + section.marker).unlink(missing_ok=True)


def place_of(section: DropFolder, drop: str) -> Path:
    """Where a drop lies that was taken."""
    return Path(section.folder) / TAKEN / drop


def files_of(place: Path) -> list[Path]:
    """The plain files of a taken drop; raises `TooMuch`."""
    if place.is_symlink() or not place.is_dir():
        return [] if place.is_symlink() or not place.is_file() else [place]
    return [one for one in _walked(place) if stat.S_ISREG(one.lstat().st_mode)]


def is_zip(place: Path) -> bool:
    """Whether a taken drop is a ZIP file, by its first bytes (APPNOTE 4.3.7; 4.3.16 for an empty one)."""
    return _head(place)[:4] in (b"PK\x03\x04", b"PK\x05\x06") if place.is_file() and not place.is_symlink() else False


def ends_as_a_zip(path: Path) -> bool:
    """Whether a ZIP file has its end (APPNOTE 4.3.16); true for whatever is no ZIP file."""
    if not is_zip(path):
        return True
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65_557))
        return b"PK\x05\x06" in file.read()


def _head(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(handle, "rb") as file:
        return file.read(PREAMBLE_BYTES)


def bring_in(taking: Taking, files: list[Path]) -> int:
    """Brings DICOM files in one by one, each synced before the next; gives how many others were left out.

    Raises `OSError` when a file cannot be read.
    """
    others = 0
    for path in files:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            piece = file.read(_PIECE)
            if piece[128:PREAMBLE_BYTES] != b"DICM":
                others += 1
                continue
            while piece:
                taking.feed(piece)
                piece = file.read(_PIECE)
            taking.finish()
    return others


def test_lines(section: DropFolder) -> tuple[bool, list[str]]:
    """Whether a folder can be used, and in words what was found; nothing is left in it."""
    root = Path(section.folder)
    missing = [one for one in (INCOMING, OUTGOING) if not (root / one).is_dir()]
    if missing:
        return False, [f"There is no folder {' and no folder '.join(missing)} in it."]
    lines = ["incoming and outgoing are there."]
    try:
        (root / TAKEN).mkdir(mode=0o700, exist_ok=True)
        if (root / TAKEN).stat().st_dev != (root / INCOMING).stat().st_dev:
            return False, [*lines, "incoming lies on another file system than the folder itself; put both on one."]
        for name in (INCOMING, OUTGOING):
            mark = root / name / f".ranvier-test-{os.getpid()}"
            mark.write_bytes(b"")
            mark.unlink()
    except OSError as fault:
        return False, [*lines, f"This appliance may not write there: {os.strerror(fault.errno or 0).lower()}."]
    return True, [*lines, "Both can be written. Nothing was left in them by this test."]
