"""A Part 10 file as pieces: whole top-level elements, remembered by their bytes, because files of a series share most of them.

What an element becomes depends on its bytes, the character set of its data set and, for a private one, its creator. So a piece
is made once for each such combination, and everything that is found out about it is kept with it.
"""

import zlib
from dataclasses import dataclass, field
from operator import lt

from appliance.deidentify.profile import PIXEL_TAGS
from appliance.deidentify.splice import DEFLATED, EXPLICIT, EXPLICIT_BIG, IMPLICIT_LITTLE, Coding, Element, Parser, Unparsable

_CHARSET = 0x00080005
_LARGEST_REMEMBERED = 16384
_VARIES, _PADDING = 0, -1
_UNDEFINED = 0xFFFFFFFF


@dataclass(slots=True, eq=False)
class Piece:
    """One top-level element; `element` holds ranges of `data`, save for pixel data, which stays in the file."""

    tag: int
    data: bytes
    element: Element
    charset: bytes
    creator: str = ""
    """Of a private element."""
    new: bytes | None = None
    """What it becomes, once that is known."""
    actions: dict[str, int] = field(default_factory=dict)

    @property
    def value(self) -> bytes:
        """The value's bytes."""
        return self.data[self.element.value : self.element.stop]


@dataclass(slots=True)
class PartTen:
    """One file without its pixel data."""

    syntax: str
    coding: Coding
    meta_bytes: bytes
    """Preamble, prefix and file meta."""
    meta: list[Piece]
    pieces: list[Piece]
    pixels: list[tuple[int, Element]]
    """Index among the pieces, and the range in the data set."""
    fresh: list[Piece]
    """Pieces that no file before had."""

    def value(self, tag: int) -> bytes:
        """A top-level value without its padding; empty when it is missing."""
        return next((piece.value.rstrip(b"\0 ") for piece in self.pieces if piece.tag == tag), b"")


class Reader:
    """Takes the files of one study apart."""

    def __init__(self) -> None:
        self._meta = _Splitter(EXPLICIT)
        self._splitters: dict[Coding, _Splitter] = {}

    def read(self, content: bytes) -> PartTen:
        """The pieces of one file; raises `Unparsable`."""
        if content[128:132] != b"DICM":
            raise Unparsable("no DICOM file")
        meta, end = self._meta.split(content, 132, [], [], only=b"\x02\x00")
        syntax = next((one.value for one in meta if one.tag == 0x00020010), b"").rstrip(b"\0 ").decode("ascii", "replace")
        if not syntax:
            raise Unparsable("no transfer syntax")
        coding = Coding(syntax != IMPLICIT_LITTLE, syntax != EXPLICIT_BIG)
        body, start = (inflated(content, end), 0) if syntax == DEFLATED else (content, end)
        splitter = self._splitters.get(coding) or self._splitters.setdefault(coding, _Splitter(coding))
        pixels: list[tuple[int, Element]] = []
        fresh: list[Piece] = []
        pieces, _ = splitter.split(body, start, pixels, fresh)
        tags = [piece.tag for piece in pieces]
        if not all(map(lt, tags, tags[1:])):
            raise Unparsable("the elements are not in ascending order")
        return PartTen(syntax, coding, content[:end], meta, pieces, pixels, fresh)


def inflated(content: bytes, start: int) -> bytes:
    """The data set of a deflated file (PS3.5, A.5); raises `Unparsable`."""
    try:
        return zlib.decompressobj(wbits=-15).decompress(content[start:])
    except zlib.error:
        raise Unparsable("the deflated data set is damaged") from None


class _Splitter:
    """Cuts buffers of one coding into pieces."""

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._low = 0 if coding.little else 1
        self._sizes: dict[bytes, int] = {}
        self._known: dict[tuple[bytes, str], dict[bytes, Piece]] = {}
        self._undefined: dict[bytes, bytes] = {}

    def split(
        self, body: bytes, position: int, pixels: list[tuple[int, Element]], fresh: list[Piece], *, only: bytes = b""
    ) -> tuple[list[Piece], int]:
        """All pieces from `position` and where they end; zeros behind the last are padding. `only`: while elements begin so."""
        sizes, low, end = self._sizes, self._low, len(body)
        charset, creators = b"", dict[int, str]()
        known = self._known.setdefault((charset, ""), {})
        pieces: list[Piece] = []
        while position < end:
            head = body[position : position + 8]
            if only and not head.startswith(only):
                break
            size = sizes.get(head)
            if size is None:
                size = self._size(body, position, head)
            if size == _PADDING:
                break
            if size == _VARIES:
                element = self._pixels(body, position)
                if element is not None:
                    pixels.append((len(pieces), element))
                    pieces.append(Piece(element.tag, b"", element, charset))
                    position = element.end
                    continue
                size = self._extended(body, position)
            data = body[position : position + size]
            if head[low] & 1:
                piece = self._private(data, charset, creators, fresh)
            else:
                found = known.get(data)
                piece = found if found is not None else self._made(known, data, charset, "", fresh)
                if piece.tag == _CHARSET:
                    charset = piece.value.strip(b"\0 ")
                    known = self._known.setdefault((charset, ""), {})
            pieces.append(piece)
            position += size
        return pieces, position

    def _size(self, body: bytes, position: int, head: bytes) -> int:
        """The length of an element that begins with `head`; 0 when the head does not tell."""
        if len(head) < 8 or not any(head):
            if any(body[position:]):
                raise Unparsable("bytes after the last element")
            return _PADDING
        tag, size = Parser(body, self._coding).extent(position)
        self._sizes[head] = _VARIES if tag in PIXEL_TAGS else size
        return self._sizes[head]

    def _pixels(self, body: bytes, position: int) -> Element | None:
        parser = Parser(body, self._coding)
        return parser.element(position, 0) if parser.tag(position) in PIXEL_TAGS else None

    def _extended(self, body: bytes, position: int) -> int:
        """The length of an element with a long header, or of a sequence that ends with a delimiter."""
        parser = Parser(body, self._coding)
        length, value = parser.length(position)
        if length != _UNDEFINED:
            return value - position + length
        head = body[position:value]
        # Elements are delimited by themselves: what begins with the bytes of a whole element is that element.
        if head in self._undefined and body.startswith(self._undefined[head], position):
            return len(self._undefined[head])
        stop = parser.element(position, 0).end
        self._undefined[head] = body[position:stop]
        return stop - position

    def _private(self, data: bytes, charset: bytes, creators: dict[int, str], fresh: list[Piece]) -> Piece:
        tag = Parser(data, self._coding).tag(0)
        creator = creators.get(tag >> 8, "")
        known = self._known.setdefault((charset, creator), {})
        found = known.get(data)
        piece = found if found is not None else self._made(known, data, charset, creator, fresh)
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            creators[tag >> 16 << 8 | tag & 0xFF] = piece.value.decode("latin-1").strip("\0 ")
        return piece

    def _made(self, known: dict[bytes, Piece], data: bytes, charset: bytes, creator: str, fresh: list[Piece]) -> Piece:
        element = Parser(data, self._coding).element(0, 0)
        if element.end != len(data):
            raise Unparsable("an element does not end where it says")
        piece = Piece(element.tag, data, element, charset, creator)
        if len(data) <= _LARGEST_REMEMBERED:
            known[data] = piece
        fresh.append(piece)
        return piece
