"""The journal: instances of one association, appended to one file, synced one by one before their sender is answered.

    segment header, 64 bytes     magic, CRC of the rest, layout, wall clock in ms, a random mark of this segment
    for each instance, from a multiple of 8:
      record header, 96 bytes    mark, CRC of the rest and of the prefix, length of the header, number, length of the payload,
                                 length of the prefix, wall clock in ms, SHA-256 of the data set, our identifier
      payload                    preamble, file meta information and data set: a finished Part 10 file
      commit mark, 40 bytes      magic, number, beginning of the hash, CRC of the record header, its own CRC

All numbers are little endian. The commit mark alone proves nothing, because pages reach a disk in any order: the hash is the
proof. The mark of a segment is random, so that no sender can put something into its pixels that is taken for a record.
A segment belongs to its writer until it is closed; it is removed when all of it is filed. Behind its last record zeros may
stand: blocks are allocated ahead of the writer, because a sync that has no new size to note costs a third less.
"""

import errno
import os
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from appliance.receive.header import Buffer
from appliance.receive.part10 import Origin
from appliance.receive.unfiled import Unfiled
from appliance.storage import OutOfSpace, sync_folder

SUFFIX: Final = ".journal"
SEGMENT_BYTES = 64 << 20
"""A segment of this size is followed by another one, so that filed instances do not stay on the disk twice for long."""
_FIRST_AHEAD, _MOST_AHEAD = 1 << 20, 16 << 20
"""Allocated ahead once a segment has grown so far, in steps as long as it is, at most this long."""
_ROOM_FOR_AHEAD = 64
"""Nothing is allocated ahead on a disk that has no room for so many such steps."""
_LAYOUT = 1
_SEGMENT = struct.Struct("<8sIIQ8s32x")
_RECORD = struct.Struct("<8sIHHQQQQ32s16s")
_COMMIT = struct.Struct("<8sQ16sII")
_SEGMENT_MAGIC: Final = b"RVNSEGM\x01"
_COMMIT_MAGIC: Final = b"RVNCMIT\x01"
_CHUNK = 1 << 20
_MOST_VECTORS = 1000
"""Below the kernel's limit of buffers in one call (IOV_MAX, 1024)."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One instance in a segment."""

    segment: "Segment"
    instance: str
    received_at: int
    association: str
    offset: int
    """Where the payload begins."""
    prefix_bytes: int
    data_bytes: int
    content_hash: str
    origin: Origin | None = None
    """What the prefix says, where it need not be read."""


class Segment:
    """One file of the journal: its writer appends, the filer reads what was committed."""

    def __init__(self, path: Path, mark: bytes, handle: int | None, unfiled: Unfiled) -> None:
        self.path = path
        self.mark = mark
        self.handle = handle
        self.end = _SEGMENT.size
        self._allocated = 0
        self._unfiled = unfiled
        self._waiting = 0
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path, name: str, unfiled: Unfiled) -> "Segment":
        """A new segment, its name synced; raises `OSError`."""
        path, mark = folder / f"{name}{SUFFIX}", secrets.token_bytes(8)
        draft = folder / f".{name}.part"
        rest = struct.pack("<IQ8s32x", _LAYOUT, time.time_ns() // 1_000_000, mark)
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, _SEGMENT_MAGIC + struct.pack("<I", zlib.crc32(rest)) + rest)
            os.fsync(handle)
            os.rename(draft, path)
            sync_folder(folder)
        except BaseException:
            os.close(handle)
            draft.unlink(missing_ok=True)
            raise
        return cls(path, mark, handle, unfiled)

    def allocate_ahead(self) -> None:
        """Allocates blocks for what comes next, where there is room in plenty; a disk that cannot is written to without."""
        step = min(self.end, _MOST_AHEAD)
        if self.handle is None or step < _FIRST_AHEAD or self.end < self._allocated:
            return
        self._allocated = self.end + step
        with suppress(OSError):
            disk = os.fstatvfs(self.handle)
            if disk.f_bavail * disk.f_frsize > _ROOM_FOR_AHEAD * step:
                os.posix_fallocate(self.handle, self.end, step)

    def cut(self) -> None:
        """Takes back what stands behind the last record."""
        if self.handle is not None:
            self._allocated = 0
            with suppress(OSError):
                os.ftruncate(self.handle, self.end)

    def committed(self, count: int) -> None:
        """An instance of so many bytes was synced and waits to be filed."""
        self._unfiled.add(count)
        with self._lock:
            self._waiting += 1

    def filed(self, count: int) -> None:
        """An instance was filed; the last one of a closed segment takes the segment with it."""
        self._unfiled.add(-count)
        with self._lock:
            self._waiting -= 1
        self._leave()

    def close(self) -> None:
        """Nothing more is written."""
        if self._allocated > self.end:
            self.cut()
        with self._lock:
            handle, self.handle = self.handle, None
        if handle is not None:
            os.close(handle)
        self._leave()

    def _leave(self) -> None:
        with self._lock:
            if self.handle is not None or self._waiting:
                return
        self.path.unlink(missing_ok=True)


class Journal:
    """The segments of one association; one thread at a time writes."""

    def __init__(self, folder: Path, association: str, unfiled: Unfiled) -> None:
        self._folder = folder
        self._association = association
        self._unfiled = unfiled
        self._segment: Segment | None = None
        self._numbers = 0
        self._segments = 0

    def begin(self, instance: str, received_at: int, prefix: bytes) -> "Writing":
        """A record for an instance; raises `OutOfSpace` or `OSError` when a segment must be made and cannot."""
        segment = self._segment
        if segment is None or segment.handle is None or segment.end >= SEGMENT_BYTES:
            self.close()
            self._segments += 1
            try:
                segment = Segment.create(self._folder, f"{self._association}.{self._segments}", self._unfiled)
            except OSError as fault:
                raise _named(fault) from fault  # without inodes too
            self._segment = segment
        segment.allocate_ahead()
        self._numbers += 1
        return Writing(segment, self._association, self._numbers, instance, received_at, prefix)

    def close(self) -> None:
        """The association has ended."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None


class Writing:
    """One record on its way into a segment: committed as a whole, or nothing of it."""

    def __init__(self, segment: Segment, association: str, number: int, instance: str, received_at: int, prefix: bytes) -> None:
        self._segment = segment
        self._association = association
        self._number = number
        self._instance = instance
        self._received_at = received_at
        self._prefix = prefix
        self._hash = sha256()
        self._written = 0
        self._bytes = 0

    def add(self, pieces: Sequence[Buffer]) -> None:
        """Writes a part of the data set, not synced and without a header: nobody takes it for a record yet."""
        first = () if self._written else (self._prefix,)
        self._put(pieces, first)

    def commit(self, pieces: Sequence[Buffer], origin: Origin | None = None) -> Entry:
        """Writes the rest and everything that makes it a record, syncs it, and only then returns.

        Raises `OutOfSpace` and `OSError`, and then nothing is kept.
        """
        segment, start = self._segment, self._segment.end
        self._take(pieces)
        total = len(self._prefix) + self._bytes
        header = self._header(total)
        tail = bytes(-total % 8) + self._mark(header)
        try:
            if self._written:
                self._write([*pieces, tail], start + _RECORD.size + self._written)
                # The header comes last: until it stands there, the record does not exist.
                self._write([header], start)
            else:
                self._write([header, self._prefix, *pieces, tail], start)
            os.fdatasync(self._handle())
        except OSError as fault:
            self.abandon()
            segment.close()
            raise _named(fault) from fault
        segment.end = start + _RECORD.size + total + len(tail)
        segment.committed(total)
        return Entry(
            segment=segment,
            instance=self._instance,
            received_at=self._received_at,
            association=self._association,
            offset=start + _RECORD.size,
            prefix_bytes=len(self._prefix),
            data_bytes=self._bytes,
            content_hash=self._hash.hexdigest(),
            origin=origin,
        )

    def abandon(self) -> None:
        """Takes back what was written."""
        self._segment.cut()

    def _put(self, pieces: Sequence[Buffer], first: Sequence[Buffer]) -> None:
        self._take(pieces)
        try:
            self._written += self._write([*first, *pieces], self._segment.end + _RECORD.size + self._written)
        except OSError as fault:
            self.abandon()
            self._segment.close()
            raise _named(fault) from fault

    def _take(self, pieces: Sequence[Buffer]) -> None:
        for piece in pieces:
            self._hash.update(piece)
            self._bytes += len(piece)

    def _handle(self) -> int:
        handle = self._segment.handle
        if handle is None:
            raise OSError(errno.EBADF, "the segment is closed")
        return handle

    def _write(self, pieces: list[Buffer], offset: int) -> int:
        handle, done = self._handle(), 0
        while pieces:
            part, pieces = pieces[:_MOST_VECTORS], pieces[_MOST_VECTORS:]
            wanted = sum(map(len, part))
            count = os.pwritev(handle, part, offset + done)
            if count < wanted:
                # A full disk writes a part first and fails at the next call.
                pieces = [*_behind(part, count), *pieces]
                if not count:
                    raise OSError(errno.ENOSPC, "nothing more is written")
            done += count
        return done

    def _header(self, total: int) -> bytes:
        rest = _RECORD.pack(
            b"",
            0,
            _RECORD.size,
            0,
            self._number,
            total,
            len(self._prefix),
            self._received_at,
            self._hash.digest(),
            bytes.fromhex(self._instance.replace("-", "")),
        )[12:]
        return self._segment.mark + struct.pack("<I", zlib.crc32(self._prefix, zlib.crc32(rest))) + rest

    def _mark(self, header: bytes) -> bytes:
        body = struct.pack("<8sQ16s4s", _COMMIT_MAGIC, self._number, self._hash.digest()[:16], header[8:12])
        return body + struct.pack("<I", zlib.crc32(body))


def _behind(pieces: Sequence[Buffer], count: int) -> Iterator[Buffer]:
    for piece in pieces:
        if count < len(piece):
            yield memoryview(piece)[count:]
        count = max(0, count - len(piece))


def _named(fault: OSError) -> Exception:
    return OutOfSpace() if fault.errno in (errno.ENOSPC, errno.EDQUOT) else fault


# --- reading after a crash --------------------------------------------------------------------------------------------


class Scan(msgspec.Struct, kw_only=True):
    """What a segment holds."""

    entries: list[Entry]
    damaged: bool
    """Something in front of a good record, or the head of the segment, cannot be read: not a torn end but a broken disk."""


Check = Callable[[int, int, int, bytes], bool]


def read_segment(path: Path, unfiled: Unfiled) -> Scan:
    """Everything that was committed in a segment that nobody writes any more; raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(handle).st_size
        head = os.pread(handle, _SEGMENT.size, 0)
        if (
            len(head) < _SEGMENT.size
            or head[:8] != _SEGMENT_MAGIC
            or struct.unpack_from("<I", head, 8)[0] != zlib.crc32(head[12:])
        ):
            return Scan(entries=[], damaged=True)
        mark = _SEGMENT.unpack(head)[4]
        segment = Segment(path, mark, None, unfiled)
        entries, damaged, at = [], False, _SEGMENT.size
        while at < size:
            found = _read_record(handle, segment, at, size)
            if found is None:
                at = _next_mark(handle, mark, at + 8, size)
                damaged = damaged or (at < size and _read_record(handle, segment, at, size) is not None)
                continue
            entry, at = found
            segment.committed(entry.prefix_bytes + entry.data_bytes)
            entries.append(entry)
    finally:
        os.close(handle)
    return Scan(entries=entries, damaged=damaged)


def _read_record(handle: int, segment: Segment, at: int, size: int) -> tuple[Entry, int] | None:
    """The record at this place and where the next one begins; None when there is no whole one."""
    header = os.pread(handle, _RECORD.size, at)
    if len(header) < _RECORD.size or header[:8] != segment.mark:
        return None
    _, crc, length, _, number, total, prefix_bytes, received_at, digest, instance = _RECORD.unpack(header)
    start, commit = at + _RECORD.size, at + _RECORD.size + total + -total % 8
    if length != _RECORD.size or not prefix_bytes <= total or commit + _COMMIT.size > size:
        return None
    if zlib.crc32(os.pread(handle, prefix_bytes, start), zlib.crc32(header[12:])) != crc:
        return None
    mark = os.pread(handle, _COMMIT.size, commit)
    magic, same, beginning, header_crc, own = _COMMIT.unpack(mark)
    if (magic, same, beginning, header_crc, own) != (_COMMIT_MAGIC, number, digest[:16], crc, zlib.crc32(mark[:-4])):
        return None
    if _hashed(handle, start + prefix_bytes, total - prefix_bytes) != digest:
        return None
    entry = Entry(
        segment=segment,
        instance=str(UUID(bytes=instance)),
        received_at=received_at,
        association="",
        offset=start,
        prefix_bytes=prefix_bytes,
        data_bytes=total - prefix_bytes,
        content_hash=digest.hex(),
    )
    return entry, commit + _COMMIT.size


def _hashed(handle: int, start: int, count: int) -> bytes:
    state = sha256()
    while count and (chunk := os.pread(handle, min(count, _CHUNK), start)):
        state.update(chunk)
        start, count = start + len(chunk), count - len(chunk)
    return state.digest()


def _next_mark(handle: int, mark: bytes, at: int, size: int) -> int:
    """Where the mark of this segment stands next, on a multiple of 8; the size when nowhere."""
    while at < size:
        chunk = os.pread(handle, _CHUNK + len(mark), at)
        found = chunk.find(mark)
        while found >= 0:
            if (at + found) % 8 == 0:
                return at + found
            found = chunk.find(mark, found + 1)
        at += _CHUNK
    return size
