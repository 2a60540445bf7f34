"""Uploaded parts on disk, and the addresses they are put to."""

import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from appliance.hub.errors import OrderTooLarge, PartsDiffer, UrlOver
from appliance.keys import Keys

URL_MS = 15 * 60_000
_BLOCK = 1 << 20


def signature(keys: Keys, order: str, upload: str, part: int, until: int) -> str:
    """What makes an address good for one part until a moment, whoever has it."""
    return keys.digest("hub-url", f"{order}/{upload}/{part}/{until}")


def check_signature(keys: Keys, order: str, upload: str, part: int, until: int, signed: str, now: int) -> None:
    """Raises `UrlOver` for an address that is not ours, or over."""
    wanted = signature(keys, order, upload, part, until)
    if not hmac.compare_digest(wanted.encode(), signed.encode()) or until <= now:
        raise UrlOver()


def part_file(folder: Path, upload: str, part: int) -> Path:
    """Where a part lies; `upload` is an identifier of ours."""
    return folder / f"{upload}.{part}"


class PartWriter:
    """Takes one part piece by piece; nothing is there until it is whole and synced."""

    def __init__(self, file: Path, most: int) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file, self._most = file, most
        self._draft = file.with_name(f".{file.name}.{os.getpid()}.{id(self)}")
        self._handle = self._draft.open("wb")
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._bytes = 0

    def add(self, data: bytes) -> None:
        """A piece; raises `OrderTooLarge`."""
        self._bytes += len(data)
        if self._bytes > self._most:
            raise OrderTooLarge()
        self._md5.update(data)
        self._handle.write(data)

    def finish(self) -> str:
        """The part is whole: its ETag, which by the habit of object stores is the MD5 of its bytes."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._handle.close()
        os.rename(self._draft, self._file)
        return self._md5.hexdigest()

    def close(self) -> None:
        """Nothing more comes; what is not whole is gone."""
        self._handle.close()
        self._draft.unlink(missing_ok=True)


def joined(folder: Path, upload: str, parts: Sequence[tuple[int, str]]) -> Path:
    """One file of the parts, by number; each must have the ETag that was answered when it came. Raises `PartsDiffer`."""
    if not parts or len({number for number, _ in parts}) != len(parts):
        raise PartsDiffer()
    whole = folder / f"{upload}.zip"
    with whole.open("wb") as out:
        for number, etag in sorted(parts):
            digest = hashlib.md5(usedforsecurity=False)
            try:
                with part_file(folder, upload, number).open("rb") as part:
                    while piece := part.read(_BLOCK):
                        digest.update(piece)
                        out.write(piece)
            except FileNotFoundError:
                raise PartsDiffer() from None
            if digest.hexdigest() != etag:
                raise PartsDiffer()
    return whole


def used(folder: Path) -> int:
    """Bytes of the parts that wait in an order's folder."""
    return sum(one.stat().st_size for one in folder.iterdir()) if folder.is_dir() else 0
