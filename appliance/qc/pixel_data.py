"""Whether the pixel data of an image are as long as its header says, and can be without loss; nothing is decoded."""

import struct

from appliance.qc.elements import BIG_ENDIAN, Buffer, Header

_ROWS, _COLUMNS, _BITS, _SAMPLES, _FRAMES = 0x00280010, 0x00280011, 0x00280100, 0x00280002, 0x00280008
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in ("90", "91", "92", "93", "201", "202", "203"))
_CODING_STYLE, _DATA_BEGINS = 0xFF52, (0xFF90, 0xFF93)
_IRREVERSIBLE = 0


def fault(header: Header, body: Buffer) -> str:
    """What is wrong with the pixel data, in words; empty when nothing is."""
    rows, columns, bits, samples, frames = (
        int(header.elements.number(key) or default)
        for key, default in ((_ROWS, 0), (_COLUMNS, 0), (_BITS, 0), (_SAMPLES, 1), (_FRAMES, 1))
    )
    described = bool(rows and columns and bits)
    if header.pixels is None:
        return "it has no pixel data" if described else "the header is cut off"
    if not described:
        return "rows, columns or bits are missing"
    if header.pixels.length is None:
        fragments, complete = _fragments(header, body)
        if not complete:
            return "its pixel data are cut off"
        return "its pixel data hold fewer frames than the header says" if fragments < frames else ""
    expected = (rows * columns * samples * frames * bits + 7) // 8
    if header.pixels.offset + header.pixels.length > header.size:
        return "its pixel data are cut off"
    if header.pixels.length < expected:
        return "its pixel data are shorter than rows and columns say"
    if header.pixels.length > expected + 1:
        return "its pixel data are longer than rows and columns say"
    return ""


def irreversible(header: Header, body: Buffer) -> bool:
    """Whether a JPEG 2000 or HTJ2K code stream uses the wavelet that cannot give back the pixels (ISO 15444-1, A.6.1)."""
    if header.transfer_syntax not in _JPEG_2000 or header.pixels is None or header.pixels.length is not None:
        return False
    start = _first_fragment(header, body)
    return start is not None and _transformation(body, start) == _IRREVERSIBLE


def _fragments(header: Header, body: Buffer) -> tuple[int, bool]:
    """How many fragments follow the offset table, and whether the last delimiter is there (PS3.5 section A.4)."""
    if header.pixels is None:
        return 0, False
    order = ">" if header.transfer_syntax == BIG_ENDIAN else "<"
    at, items = header.pixels.offset, 0
    while at + 8 <= header.size:
        group, element, length = struct.unpack_from(order + "HHI", body, at)
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            return max(0, items - 1), True
        if tag != _ITEM or at + 8 + length > header.size:
            return max(0, items - 1), False
        items += 1
        at += 8 + length
    return max(0, items - 1), False


def _first_fragment(header: Header, body: Buffer) -> int | None:
    """Where the first fragment's bytes begin, behind the offset table."""
    if header.pixels is None or header.pixels.offset + 16 > header.size:
        return None
    (table,) = struct.unpack_from("<I", body, header.pixels.offset + 4)
    start: int = header.pixels.offset + 8 + table + 8
    return start if start + 16 <= header.size else None


def _transformation(body: Buffer, start: int) -> int | None:
    """The last parameter of the main header's COD segment: 0 is irreversible 9-7, 1 is reversible 5-3."""
    at, end = start + 2, min(len(body), start + 65_536)
    while at + 4 <= end:
        marker, length = struct.unpack_from(">HH", body, at)
        if marker == _CODING_STYLE and at + 14 <= end:
            return int(body[at + 13])
        if marker in _DATA_BEGINS or marker < 0xFF00:
            return None
        at += 2 + length
    return None
