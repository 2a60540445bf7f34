"""The verifier's quick look at a file: its top-level elements as byte ranges, each opened only when it was not seen before.

Built on the verifier's own reader; every byte of the file belongs to an element, or `Unaccounted` is raised.
"""

from typing import NamedTuple

from appliance.deidentify.profile import PIXEL_TAGS
from appliance.deidentify.walker import Leaf, Unaccounted, encoding, parted

_ASK = -1
_CHARSET = 0x00080005


class Outline(NamedTuple):
    """One file, its data set not opened yet."""

    preamble: bytes
    syntax: str
    meta: list[Leaf]
    data: bytes
    parts: dict[int, bytes]
    """Tag -> the whole element; pixel data left out."""
    pixels: dict[int, tuple[str, int, int]]
    """Tag -> VR and the range of the value in `data`."""
    tail: bytes
    twice: bool
    """Whether a tag stands more than once."""

    @property
    def charset(self) -> bytes:
        """The data set's Specific Character Set."""
        leaves = self.opened(self.parts[_CHARSET]) if _CHARSET in self.parts else []
        return leaves[0].value.strip(b"\0 ") if leaves else b""

    @property
    def creators(self) -> tuple[bytes, ...]:
        """The elements that name the creators of private blocks."""
        return tuple(part for tag, part in self.parts.items() if tag & 0x1FF00 == 0x10000 and tag & 0xFF >= 0x10)

    def opened(self, part: bytes, creators: tuple[bytes, ...] = ()) -> list[Leaf]:
        """The leaves of one element, to any depth; raises `Unaccounted`."""
        names: dict[int, str] = {}
        for creator in creators:
            encoding(creator, self.syntax).one(names)
        return encoding(part, self.syntax).one(names)

    def value(self, tag: int) -> bytes:
        """A top-level value; empty when it is missing."""
        return self.opened(self.parts[tag])[0].value if tag in self.parts else b""


class Outliner:
    """Outlines the files of a study; remembers how long an element is that begins with certain eight bytes."""

    def __init__(self) -> None:
        self._heads: dict[str, dict[bytes, tuple[int, int]]] = {}

    def outline(self, content: bytes) -> Outline:
        """One file; raises `Unaccounted`."""
        preamble, syntax, meta, data, start, tail = parted(content)
        heads = self._heads.setdefault(syntax, {})
        reader = encoding(data, syntax)
        parts: dict[int, bytes] = {}
        pixels: dict[int, tuple[str, int, int]] = {}
        position, size, count = start, len(data), 0
        while position < size:
            head = data[position : position + 8]
            known = heads.get(head)
            if known is None:
                if len(head) < 8 or head == bytes(8):
                    if any(data[position:]):
                        raise Unaccounted("bytes follow the last element")
                    break
                known = heads[head] = reader.head_tells(position)
            tag, length = known
            count += 1
            if tag in PIXEL_TAGS:
                vr, begin, end = reader.value_range(position)
                pixels[tag] = vr, begin, end
                position = end
                continue
            end = position + length if length != _ASK else reader.end(position)
            parts[tag] = data[position:end]
            position = end
        if position > size:
            raise Unaccounted("the file ends inside a value")
        return Outline(preamble, syntax, meta, data, parts, pixels, data[position:] + tail, count != len(parts) + len(pixels))
