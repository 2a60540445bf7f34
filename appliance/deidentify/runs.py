"""Runs: elements in a row that the files of a series have in common, byte for byte.

Elements are delimited by themselves, so bytes at the start of an element that equal a run are the elements of that run, in the
same character set and under the same private creators. A plan learns from file to file which tags vary and cuts there; once it
has, a file is read in as many steps as it has differences.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from appliance.deidentify.splice import Element

CHARSET = 0x00080005
OWN_TAGS = (0x00120062, 0x00120063, 0x00120064, 0x00280303)
"""Where the output says what was done to it; no run reaches over one of these places."""


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
    blocks: frozenset[int] = frozenset()
    """The private blocks of which something stays, once that is known."""

    @property
    def value(self) -> bytes:
        """The value's bytes."""
        return self.data[self.element.value : self.element.stop]

    @property
    def last(self) -> int:
        """The tag itself."""
        return self.tag

    @property
    def pieces(self) -> "tuple[Piece, ...]":
        """Itself alone."""
        return (self,)

    def piece(self, tag: int) -> "Piece | None":
        """Itself, if it has the tag."""
        return self if tag == self.tag else None


@dataclass(slots=True, eq=False)
class Run:
    """Pieces that follow one another in every file so far."""

    data: bytes
    pieces: tuple[Piece, ...]
    charset: bytes
    creators: tuple[tuple[int, str], ...]
    """Private block -> creator, of the blocks that it has elements of."""
    by_tag: Mapping[int, Piece]
    tag: int
    """Of the first piece."""
    last: int
    new: bytes | None = None
    blocks: frozenset[int] = frozenset()

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> "Run":
        """A run of one piece or more."""
        creators = {piece.tag >> 8: piece.creator for piece in pieces if piece.tag >> 16 & 1}
        return cls(
            data=b"".join(piece.data for piece in pieces),
            pieces=tuple(pieces),
            charset=pieces[0].charset,
            creators=tuple(creators.items()),
            by_tag={piece.tag: piece for piece in pieces},
            tag=pieces[0].tag,
            last=pieces[-1].tag,
        )

    def piece(self, tag: int) -> Piece | None:
        """The piece with a tag."""
        return self.by_tag.get(tag)


Segment = Piece | Run


def is_creator(tag: int) -> bool:
    """Whether a tag names the creator of a private block (PS3.5, 7.8.1)."""
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


class Plan:
    """The runs to expect in the next file of a series, in order."""

    __slots__ = ("_base", "_varying", "runs")

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._base: dict[int, Piece] = {}
        self._varying: set[int] = set()

    def learn(self, segments: Iterable[Segment]) -> None:
        """Cuts the runs where this file differs from those before."""
        now = {piece.tag: piece for segment in segments for piece in segment.pieces}
        if self._base:
            before = self._base
            self._varying |= {tag for tag in before.keys() | now.keys() if before.get(tag) is not now.get(tag)}
        self._base = now
        self.runs = [Run.of(row) for row in self._rows(list(now.values()))]

    def _rows(self, pieces: list[Piece]) -> Iterable[list[Piece]]:
        cuts = sorted({*self._varying, *OWN_TAGS})
        row: list[Piece] = []
        place = -1
        for piece in pieces:
            here = bisect_left(cuts, piece.tag)
            alone = piece.tag in self._varying or piece.tag == CHARSET or is_creator(piece.tag) or not piece.data
            if row and (alone or here != place or row[-1].charset != piece.charset):
                yield row
                row = []
            place = here
            if not alone:
                row.append(piece)
        if row:
            yield row
