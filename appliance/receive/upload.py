"""The bytes of uploads (tus 1.0): how much of one is here is the size of its file, whatever died in between.

One process at a time writes an upload. What came before a connection broke is kept; with a checksum a piece counts only when
it is whole and right. The last byte is synced before anybody is told that it is here.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from appliance.errors import Conflict, Rejected
from appliance.storage import OutOfSpace, Storage, sync_folder

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,expiration,termination,checksum"
ALGORITHMS: Final = ("sha256", "sha1")
_PIECE = 1 << 20


class WrongOffset(Conflict):
    """This upload stands at another byte."""

    code = "wrong-offset"
    next_step = "Ask where it stands (HEAD) and go on from there."


class UploadBusy(Conflict):
    """Another connection is writing this upload."""

    code = "upload-busy"
    next_step = "Try again in a moment; an old connection may still linger."


class WrongChecksum(Rejected):
    """What came is not what was sent; nothing of this piece was kept."""

    code = "wrong-checksum"
    next_step = "Send the piece again."


class BeyondTheEnd(Rejected):
    """More came than this upload was announced with."""

    code = "beyond-the-end"
    next_step = "Begin a new upload with the right length."


def place(storage: Storage, submission: str, upload: str) -> Path:
    """Where the bytes of an upload lie."""
    return storage.uploads(submission) / f"{upload}.part"


def create(storage: Storage, submission: str, upload: str, length: int) -> None:
    """Makes an empty upload, durably; raises `OutOfSpace` when what was announced does not fit."""
    # What is unpacked and what is filed need room too.
    storage.require_space(2 * length)
    path = place(storage, submission, upload)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    sync_folder(path.parent)
    sync_folder(path.parent.parent)


def offset(storage: Storage, submission: str, upload: str) -> int:
    """How many bytes are here."""
    try:
        return place(storage, submission, upload).stat().st_size
    except FileNotFoundError:
        return 0


def remove(storage: Storage, submission: str, upload: str) -> None:
    """Takes the bytes of an upload away."""
    place(storage, submission, upload).unlink(missing_ok=True)


async def append(
    storage: Storage,
    submission: str,
    upload: str,
    length: int,
    at: int,
    body: AsyncIterator[bytes],
    checksum: tuple[str, bytes] | None = None,
) -> int:
    """Adds a body at an offset and gives the new one; memory is bounded by one piece.

    Raises `WrongOffset`, `UploadBusy`, `WrongChecksum`, `BeyondTheEnd`, `OutOfSpace`; what came without a checksum is kept
    whatever ends the body.
    """
    writing = await asyncio.to_thread(_Writing, place(storage, submission, upload), length, at, checksum)
    try:
        waiting = bytearray()
        try:
            async for piece in body:
                waiting += piece
                if len(waiting) >= _PIECE:
                    await asyncio.to_thread(writing.add, bytes(waiting))
                    waiting.clear()
        finally:
            if waiting:
                await asyncio.shield(asyncio.to_thread(writing.add, bytes(waiting)))
        return await asyncio.to_thread(writing.end)
    finally:
        await asyncio.shield(asyncio.to_thread(writing.close))


class _Writing:
    """One piece of an upload, as long as its connection lasts."""

    def __init__(self, path: Path, length: int, at: int, checksum: tuple[str, bytes] | None) -> None:
        self._path, self._length, self._begun, self._whole = path, length, at, False
        self._handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._wanted = checksum
        self._hash = hashlib.new(checksum[0], usedforsecurity=False) if checksum else None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise UploadBusy() from None
        self._at = os.fstat(self._handle).st_size
        if self._at != at:
            os.close(self._handle)
            raise WrongOffset()

    def add(self, piece: bytes) -> None:
        if self._at + len(piece) > self._length:
            raise BeyondTheEnd()
        if self._hash:
            self._hash.update(piece)
        view = memoryview(piece)
        try:
            while view:
                count = os.pwrite(self._handle, view, self._at)
                self._at += count
                view = view[count:]
        except OSError as fault:
            if fault.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OutOfSpace() from fault
            raise

    def end(self) -> int:
        if self._hash and self._wanted and self._hash.digest() != self._wanted[1]:
            raise WrongChecksum()
        self._whole = True
        if self._at == self._length:
            os.fsync(self._handle)
        return self._at

    def close(self) -> None:
        # Half a piece with a checksum proves nothing: it goes.
        if self._hash and not self._whole:
            with suppress(OSError):
                os.ftruncate(self._handle, self._begun)
        os.close(self._handle)
