"""The inbox: where an instance is on disk, whole, before its sender is told so, and until it is filed.

    storage/journals/
      .receivers              every receiver holds it shared; who gets it alone may compare files and rows
      <receiver>/lock         held as long as the receiver lives; the kernel lets go when it dies
      <receiver>/<association>.<n>.journal   acknowledged instances, most of them not filed yet (see journal.py)
      <receiver>/<id>.dcm     the same of one instance, where it came the plain way

A record of the journal, or a file, is the commit point of receiving: an answer waits for nothing else. It has the identifier
that the instance keeps, so that filing it again is seen. Inboxes of receivers that died are adopted by those that live.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from appliance.moments import new_id
from appliance.receive.header import Buffer, Header, read_header
from appliance.receive.journal import SUFFIX, Entry, Journal
from appliance.receive.part10 import NotPart10, Origin, prefix, read_file, read_prefix
from appliance.receive.unfiled import Unfiled
from appliance.storage import Storage, sync_folder, write_durable

log = logging.getLogger(__name__)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One instance that lies in an inbox and is to be filed."""

    id: str
    path: Path
    origin: Origin
    header: Header | None
    """None when the file cannot be read as DICOM at all."""
    content_hash: str
    bytes: int
    received_at: int
    association: str = ""
    """Our identifier of the association it came by; empty when it was found after a crash."""
    entry: Entry | None = None
    """Where it lies in the journal; None for one that lies in a file of its own."""


def content_hash(data: Buffer) -> str:
    """SHA-256 of a data set's bytes as they came, without preamble and file meta information."""
    return sha256(data).hexdigest()


class Inbox:
    """The inbox of one receiving process."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.id = new_id()
        self.folder = storage.root / "journals" / self.id
        # The folder gets its name only when it is locked: until then nobody can take it for a dead receiver's.
        draft = self.folder.with_name("." + self.id)
        draft.mkdir(mode=0o700)
        self._lock = _locked(draft / "lock")
        os.rename(draft, self.folder)
        sync_folder(self.folder.parent)
        self.unfiled = Unfiled()

    def journal(self, association: str) -> Journal:
        """The journal of one association."""
        return Journal(self.folder, association, self.unfiled)

    def require_space(self, wanted: int) -> None:
        """Raises `OutOfSpace` unless this and all that waits can also be filed: each needs a second place for a while."""
        self.storage.require_space(2 * wanted + self.unfiled.bytes)

    def keep(self, origin: Origin, data: bytes, instance: str) -> Path:
        """Puts an instance on disk, synced with its folder; raises `OutOfSpace` and `OSError`, and then nothing is kept."""
        head = prefix(origin)
        self.require_space(len(head) + len(data))
        path = self.folder / f"{instance}.dcm"
        write_durable(path, (head, data))
        return path

    def waiting(self) -> list[Path]:
        """The files that are not filed yet, oldest first."""
        return _files(self.folder)

    def take_over(self, file: Path) -> Path:
        """Moves a file whose row is missing into this inbox, to be filed anew."""
        path = self.folder / f"{file.stem}.dcm"
        os.rename(file, path)
        sync_folder(self.folder)
        return path

    def close(self) -> None:
        """Lets go of the inbox; an empty one is removed, another is adopted by the next receiver."""
        if not self.waiting() and not segments(self.folder):
            _remove(self.folder)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm"))


def segments(folder: Path) -> list[Path]:
    """The segments of the journal in an inbox, oldest first."""
    return sorted(folder.glob("*" + SUFFIX))


def _locked(path: Path) -> int | None:
    """The handle of a lock file that this process now holds; None when another process holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    with suppress(OSError):
        # Somebody looked whether this inbox is a dead one's and left a new lock file; the next to look removes it.
        folder.rmdir()


@contextmanager
def adopted(folder: Path) -> Iterator[list[Path] | None]:
    """The files of a dead receiver's inbox, which is removed afterwards if all of them are filed; None when its owner lives."""
    try:
        handle = _locked(folder / "lock")
    except FileNotFoundError:
        handle = None
    if handle is None:
        yield None
        return
    try:
        yield _files(folder)
        # What is left beside acknowledged files and segments are drafts that no sender was told of.
        if not _files(folder) and not segments(folder):
            _remove(folder)
    finally:
        os.close(handle)


def others(storage: Storage, own: str) -> list[Path]:
    """The inboxes of other receivers, dead or alive, oldest first."""
    journals = storage.root / "journals"
    return sorted(one for one in journals.iterdir() if one.is_dir() and one.name != own and not one.name.startswith("."))


@contextmanager
def on_the_roll(storage: Storage) -> Iterator["Roll"]:
    """Counts this process among the receivers for the time of a block."""
    handle = os.open(storage.root / "journals" / ".receivers", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield Roll(handle)
    finally:
        os.close(handle)


class Roll:
    """Which receivers live, as far as one must know: whether this one is alone."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def alone(self) -> bool:
        """Whether no other receiver lives; as long as the answer was yes and `join` was not called, none can begin."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def join(self) -> None:
        """Lets others begin beside this one; waits while another is alone."""
        fcntl.flock(self._handle, fcntl.LOCK_SH)


def recovered_all(paths: Sequence[Path]) -> list[Arrival]:
    """The arrivals of these files; one that the disk does not give back stays where it is, and is told."""
    found = []
    for path in paths:
        try:
            found.append(recovered(path))
        except OSError as fault:
            log.error("an acknowledged instance cannot be read: %s", type(fault).__name__, extra=_UNREADABLE)
    return found


def recovered_entries(entries: Sequence[Entry]) -> list[Arrival]:
    """The arrivals of these records; one that the disk does not give back stays where it is, and is told."""
    found: list[Arrival] = []
    handles: dict[Path, int] = {}
    try:
        for entry in entries:
            try:
                path = entry.segment.path
                if path not in handles:
                    handles[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                found.append(_recovered_entry(handles[path], entry))
            except OSError as fault:
                log.error("an acknowledged instance cannot be read: %s", type(fault).__name__, extra=_UNREADABLE)
    finally:
        for handle in handles.values():
            os.close(handle)
    return found


_UNREADABLE = {"code": "inbox-unreadable"}
_HEADS = (8 << 10, 256 << 10, 16 << 20)


def _recovered_entry(handle: int, entry: Entry) -> Arrival:
    total = entry.prefix_bytes + entry.data_bytes
    for size in _HEADS:
        head = os.pread(handle, min(total, size), entry.offset)
        origin, start = (entry.origin, entry.prefix_bytes) if entry.origin else read_prefix(head)
        header = read_header(memoryview(head)[start:], origin.transfer_syntax)
        if header.whole or len(head) == total:
            break
    return Arrival(
        id=entry.instance,
        path=entry.segment.path,
        origin=origin,
        header=header,
        content_hash=entry.content_hash,
        bytes=entry.data_bytes,
        received_at=entry.received_at,
        association=entry.association,
        entry=entry,
    )


def recovered(path: Path) -> Arrival:
    """An arrival as its file tells it, after a crash or when there was no room in memory; raises `OSError`."""
    try:
        origin, data = read_file(path)
    except NotPart10:
        nothing = Origin(sop_class="", sop_instance="", transfer_syntax="")
        return _arrival(path, nothing, None, b"", path.stat().st_size)
    return _arrival(path, origin, read_header(data, origin.transfer_syntax), data, len(data))


def _arrival(path: Path, origin: Origin, header: Header | None, data: Buffer, size: int) -> Arrival:
    return Arrival(
        id=path.stem,
        path=path,
        origin=origin,
        header=header,
        content_hash=content_hash(data),
        bytes=size,
        received_at=int(path.stem.replace("-", "")[:12], 16),
    )
