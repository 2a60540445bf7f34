"""The Part 10 file that keeps an instance as it came: preamble, file meta information, then the data set's own bytes.

The meta information also holds who sent it, from where and how it called itself (PS3.10 section 7.1), so that a file alone
tells all that filing needs after a crash.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from appliance.receive.header import Buffer, is_uid, private_value, value_beyond

IMPLEMENTATION_CLASS_UID: Final = "2.25.211705948874459380724419819999720909542"
IMPLEMENTATION_VERSION: Final = "RANVIER_1"
PREAMBLE_BYTES = 132
_PREAMBLE: Final = b"\0" * 128 + b"DICM"
_LONG_FORM = {b"OB", b"UR"}
_MOST_META_BYTES = 64 * 1024
_HEADS = (256 * 1024, 16 * 1024 * 1024)
"""So much of a file is read for a value that stands before its pixels; the second where the first was not enough."""

_CLASS, _INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010
_SENDER, _RECEIVER, _ADDRESS = 0x0016, 0x0018, 0x0026


class NotPart10(ValueError):
    """The file has no readable file meta information."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What the command set and the association say about an instance."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    sender: str = ""
    receiver: str = ""
    address: str = ""


def prefix(origin: Origin) -> bytes:
    """Everything of the file that stands before the data set."""
    before = _before(origin.sop_class)
    behind = _behind(origin.transfer_syntax, origin.sender, origin.receiver, origin.address)
    instance = _element(_INSTANCE, b"UI", _uid(origin.sop_instance))
    length = struct.pack("<I", len(before) + len(instance) + len(behind))
    return b"".join((_PREAMBLE, _element(0x0000, b"UL", length), before, instance, behind))


@lru_cache(maxsize=256)
def _before(sop_class: str) -> bytes:
    return _element(0x0001, b"OB", b"\x00\x01") + _element(_CLASS, b"UI", _uid(sop_class))


@lru_cache(maxsize=1024)
def _behind(transfer_syntax: str, sender: str, receiver: str, address: str) -> bytes:
    elements = [
        _element(_SYNTAX, b"UI", _uid(transfer_syntax)),
        _element(0x0012, b"UI", _uid(IMPLEMENTATION_CLASS_UID)),
        _element(0x0013, b"SH", _text(IMPLEMENTATION_VERSION)),
    ]
    if sender:
        elements.append(_element(_SENDER, b"AE", _text(sender)))
    if receiver:
        elements.append(_element(_RECEIVER, b"AE", _text(receiver)))
    if address:
        elements.append(_element(_ADDRESS, b"UR", _text(f"dicom://{address}")))
    return b"".join(elements)


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if vr in _LONG_FORM:
        return struct.pack("<HH2sHI", 2, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _uid(text: str) -> bytes:
    raw = text.encode("ascii", "replace")
    return raw + b"\0" * (len(raw) % 2)


def _text(text: str) -> bytes:
    raw = text.encode("ascii", "replace")
    return raw + b" " * (len(raw) % 2)


def read_prefix(data: Buffer) -> tuple[Origin, int]:
    """The origin that `prefix` wrote and the position of the data set; raises `NotPart10`.

    Files of other writers are read as well; what they do not say stays empty.
    """
    if bytes(data[128:PREAMBLE_BYTES]) != b"DICM":
        raise NotPart10
    found: dict[int, str] = {}
    at, end = PREAMBLE_BYTES, min(len(data), PREAMBLE_BYTES + _MOST_META_BYTES)
    while at + 8 <= end:
        group, element, vr, length = struct.unpack_from("<HH2sH", data, at)
        if group != 2:
            break
        at += 8
        if vr in _LONG_FORM or vr in {b"OW", b"UN", b"UT"}:
            if at + 4 > end:
                raise NotPart10
            length = struct.unpack_from("<I", data, at)[0]
            at += 4
        found[element] = bytes(data[at : at + length]).decode("ascii", "replace").rstrip("\0 ")
        at += length
    if at > len(data) or not is_uid(found.get(_SYNTAX, "")):
        raise NotPart10
    return (
        Origin(
            sop_class=found.get(_CLASS, ""),
            sop_instance=found.get(_INSTANCE, ""),
            transfer_syntax=found[_SYNTAX],
            sender=found.get(_SENDER, ""),
            receiver=found.get(_RECEIVER, ""),
            address=found.get(_ADDRESS, "").removeprefix("dicom://"),
        ),
        at,
    )


def read_file(path: Path) -> tuple[Origin, memoryview]:
    """The origin and the data set of a file; raises `NotPart10` and `OSError`."""
    data = path.read_bytes()
    origin, start = read_prefix(data)
    return origin, memoryview(data)[start:]


def value_of(path: Path, tag: int) -> str:
    """One plain value of a file's top level, read without its pixels; empty when there is none or the file cannot be read."""
    return _looked_up(path, lambda data, syntax: value_beyond(data, syntax, tag))


def private_value_of(path: Path, group: int, element: int, creator: str) -> str:
    """One private text value of a file's top level, as `private_value`; empty when the file cannot be read."""
    return _looked_up(path, lambda data, syntax: private_value(data, syntax, group, element, creator))


def _looked_up(path: Path, look: Callable[[memoryview, str], str | None]) -> str:
    try:
        with path.open("rb") as file:
            for limit in _HEADS:
                file.seek(0)
                data = file.read(limit)
                origin, start = read_prefix(data)
                found = look(memoryview(data)[start:], origin.transfer_syntax)
                if found is not None:
                    return found
    except (OSError, NotPart10):
        return ""
    return ""
