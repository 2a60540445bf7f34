"""A Part 10 file as pieces: whole top-level elements, remembered by their bytes, because files of a series share most of them.

What an element becomes depends on its bytes, the character set of its data set and, for a private one, its creator. So a piece
is made once for each such combination, and everything that is found out about it is kept with it. Pieces that follow one
another in all files of a series are read as one (`runs`).
"""

import zlib
from bisect import bisect_right
from dataclasses import dataclass
from operator import lt

from appliance.deidentify.profile import PIXEL_TAGS
from appliance.deidentify.runs import CHARSET, Piece, Plan, Segment, is_creator
from appliance.deidentify.splice import DEFLATED, EXPLICIT, EXPLICIT_BIG, IMPLICIT_LITTLE, Coding, Element, Parser, Unparsable

_LARGEST_REMEMBERED = 16384
_VARIES, _PADDING = 0, -1
_UNDEFINED = 0xFFFFFFFF


@dataclass(slots=True)
class PartTen:
    """One file without its pixel data."""

    syntax: str
    coding: Coding
    meta_bytes: bytes
    """Preamble, prefix and file meta."""
    segments: list[Segment]
    tags: list[int]
    """The first tag of each segment."""
    pixels: list[tuple[int, Element]]
    """Index among the segments, and the range in the data set."""
    fresh: list[Piece]
    """Pieces that no file before had."""
    fresh_meta: list[Piece]
    creators: list[int]
    """Indexes of the segments that name creators of private blocks."""

    def value(self, tag: int) -> bytes:
        """A top-level value without its padding; empty when it is missing."""
        index = bisect_right(self.tags, tag) - 1
        piece = self.segments[index].piece(tag) if index >= 0 else None
        return piece.value.rstrip(b"\0 ") if piece is not None else b""


class Reader:
    """Takes the files of one study apart."""

    def __init__(self) -> None:
        self._meta = _Splitter(EXPLICIT)
        self._splitters: dict[Coding, _Splitter] = {}
        self._meta_plans: dict[str, Plan] = {}
        self._plans: dict[tuple[str, Coding], Plan] = {}

    def read(self, content: bytes, series: str = "") -> PartTen:
        """The pieces of one file; raises `Unparsable`."""
        if content[128:132] != b"DICM":
            raise Unparsable("no DICOM file")
        meta = _Cut(self._meta_plans.setdefault(series, Plan()))
        end = self._meta.split(content, 132, meta, only=b"\x02\x00")
        found = next((piece.value for one in meta.segments if (piece := one.piece(0x00020010))), b"")
        syntax = found.rstrip(b"\0 ").decode("ascii", "replace")
        if not syntax:
            raise Unparsable("no transfer syntax")
        coding = Coding(syntax != IMPLICIT_LITTLE, syntax != EXPLICIT_BIG)
        body, start = (inflated(content, end), 0) if syntax == DEFLATED else (content, end)
        splitter = self._splitters.get(coding) or self._splitters.setdefault(coding, _Splitter(coding))
        cut = _Cut(self._plans.setdefault((series, coding), Plan()))
        splitter.split(body, start, cut)
        tags = [segment.tag for segment in cut.segments]
        if not all(map(lt, [segment.last for segment in cut.segments], tags[1:])):
            raise Unparsable("the elements are not in ascending order")
        meta.settle()
        cut.settle()
        creators = [index for index, tag in enumerate(tags) if tag & 0x1FF00 == 0x10000 and is_creator(tag)]
        return PartTen(
            syntax=syntax,
            coding=coding,
            meta_bytes=content[:end],
            segments=cut.segments,
            tags=tags,
            pixels=cut.pixels,
            fresh=cut.fresh,
            fresh_meta=meta.fresh,
            creators=creators,
        )


def inflated(content: bytes, start: int) -> bytes:
    """The data set of a deflated file (PS3.5, A.5); raises `Unparsable`."""
    try:
        return zlib.decompressobj(wbits=-15).decompress(content[start:])
    except zlib.error:
        raise Unparsable("the deflated data set is damaged") from None


class _Cut:
    """One file while it is taken apart."""

    __slots__ = ("charset", "creators", "fresh", "missed", "next", "pixels", "plan", "segments")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.next = 0
        self.missed = not plan.runs
        self.segments: list[Segment] = []
        self.pixels: list[tuple[int, Element]] = []
        self.fresh: list[Piece] = []
        self.charset = b""
        self.creators: dict[int, str] = {}

    def run_at(self, body: bytes, position: int) -> int:
        """Takes as many runs of the plan as stand at a position; where they end."""
        runs, charset = self.plan.runs, self.charset
        while self.next < len(runs):
            run = runs[self.next]
            if not body.startswith(run.data, position) or run.charset != charset:
                break
            if run.creators and any(self.creators.get(block, "") != name for block, name in run.creators):
                break
            self.segments.append(run)
            self.next += 1
            position += len(run.data)
        return position

    def passed(self, tag: int) -> None:
        """Gives up the runs before a tag that was met without them."""
        runs = self.plan.runs
        while self.next < len(runs) and runs[self.next].tag <= tag:
            self.next += 1
            self.missed = True

    def settle(self) -> None:
        """Teaches the plan what this file has shown."""
        if self.missed or self.next < len(self.plan.runs):
            self.plan.learn(self.segments)


class _Splitter:
    """Cuts buffers of one coding into pieces."""

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._low = 0 if coding.little else 1
        self._sizes: dict[bytes, int] = {}
        self._known: dict[tuple[bytes, str], dict[bytes, Piece]] = {}
        self._undefined: dict[bytes, bytes] = {}

    def split(self, body: bytes, position: int, cut: _Cut, *, only: bytes = b"") -> int:
        """All pieces from `position` and where they end; zeros behind the last are padding. `only`: while elements begin so."""
        sizes, low, end, segments = self._sizes, self._low, len(body), cut.segments
        known = self._known.setdefault((b"", ""), {})
        while position < end:
            position = cut.run_at(body, position)
            head = body[position : position + 8]
            if not head or (only and not head.startswith(only)):
                break
            size = sizes.get(head)
            if size is None:
                size = self._size(body, position, head)
            if size == _PADDING:
                break
            if size == _VARIES:
                element = self._pixels(body, position)
                if element is not None:
                    cut.passed(element.tag)
                    cut.pixels.append((len(segments), element))
                    segments.append(Piece(element.tag, b"", element, cut.charset))
                    position = element.end
                    continue
                size = self._extended(body, position)
            data = body[position : position + size]
            if head[low] & 1:
                piece = self._private(data, cut)
            else:
                found = known.get(data)
                piece = found if found is not None else self._made(known, data, cut, "")
                if piece.tag == CHARSET:
                    cut.charset = piece.value.strip(b"\0 ")
                    known = self._known.setdefault((cut.charset, ""), {})
            cut.passed(piece.tag)
            segments.append(piece)
            position += size
        return position

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

    def _private(self, data: bytes, cut: _Cut) -> Piece:
        tag = Parser(data, self._coding).tag(0)
        creator = cut.creators.get(tag >> 8, "")
        known = self._known.setdefault((cut.charset, creator), {})
        found = known.get(data)
        piece = found if found is not None else self._made(known, data, cut, creator)
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            cut.creators[tag >> 16 << 8 | tag & 0xFF] = piece.value.decode("latin-1").strip("\0 ")
        return piece

    def _made(self, known: dict[bytes, Piece], data: bytes, cut: _Cut, creator: str) -> Piece:
        element = Parser(data, self._coding).element(0, 0)
        if element.end != len(data):
            raise Unparsable("an element does not end where it says")
        piece = Piece(element.tag, data, element, cut.charset, creator)
        if len(data) <= _LARGEST_REMEMBERED:
            known[data] = piece
        cut.fresh.append(piece)
        return piece
