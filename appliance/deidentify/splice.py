"""The engine's view of a Part 10 file: elements as ranges of its bytes, so that what is kept is copied and never re-encoded.

Explicit and implicit VR little endian, explicit VR big endian, deflated and all encapsulated syntaxes (PS3.5, section 7 and
Annex A). Pixel values are never decoded.
"""

from dataclasses import dataclass
from struct import Struct, error
from typing import NamedTuple

from appliance.deidentify.dictionary import dictionary_vr

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT_VRS = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST"}
    | {b"TM", b"UI", b"UL", b"US"}
)
_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_DEEPEST = 32


class Unparsable(Exception):
    """The bytes are no DICOM that can be read to the last byte; the argument says what is wrong, never a value."""


class Item(NamedTuple):
    """One item of a sequence."""

    elements: "list[Element]"
    undefined: bool


@dataclass(slots=True)
class Element:
    """One data element: its range in the file with header (`start` to `end`) and without (`value` to `stop`)."""

    tag: int
    vr: str
    start: int
    value: int
    stop: int
    end: int
    items: list[Item] | None = None
    undefined: bool = False


class Coding(NamedTuple):
    """How elements are encoded."""

    explicit: bool
    little: bool

    @property
    def order(self) -> str:
        """The byte order as `struct` writes it."""
        return "<" if self.little else ">"


EXPLICIT = Coding(True, True)


def header(tag: int, vr: str, length: int, coding: Coding) -> bytes:
    """The bytes before a value of `length` bytes."""
    group, element = tag >> 16, tag & 0xFFFF
    if not coding.explicit or tag >> 16 == 0xFFFE:
        return _struct(coding.order + "HHL").pack(group, element, length)
    code = vr.encode()
    if code in _LONG_VRS:
        return _struct(coding.order + "HH2sHL").pack(group, element, code, 0, length)
    if length > 0xFFFF:
        raise Unparsable("a value is too long for its VR")
    return _struct(coding.order + "HH2sH").pack(group, element, code, length)


_structs: dict[str, Struct] = {}


def _struct(form: str) -> Struct:
    if form not in _structs:
        _structs[form] = Struct(form)
    return _structs[form]


_FORMS = ("HH", "HH2sH", "HHL", "L")
_UNPACKERS = {little: tuple(_struct(order + form) for form in _FORMS) for little, order in ((True, "<"), (False, ">"))}
_ALL_VRS = _LONG_VRS | _SHORT_VRS


class Parser:
    """Walks one buffer of elements."""

    def __init__(self, buffer: bytes, coding: Coding) -> None:
        self._buffer = buffer
        self._coding = coding
        self._tag, self._short, self._implicit, self._length = _UNPACKERS[coding.little]

    def tag(self, position: int) -> int:
        """The tag of the element that starts at `position`."""
        group, number = self._tag.unpack_from(self._buffer, position)
        return int(group << 16 | number)

    def extent(self, position: int) -> tuple[int, int]:
        """Tag and length with header of an element, as far as its first eight bytes tell them; length 0 when they do not."""
        if not self._coding.explicit:
            group, number, length = self._implicit.unpack_from(self._buffer, position)
            return group << 16 | number, 0 if length == _UNDEFINED else 8 + length
        group, number, code, length = self._short.unpack_from(self._buffer, position)
        if code not in _ALL_VRS:
            raise Unparsable("an element has no known VR")
        return group << 16 | number, 0 if code in _LONG_VRS else 8 + length

    def length(self, position: int) -> tuple[int, int]:
        """The length of a value that `extent` did not tell, and where the value begins."""
        at = position + (8 if self._coding.explicit else 4)
        if at + 4 > len(self._buffer):
            raise Unparsable("the file ends inside an element")
        return int(self._length.unpack_from(self._buffer, at)[0]), at + 4

    def element(self, position: int, depth: int) -> Element:
        """The element that starts at `position`."""
        try:
            return self._element(position, depth)
        except error:
            raise Unparsable("the file ends inside an element") from None

    def _element(self, position: int, depth: int) -> Element:
        if not self._coding.explicit:
            group, number, length = self._implicit.unpack_from(self._buffer, position)
            tag = group << 16 | number
            return self._finished(tag, _implicit_vr(tag), position, position + 8, length, depth)
        group, number, code, length = self._short.unpack_from(self._buffer, position)
        value = position + 8
        if code in _LONG_VRS:
            (length,) = self._length.unpack_from(self._buffer, value)
            value += 4
        elif code not in _SHORT_VRS:
            raise Unparsable("an element has no known VR")
        return self._finished(group << 16 | number, code.decode(), position, value, length, depth)

    def _finished(self, tag: int, vr: str, start: int, value: int, length: int, depth: int) -> Element:
        undefined = length == _UNDEFINED
        if tag >> 16 == 0xFFFE:
            raise Unparsable("an item stands outside a sequence")
        if vr == "SQ" or (vr == "UN" and undefined):
            # A sequence of unknown VR is encoded as implicit VR little endian, whatever surrounds it (PS3.5, 6.2.2 note 2).
            parser = self if vr == "SQ" else Parser(self._buffer, Coding(False, True))
            items, stop, end = parser.sequence(value, None if undefined else value + length, depth + 1)
            return Element(tag, vr, start, value, stop, end, items, undefined)
        if undefined:
            stop, end = self._fragments(value)
            return Element(tag, vr, start, value, stop, end, None, True)
        if value + length > len(self._buffer):
            raise Unparsable("the file ends inside a value")
        return Element(tag, vr, start, value, value + length, value + length)

    def sequence(self, position: int, stop: int | None, depth: int) -> tuple[list[Item], int, int]:
        """The items from `position` to `stop`, or to the delimiter when that is None; where the items and the whole end."""
        if depth > _DEEPEST:
            raise Unparsable("sequences are nested too deep")
        if stop is not None and stop > len(self._buffer):
            raise Unparsable("the file ends inside a sequence")
        items: list[Item] = []
        while stop is None or position < stop:
            group, number, length = self._implicit.unpack_from(self._buffer, position)
            tag = group << 16 | number
            if tag == _SEQUENCE_END:
                return items, position, position + 8
            if tag != _ITEM:
                raise Unparsable("a sequence holds something else than items")
            item, position = self._item(position + 8, length, depth)
            items.append(item)
        if position != stop:
            raise Unparsable("a sequence is longer than it says")
        return items, position, position

    def _item(self, position: int, length: int, depth: int) -> tuple[Item, int]:
        undefined = length == _UNDEFINED
        stop = None if undefined else position + length
        elements: list[Element] = []
        while stop is None or position < stop:
            group, number = self._tag.unpack_from(self._buffer, position)
            if stop is None and group << 16 | number == _ITEM_END:
                return Item(elements, True), position + 8
            element = self._element(position, depth)
            elements.append(element)
            position = element.end
        if position != stop:
            raise Unparsable("an item is longer than it says")
        return Item(elements, False), position

    def _fragments(self, position: int) -> tuple[int, int]:
        while True:
            group, number, length = self._implicit.unpack_from(self._buffer, position)
            tag = group << 16 | number
            if tag == _SEQUENCE_END:
                return position, position + 8
            if tag != _ITEM or position + 8 + length > len(self._buffer):
                raise Unparsable("encapsulated pixel data is damaged")
            position += 8 + length


def hidden_items(buffer: bytes, element: Element) -> list[Item]:
    """The items of a sequence that is encoded as UN with a length (PS3.5, 6.2.2); raises `Unparsable`."""
    parser = Parser(buffer, Coding(False, True))
    try:
        return parser.sequence(element.value, element.stop, 1)[0]
    except error:
        raise Unparsable("a sequence of unknown VR is damaged") from None


def _implicit_vr(tag: int) -> str:
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    if tag & 0xFFFF == 0:
        return "UL"
    # Where the dictionary leaves a choice, the first is taken: nothing that is kept depends on it.
    return dictionary_vr(tag).split(" or ")[0] or "UN"
