"""Identifiers of what was deleted are taken out of log lines, and out of the indexes beside them."""

import os
import re
from collections.abc import Collection
from pathlib import Path

from appliance.logs import FOLDER
from appliance.logs.index import place_of

_PIECE, _OVERLAP = 1 << 20, 64
_IDENTIFIER = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])|(?<![0-9a-f-])[0-9a-f]{8}(?![0-9a-f-])")


def blank(home: Path, identifiers: Collection[str]) -> int:
    """Writes zeros over identifiers in every log file, also those that are being written; gives how many places.

    The lines stay and keep their length, so that whoever writes or reads a file meanwhile is not disturbed. Their last eight
    digits, by which people name them, go too.
    """
    gone = {one.encode() for one in identifiers}
    gone |= {one[-8:] for one in gone}
    return sum(_blank_file(file, gone) for file in (home / FOLDER).glob("*.jsonl*")) if gone else 0


def _blank_file(path: Path, gone: set[bytes]) -> int:
    count, offset, rest = 0, 0, b""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return 0  # its process has just turned it into the next number
    before = os.fstat(handle)
    try:
        while piece := os.pread(handle, _PIECE, offset + len(rest)):
            text = rest + piece
            for found in _IDENTIFIER.finditer(text):
                if found[0] in gone:
                    if not count:
                        place_of(path).unlink(missing_ok=True)
                    os.pwrite(handle, re.sub(rb"[0-9a-f]", b"0", found[0]), offset + found.start())
                    count += 1
            # What the end of a piece cuts in two is looked at again as a whole.
            rest = text[-_OVERLAP:] if len(piece) == _PIECE else b""
            offset += len(text) - len(rest)
        os.fsync(handle)
        if count:
            # Made meanwhile, its index would still have the words; it is made again.
            place_of(path).unlink(missing_ok=True)
            if not path.name.endswith(".jsonl"):
                # A closed file goes by its age, and is searched in its order.
                os.utime(handle, ns=(before.st_atime_ns, before.st_mtime_ns))
    finally:
        os.close(handle)
    return count
