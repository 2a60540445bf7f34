"""Reads a few named elements of one DICOM file, fast, and never the pixels.

A study of thousands of files is read before anything is known about it, so this walks over elements (PS3.5 section 7) without
decoding those that nobody asked for, follows undefined lengths, and stops at the pixel data. Everything out of order in a
file ends as `Unreadable` with a reason that holds no value of the file.
"""

import mmap
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

UNDEFINED = 0xFFFFFFFF
DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN"}
    | {b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_BINARY = {"FD": "d", "FL": "f", "US": "H", "SS": "h", "UL": "I", "SL": "i", "AT": "I"}
_DEEPEST = 32
_LARGEST_VALUE = 4 << 20
_LARGEST_INFLATED = 1 << 30

Key = int | tuple[int, str, int]
"""A public tag, or (group, private creator, last byte of the element) for a private one (PS3.5 section 7.8.1)."""

Buffer = bytes | mmap.mmap


class Unreadable(Exception):
    """A file that cannot be read as DICOM; the text says why in a technologist's words."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read of a data set: key -> VR where the file states none, or what is wanted inside a sequence."""

    public: Mapping[int, "str | Wanted"]
    private: Mapping[tuple[int, str], Mapping[int, "str | Wanted"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PixelData:
    """Where the pixel data begin; `length` is None for encapsulated ones."""

    offset: int
    length: int | None


@dataclass(slots=True)
class Elements:
    """The wanted elements of one data set or item."""

    order: str = "<"
    values: dict[Key, tuple[str, bytes]] = field(default_factory=dict)
    sequences: dict[Key, "list[Elements]"] = field(default_factory=dict)

    def text(self, key: Key) -> str:
        """The value as text without padding; bytes outside ASCII stay as Latin-1 (see `encoded`)."""
        return self.encoded(key).decode("latin-1")

    def encoded(self, key: Key) -> bytes:
        """The value as it stands in the file, without padding."""
        return self.values[key][1].strip(b"\0 ") if key in self.values else b""

    def words(self, key: Key) -> tuple[str, ...]:
        """The values of a multi-valued text, upper case."""
        text = self.text(key)
        return tuple(one.strip().upper() for one in text.split("\\")) if text else ()

    def numbers(self, key: Key) -> tuple[float, ...]:
        """All numbers of a value, whether stored as text or binary; empty where it is missing or no number."""
        if key not in self.values:
            return ()
        vr, raw = self.values[key]
        if vr in _BINARY:
            size = struct.calcsize(_BINARY[vr])
            count = len(raw) // size
            return tuple(float(one) for one in struct.unpack(f"{self.order}{count}{_BINARY[vr]}", raw[: count * size]))
        try:
            return tuple(float(one) for one in self.text(key).split("\\") if one.strip())
        except ValueError:
            return ()

    def number(self, key: Key) -> float | None:
        """The first number of a value."""
        return next(iter(self.numbers(key)), None)

    def items(self, key: Key) -> "list[Elements]":
        """The items of a sequence."""
        return self.sequences.get(key, [])

    def first(self, *keys: Key) -> "Elements":
        """The first item below nested sequences; empty where there is none."""
        found = self
        for key in keys:
            items = found.items(key)
            if not items:
                return Elements(self.order)
            found = items[0]
        return found


@dataclass(frozen=True, slots=True)
class Header:
    """One file: its wanted elements, its transfer syntax, and where its pixels are."""

    elements: Elements
    transfer_syntax: str
    pixels: PixelData | None
    size: int


def read_header(path: Path, wanted: Wanted) -> tuple[Header, Buffer]:
    """The header of a file and the bytes that its pixel offsets count in; raises `Unreadable`."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise Unreadable("the file is empty")
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as fault:
        raise Unreadable("the file cannot be opened") from fault
    if content[128:132] != b"DICM":
        raise Unreadable("it is no DICOM file")
    try:
        syntax, start = _transfer_syntax(content)
        body: Buffer = content
        if syntax == DEFLATED:
            body, start = _inflated(content, start), 0
        reader = _Reader(body, "<" if syntax != BIG_ENDIAN else ">")
        elements, _ = reader.data_set(start, len(body), syntax != IMPLICIT, wanted, 0)
    except (struct.error, IndexError, zlib.error) as fault:
        raise Unreadable("the header is damaged or cut off") from fault
    return Header(elements, syntax, reader.pixels, len(body)), body


def _transfer_syntax(content: Buffer) -> tuple[str, int]:
    """(0002,0010) and where the data set begins (PS3.10 section 7.1)."""
    position, syntax = 132, ""
    while position + 8 <= len(content):
        group, element, vr, length = struct.unpack_from("<HH2sH", content, position)
        if group != 2:
            break
        value = position + 8
        if vr in _LONG:
            (length,) = struct.unpack_from("<I", content, position + 8)
            value = position + 12
        if element == 0x10:
            syntax = bytes(content[value : value + length]).strip(b"\0 ").decode("latin-1")
        position = value + length
    if not syntax:
        raise Unreadable("its transfer syntax is missing")
    return syntax, position


def _inflated(content: Buffer, start: int) -> bytes:
    """The deflated data set (PS3.5 section A.5), refused when it grows beyond all measure."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    body = inflater.decompress(bytes(content[start:]), _LARGEST_INFLATED)
    if not inflater.eof and len(body) >= _LARGEST_INFLATED:
        raise Unreadable("it inflates beyond 1 GB")
    return body


class _Reader:
    """Walks over one data set; `pixels` is set when they are reached."""

    def __init__(self, body: Buffer, order: str) -> None:
        self._body = body
        self._order = order
        self._explicit = struct.Struct(order + "HH2sH").unpack_from
        self._implicit = struct.Struct(order + "HHI").unpack_from
        self._u32 = struct.Struct(order + "I").unpack_from
        self.pixels: PixelData | None = None

    def _long(self, at: int, group: int, vr: bytes) -> tuple[bytes, int, int]:
        """VR, length and where the value begins, of an explicit element whose length has four bytes (PS3.5 section 7.1.2)."""
        if group == 0xFFFE:
            return b"", self._u32(self._body, at + 4)[0], at + 8
        if vr not in _LONG:
            raise Unreadable("the header is damaged")
        return vr, self._u32(self._body, at + 8)[0], at + 12

    def data_set(self, at: int, end: int, explicit: bool, wanted: Wanted, depth: int) -> tuple[Elements, int]:
        """Reads up to `end` or the item's delimiter; the pixel data of the top level end it too."""
        found = Elements(self._order)
        private: dict[int, tuple[Key, str | Wanted]] = {}
        public, body, head = wanted.public, self._body, self._explicit if explicit else self._implicit
        blocks = bool(wanted.private)
        while at + 8 <= end:
            # The one loop that runs a hundred times a file: most elements are nobody's, and are stepped over here.
            if explicit:
                group, element, stated, length = head(body, at)
                value = at + 8
                if stated not in _SHORT:
                    stated, length, value = self._long(at, group, stated)
            else:
                group, element, length = head(body, at)
                stated, value = b"", at + 8
            tag = group << 16 | element
            if group == 0xFFFE and tag in (_ITEM_END, _SEQUENCE_END):
                return found, value
            if group == 0x7FE0 and tag in _PIXELS and depth == 0:
                self.pixels = PixelData(value, None if length == UNDEFINED else length)
                return found, value
            if length != UNDEFINED and value + length > end:
                raise Unreadable("the header is cut off")
            key: Key = tag
            rule = public.get(tag)
            if rule is None and blocks and group & 1:
                if element < 0x100:
                    self._open_block(tag, bytes(body[value : value + length]), wanted, private)
                elif tag in private:
                    key, rule = private[tag]
            if length == UNDEFINED or rule.__class__ is Wanted:
                at = self._sequence(value, end, length, explicit and stated != b"UN", rule, key, found, depth)
                continue
            if rule is not None and length <= _LARGEST_VALUE:
                vr = str(rule) if stated in (b"", b"UN") else stated.decode()
                found.values[key] = (vr, bytes(body[value : value + length]))
            at = value + length
        if at < end:
            raise Unreadable("the header is cut off")
        return found, at

    @staticmethod
    def _open_block(tag: int, raw: bytes, wanted: Wanted, private: dict[int, tuple[Key, str | Wanted]]) -> None:
        """A private creator: its wanted elements get their tags in this data set."""
        group, creator = tag >> 16, raw.strip(b"\0 ").decode("latin-1")
        for low, rule in wanted.private.get((group, creator), {}).items():
            private[group << 16 | (tag & 0xFF) << 8 | low] = ((group, creator, low), rule)

    def _sequence(
        self, at: int, end: int, length: int, explicit: bool, rule: str | Wanted | None, key: Key, found: Elements, depth: int
    ) -> int:
        """Reads the items of a wanted sequence, or steps over an unwanted one; returns where it ends."""
        if depth >= _DEEPEST:
            raise Unreadable("its sequences are nested too deeply")
        stop = end if length == UNDEFINED else at + length
        inside = rule if isinstance(rule, Wanted) else _NOTHING
        items: list[Elements] = []
        while at + 8 <= stop:
            group, element, size = self._implicit(self._body, at)
            tag, value = group << 16 | element, at + 8
            if tag == _SEQUENCE_END:
                at = value
                break
            if tag != _ITEM or (size != UNDEFINED and value + size > stop):
                raise Unreadable("the header is damaged")
            if inside is _NOTHING and size != UNDEFINED:
                at = value + size
                continue
            item, at = self.data_set(value, stop if size == UNDEFINED else value + size, explicit, inside, depth + 1)
            items.append(item)
        if isinstance(rule, Wanted):
            found.sequences[key] = items
        return at if length == UNDEFINED else stop


_NOTHING = Wanted({})
