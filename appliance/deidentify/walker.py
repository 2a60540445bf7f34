"""The verifier's own reader: a flat list of every value in a Part 10 file, with every byte of the file accounted for.

It shares no code with the engine's reader. Bytes that belong to no element raise `Unaccounted`.
"""

import zlib
from functools import lru_cache
from struct import Struct, error
from typing import Literal, NamedTuple

from appliance.deidentify.dictionary import dictionary_vr

Place = tuple[int, ...]
"""Tags and item numbers from the data set down to an element, such as (0x00081140, 0, 0x00081155)."""

_EXTENDED = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
_OPEN = 0xFFFFFFFF
_ITEM, _LIST_END = 0xFFFEE000, 0xFFFEE0DD
_OTHERS = [
    "AE",
    "AS",
    "AT",
    "CS",
    "DA",
    "DS",
    "DT",
    "FD",
    "FL",
    "IS",
    "LO",
    "LT",
    "PN",
    "SH",
    "SL",
    "SS",
    "ST",
    "TM",
    "UI",
    "UL",
    "US",
]
_KNOWN = {vr.encode(): vr for vr in (*_EXTENDED, *_OTHERS)}


class Unaccounted(Exception):
    """A range of bytes belongs to no element; the argument says where, in words."""


class Leaf(NamedTuple):
    """One element; a sequence has no value of its own, its items' elements follow it."""

    place: Place
    vr: str
    value: bytes
    creator: str = ""
    """Of a private element; empty for a standard one."""
    items: int = -1
    """The number of items of a sequence; -1 for all else."""

    @property
    def tag(self) -> int:
        """The element's own tag."""
        return self.place[-1]


class Walked(NamedTuple):
    """One file: preamble, file meta, data set."""

    preamble: bytes
    syntax: str
    meta: list[Leaf]
    leaves: list[Leaf]
    tail: bytes
    """What follows the last element: zeros, or what stands behind a deflated data set."""


def walk(content: bytes) -> Walked:
    """Lists a whole file; raises `Unaccounted`."""
    if len(content) < 132 or content[128:132] != b"DICM":
        raise Unaccounted("the file does not begin as DICOM")
    meta, position = Encoded(content, "little", explicit=True).meta(132)
    syntax = next((leaf.value.decode("latin-1").strip("\0 ") for leaf in meta if leaf.tag == 0x00020010), "")
    data, start, tail = data_set(content, position, syntax)
    leaves, end = encoding(data, syntax).all(start)
    return Walked(content[:128], syntax, meta, leaves, data[end:] + tail)


def data_set(content: bytes, position: int, syntax: str) -> tuple[bytes, int, bytes]:
    """The bytes that hold the data set behind the file meta, where in them it begins, and what follows it."""
    if syntax.endswith(".1.99"):
        data, tail = _inflated(content[position:])
        return data, 0, tail
    return content, position, b""


def encoding(data: bytes, syntax: str) -> "Encoded":
    """A reader of bytes in a transfer syntax."""
    order: Literal["little", "big"] = "big" if syntax.endswith(".1.2.2") else "little"
    return Encoded(data, order, explicit=syntax != "1.2.840.10008.1.2")


def _inflated(data: bytes) -> tuple[bytes, bytes]:
    inflater = zlib.decompressobj(-15)
    try:
        return inflater.decompress(data) + inflater.flush(), inflater.unused_data
    except zlib.error:
        raise Unaccounted("the deflated part cannot be read") from None


_UNPACKERS = {
    order: tuple(Struct(mark + form).unpack_from for form in ("HH2sH", "HHL", "L", "HH"))
    for order, mark in (("little", "<"), ("big", ">"))
}


class Encoded:
    """Elements in one encoding."""

    def __init__(self, data: bytes, order: Literal["little", "big"], *, explicit: bool) -> None:
        self._data = data
        self._explicit = explicit
        self._short, self._plain, self._long, self._pair = _UNPACKERS[order]

    def all(self, position: int) -> tuple[list[Leaf], int]:
        """Every element, depth first, and where the last one ends; nothing but zeros may follow."""
        found: list[Leaf] = []
        creators: dict[int, str] = {}
        size = len(self._data)
        try:
            while position < size:
                if size - position < 8 or self._data[position : position + 8] == bytes(8):
                    if any(self._data[position:]):
                        raise Unaccounted("bytes follow the last element")
                    break
                position = self._element(position, (), creators, found)
        except error:
            raise Unaccounted("the file ends inside an element") from None
        return found, position

    def one(self, creators: dict[int, str]) -> list[Leaf]:
        """The leaves of the only element; raises `Unaccounted` when it does not end with the bytes."""
        found: list[Leaf] = []
        try:
            end = self._element(0, (), creators, found)
        except error:
            raise Unaccounted("the file ends inside an element") from None
        if end != len(self._data):
            raise Unaccounted("an element does not end where it says")
        return found

    def head_tells(self, position: int) -> tuple[int, int]:
        """Tag and whole length of an element by its first eight bytes; length -1 when they do not tell it."""
        tag, vr, length, begin = self._headed(position)
        return tag, -1 if length == _OPEN or (self._explicit and vr in _EXTENDED) else begin - position + length

    def end(self, position: int) -> int:
        """Where the element at a position ends."""
        _, _, length, begin = self._headed(position)
        if length != _OPEN:
            return begin + length
        found: list[Leaf] = []
        try:
            return self._element(position, (), {}, found)
        except error:
            raise Unaccounted("the file ends inside an element") from None

    def value_range(self, position: int) -> tuple[str, int, int]:
        """VR and range of the pixel data at a position."""
        _, vr, length, begin = self._headed(position)
        try:
            stop = self._end_of_fragments(begin) if length == _OPEN else begin + length
        except error:
            raise Unaccounted("encapsulated pixel data does not end") from None
        return vr, begin, stop

    def _headed(self, position: int) -> tuple[int, str, int, int]:
        try:
            return self._head(position)
        except error:
            raise Unaccounted("the file ends inside an element") from None

    def meta(self, position: int) -> tuple[list[Leaf], int]:
        """The elements of group 0002 and where they end."""
        found: list[Leaf] = []
        try:
            while self._data[position : position + 2] == b"\x02\x00":
                position = self._element(position, (), {}, found)
        except error:
            raise Unaccounted("the file ends inside the file meta") from None
        return found, position

    def _element(self, position: int, above: Place, creators: dict[int, str], found: list[Leaf]) -> int:
        tag, vr, length, begin = self._head(position)
        private = bool(tag >> 16 & 1)
        creator = creators.get(tag >> 8, "") if private else ""
        place = (*above, tag)
        if vr == "SQ" or (vr == "UN" and (length == _OPEN or self._data[begin : begin + 4] == b"\xfe\xff\x00\xe0")):
            inner = self if vr == "SQ" else Encoded(self._data, "little", explicit=False)
            return inner._sequence(begin, length, place, vr, creator, found)
        end = self._end_of_fragments(begin) if length == _OPEN else begin + length
        if end > len(self._data):
            raise Unaccounted("the file ends inside a value")
        value = self._data[begin:end]
        if private and 0x10 <= tag & 0xFFFF <= 0xFF:
            creator = value.decode("latin-1").strip("\0 ")
            creators[tag >> 16 << 8 | tag & 0xFF] = creator
        found.append(Leaf(place, vr, value, creator))
        return end

    def _head(self, position: int) -> tuple[int, str, int, int]:
        if not self._explicit:
            group, number, length = self._plain(self._data, position)
            tag = group << 16 | number
            if group == 0xFFFE:
                raise Unaccounted("an item stands outside a sequence")
            return tag, _known_vr(tag), length, position + 8
        group, number, code, length = self._short(self._data, position)
        vr = _KNOWN.get(code, "")
        if group == 0xFFFE or not vr:
            raise Unaccounted("an element has no VR")
        if vr not in _EXTENDED:
            return group << 16 | number, vr, length, position + 8
        return group << 16 | number, vr, self._long(self._data, position + 8)[0], position + 12

    def _sequence(self, begin: int, length: int, place: Place, vr: str, creator: str, found: list[Leaf]) -> int:
        if len(place) > 64:
            raise Unaccounted("sequences are nested too deep")
        stop = None if length == _OPEN else begin + length
        here = len(found)
        found.append(Leaf(place, vr, b"", creator, 0))
        position, items = begin, 0
        while stop is None or position < stop:
            group, number, size = self._plain(self._data, position)
            tag = group << 16 | number
            position += 8
            if tag == _LIST_END:
                break
            if tag != _ITEM:
                raise Unaccounted("a sequence holds something else than items")
            position = self._item(position, size, (*place, items), found)
            items += 1
        if stop is not None and position != stop:
            raise Unaccounted("a sequence does not end where it says")
        found[here] = Leaf(place, vr, b"", creator, items)
        return position

    def _item(self, position: int, size: int, above: Place, found: list[Leaf]) -> int:
        stop = None if size == _OPEN else position + size
        creators: dict[int, str] = {}
        while stop is None or position < stop:
            if stop is None and self._pair(self._data, position) == (0xFFFE, 0xE00D):
                return position + 8
            position = self._element(position, above, creators, found)
        if position != stop:
            raise Unaccounted("an item does not end where it says")
        return position

    def _end_of_fragments(self, position: int) -> int:
        while True:
            group, number, size = self._plain(self._data, position)
            tag = group << 16 | number
            position += 8
            if tag == _LIST_END:
                return position
            if tag != _ITEM:
                raise Unaccounted("encapsulated pixel data does not end")
            position += size


@lru_cache(maxsize=4096)
def _known_vr(tag: int) -> str:
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    if tag & 0xFFFF == 0:
        return "UL"
    return dictionary_vr(tag).split(" or ")[0] or "UN"
