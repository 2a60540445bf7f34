"""The Siemens CSA header: a table of named values inside (0029,xx10) and (0029,xx20).

Layout (format `SV10`): count of elements at byte 8, elements from byte 16; each has a name of 64 bytes, multiplicity, VR,
type, count of items and a check word; each item has four words, of which the second is its length, padded to four bytes.
"""

import re
import struct

_ELEMENT = struct.Struct("<64si4siii")
_ITEM = struct.Struct("<4i")
_MOST_ELEMENTS, _MOST_ITEMS = 1000, 10_000


def values(content: bytes, names: frozenset[str]) -> dict[str, tuple[float, ...]]:
    """The numbers of the named elements; what is damaged or of another format gives nothing."""
    found: dict[str, tuple[float, ...]] = {}
    if content[:4] != b"SV10" or len(content) < 16:
        return found
    (count,) = struct.unpack_from("<I", content, 8)
    at = 16
    try:
        for _ in range(min(count, _MOST_ELEMENTS)):
            raw_name, _, _, _, items, _ = _ELEMENT.unpack_from(content, at)
            at += _ELEMENT.size
            name = raw_name.split(b"\0", 1)[0].decode("latin-1")
            numbers: list[float] = []
            for _ in range(min(max(items, 0), _MOST_ITEMS)):
                length = _ITEM.unpack_from(content, at)[1]
                at += _ITEM.size
                if length < 0:
                    return found
                if name in names and length:
                    text = content[at : at + length].split(b"\0", 1)[0].strip()
                    numbers += [float(text)] if text else []
                at += (length + 3) // 4 * 4
            if name in names and numbers:
                found[name] = tuple(numbers)
    except (struct.error, ValueError):
        return found
    return found


def protocol_number(content: bytes, name: str) -> int | None:
    """One whole number of the protocol text inside the series header, such as `sDiffusion.lDiffDirections`."""
    match = re.search(
        rb"(?m)^" + re.escape(name.encode()) + rb"[\t ]*=[\t ]*(0x[0-9a-fA-F]{1,8}|[0-9]{1,9})[\t ]*\r?$", content
    )
    return int(match[1], 0) if match else None
