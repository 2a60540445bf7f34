"""The verifier's quick look at a file: its top-level elements as byte ranges, each opened only when it was not seen before.

Built on the verifier's own reader; every byte of the file belongs to an element, or `Unaccounted` is raised. What the files of
a series have shown to share is recognised by its bytes and stepped over at once.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from appliance.deidentify.profile import PIXEL_TAGS
from appliance.deidentify.walker import Encoded, Leaf, Unaccounted, data_set, encoding

_ASK = -1
_CHARSET = 0x00080005
_SYNTAX = 0x00020010


class Stretch:
    """Whole elements in a row that files of a series share."""

    __slots__ = ("creators", "data", "first", "last", "parts")

    def __init__(self, parts: dict[int, bytes]) -> None:
        self.parts = parts
        self.data = b"".join(parts.values())
        self.first, self.last = min(parts), max(parts)
        self.creators = tuple(part for tag, part in parts.items() if names_creator(tag))


class Outline(NamedTuple):
    """One file, its data set not opened yet."""

    preamble: bytes
    syntax: str
    meta: list[Leaf]
    data: bytes
    loose: dict[int, bytes]
    """Tag -> the whole element, of those outside the stretches; pixel data left out."""
    stretches: tuple[Stretch, ...]
    pixels: dict[int, tuple[str, int, int]]
    """Tag -> VR and the range of the value in `data`."""
    tail: bytes
    ordered: bool
    """Whether the tags ascend, so that none stands twice."""

    def part(self, tag: int) -> bytes | None:
        """A whole top-level element."""
        found = self.loose.get(tag)
        if found is None:
            found = next((one.parts[tag] for one in self.stretches if one.first <= tag <= one.last and tag in one.parts), None)
        return found

    @property
    def creators(self) -> tuple[bytes, ...]:
        """The elements that name the creators of private blocks."""
        loose = tuple(part for tag, part in self.loose.items() if names_creator(tag))
        return (*loose, *(part for stretch in self.stretches for part in stretch.creators))

    def value(self, tag: int) -> bytes:
        """A top-level value; empty when it is missing."""
        part = self.part(tag)
        return opened(part, self.syntax)[0].value if part is not None else b""


def names_creator(tag: int) -> bool:
    """Whether an element names the creator of a private block (PS3.5, 7.8.1)."""
    return tag & 0x1FF00 == 0x10000 and tag & 0xFF >= 0x10


def opened(part: bytes, syntax: str, creators: tuple[bytes, ...] = ()) -> list[Leaf]:
    """The leaves of one element, to any depth; raises `Unaccounted`."""
    names: dict[int, str] = {}
    for creator in creators:
        encoding(creator, syntax).one(names)
    return encoding(part, syntax).one(names)


class _Row(NamedTuple):
    """Elements of one buffer."""

    loose: dict[int, bytes]
    stretches: tuple[Stretch, ...]
    pixels: dict[int, tuple[str, int, int]]
    end: int
    ordered: bool


class _Habit:
    """What the files of one series have in common so far."""

    __slots__ = ("_before", "_varying", "heads", "stretches")

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []
        self.heads: dict[bytes, tuple[int, int]] = {}
        """The first eight bytes of an element -> its tag and how long it is, or that the bytes do not tell."""
        self._before: dict[int, bytes] = {}
        self._varying: set[int] = set()

    def learn(self, row: _Row) -> None:
        """Narrows the stretches to what this file shares with those before."""
        parts = dict(row.loose)
        for stretch in row.stretches:
            parts |= stretch.parts
        if self._before:
            tags = self._before.keys() | parts.keys()
            self._varying |= {tag for tag in tags if self._before.get(tag) != parts.get(tag)}
        self._before = parts
        self.stretches = [Stretch(found) for found in self._together(parts)]

    def _together(self, parts: dict[int, bytes]) -> Iterator[dict[int, bytes]]:
        varying = sorted(self._varying)
        groups: dict[int, dict[int, bytes]] = {}
        for tag in sorted(parts.keys() - self._varying):
            groups.setdefault(bisect_left(varying, tag), {})[tag] = parts[tag]
        return iter(groups.values())


class Outliner:
    """Outlines the files of a study, source or output."""

    def __init__(self) -> None:
        self._habits: dict[tuple[str, str], _Habit] = {}
        self._meta: dict[bytes, list[Leaf]] = {}

    def outline(self, content: bytes, series: str = "") -> Outline:
        """One file; raises `Unaccounted`."""
        if len(content) < 132 or content[128:132] != b"DICM":
            raise Unaccounted("the file does not begin as DICOM")
        head = self._row(content, 132, Encoded(content, "little", explicit=True), self._habit(series, ""), b"\x02\x00")
        meta = [leaf for one in head.stretches for leaf in self._known(one.data)]
        meta += [leaf for part in head.loose.values() for leaf in opened(part, "")]
        syntax = next((leaf.value.decode("latin-1").strip("\0 ") for leaf in meta if leaf.tag == _SYNTAX), "")
        data, start, tail = data_set(content, head.end, syntax)
        row = self._row(data, start, encoding(data, syntax), self._habit(series, syntax or "none"), b"")
        ordered = row.ordered and head.ordered
        end = data[row.end :] + tail
        return Outline(content[:128], syntax, meta, data, row.loose, row.stretches, row.pixels, end, ordered)

    def _habit(self, series: str, syntax: str) -> _Habit:
        return self._habits.get((series, syntax)) or self._habits.setdefault((series, syntax), _Habit())

    def _known(self, meta: bytes) -> list[Leaf]:
        if meta not in self._meta:
            self._meta[meta] = Encoded(meta, "little", explicit=True).meta(0)[0]
        return self._meta[meta]

    def _row(self, data: bytes, position: int, reader: Encoded, habit: _Habit, only: bytes) -> _Row:
        loose: dict[int, bytes] = {}
        pixels: dict[int, tuple[str, int, int]] = {}
        expected, heads, size = habit.stretches, habit.heads, len(data)
        stretches: list[Stretch] = []
        after, missed, ordered, previous = 0, not expected, True, -1
        while position < size:
            while after < len(expected) and data.startswith(expected[after].data, position):
                stretch = expected[after]
                stretches.append(stretch)
                ordered = ordered and stretch.first > previous
                previous, position, after = stretch.last, position + len(stretch.data), after + 1
            head = data[position : position + 8]
            if not head or (only and not head.startswith(only)):
                break
            known = heads.get(head)
            if known is None:
                if len(head) < 8 or head == bytes(8):
                    if any(data[position:]):
                        raise Unaccounted("bytes follow the last element")
                    break
                known = heads[head] = reader.head_tells(position)
            tag, length = known
            ordered, previous = ordered and tag > previous, tag
            while after < len(expected) and expected[after].first <= tag:
                after, missed = after + 1, True
            if tag in PIXEL_TAGS:
                vr, begin, end = reader.value_range(position)
                pixels[tag] = vr, begin, end
            else:
                end = position + length if length != _ASK else reader.end(position)
                loose[tag] = data[position:end]
            position = end
        if position > size:
            raise Unaccounted("the file ends inside a value")
        row = _Row(loose, tuple(stretches), pixels, position, ordered)
        if ordered and (missed or after < len(expected)):
            habit.learn(row)
        return row
