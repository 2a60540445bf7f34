"""How the bytes of an arrival get below `studies/` or into quarantine, durably, and how the inbox lets go of them.

Bytes in a file of their own are linked. Bytes in the journal are copied, and one sync of the whole file system makes a batch
of files durable: one for each would cost more than all the rest of filing.
"""

import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from appliance.receive.inbox import Arrival
from appliance.storage import sync_folder, write_durable

_CHUNK = 1 << 20


def place(pairs: Sequence[tuple[Arrival, Path]], studies_root: Path) -> None:
    """Puts every arrival in its place, synced with every folder that changed, new ones up to the root."""
    changed: set[Path] = set()
    for folder in {target.parent for _, target in pairs}:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            changed |= {one for one in folder.parents if one == studies_root or studies_root in one.parents}
        changed.add(folder)
    copied = False
    with Reading() as reading:
        for arrival, target in pairs:
            if arrival.entry is None:
                link_or_copy(arrival.path, target)
            else:
                _copy(reading, arrival, target)
                copied = True
    if copied:
        sync_everything(studies_root, [target for arrival, target in pairs if arrival.entry is not None])
    else:
        _sync_folders(changed)


def place_alone(arrival: Arrival, target: Path) -> None:
    """Puts one arrival in its place, the file synced, its folder not yet."""
    if arrival.entry is None:
        link_or_copy(arrival.path, target)
        return
    with Reading() as reading:
        write_durable(target, reading.chunks(arrival))


def let_go(arrivals: Iterable[Arrival]) -> None:
    """The inbox forgets arrivals that are filed."""
    for arrival in arrivals:
        if arrival.entry is None:
            with suppress(FileNotFoundError):
                arrival.path.unlink()
        else:
            arrival.entry.segment.filed(arrival.entry.prefix_bytes + arrival.entry.data_bytes)


def link_or_copy(source: Path, target: Path) -> None:
    """A second name of the same bytes; a durable copy on file systems without hard links."""
    try:
        os.link(source, target)
    except FileExistsError:
        target.unlink()
        os.link(source, target)
    except OSError:
        # Some network and virtual file systems know no hard links; a copy costs time but keeps the order of steps.
        write_durable(target, _chunks_of(source))


def _chunks_of(source: Path) -> Iterator[bytes]:
    with source.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


class Reading(ExitStack):
    """Segments that are being read, each opened once."""

    def __init__(self) -> None:
        super().__init__()
        self._handles: dict[Path, int] = {}

    def handle(self, segment: Path) -> int:
        """The open file of a segment; raises `OSError`."""
        found = self._handles.get(segment)
        if found is None:
            found = self._handles[segment] = os.open(segment, os.O_RDONLY | os.O_CLOEXEC)
            self.callback(os.close, found)
        return found

    def chunks(self, arrival: Arrival) -> Iterator[bytes]:
        """The Part 10 file of an arrival in the journal, in pieces of bounded size; raises `OSError`."""
        entry = arrival.entry
        if entry is None:
            return
        handle, at, left = self.handle(entry.segment.path), entry.offset, entry.prefix_bytes + entry.data_bytes
        while left:
            chunk = os.pread(handle, min(left, _CHUNK), at)
            if not chunk:
                raise OSError(f"the segment ends {left} bytes too early")
            yield chunk
            at, left = at + len(chunk), left - len(chunk)


def _copy(reading: Reading, arrival: Arrival, target: Path) -> None:
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        for chunk in reading.chunks(arrival):
            view = memoryview(chunk)
            while view:
                view = view[os.write(handle, view) :]
    finally:
        os.close(handle)


def sync_everything(folder: Path, files: Sequence[Path]) -> None:
    """Makes all that was written to the file system of a folder survive a power cut; raises `OSError`."""
    call = _syncfs()
    if call is None:
        for file in files:
            _sync(file)
        _sync_folders({one for file in files for one in (file.parent, *file.parents) if folder == one or folder in one.parents})
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if call(handle):
            fault = ctypes.get_errno()
            raise OSError(fault, os.strerror(fault))
    finally:
        os.close(handle)


@lru_cache(maxsize=1)
def _syncfs() -> Any:
    """The C library's syncfs, where there is one (Linux)."""
    with suppress(OSError, AttributeError):
        return ctypes.CDLL(None, use_errno=True).syncfs
    return None


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        sync_folder(folder)
