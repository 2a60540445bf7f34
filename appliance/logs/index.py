"""An index beside each closed log file: which words stand in which of its blocks, so that a rare one is found without reading.

A block holds the lines that begin in 64 KiB of the file. A word is a run of letters, digits, `_`, `-` and of what is no ASCII,
in small letters; an identifier is one word. The time of a line is left out: every line has another, and times are searched by
their order. The words of a file lie one behind the other, so that also a part of a word is found by one pass over them.

    magic, header (JSON, a line) | words between line feeds | their places (u32) | ends of their blocks (u32) | blocks (u16)

Written once, when the file is closed; without it a file is read as a whole.
"""

import contextlib
import mmap
import re
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from appliance.storage import write_durable

BLOCK_BYTES = 64 << 10
MOST_BYTES = 1 << 30
"""Of a log file that is indexed: ours are far smaller."""
FOLDER = "index"
_MAGIC = b"ranvier-log-index-1\n"
_WORD = re.compile(rb"[0-9a-z_\-\x80-\xff]+")
_WORDS_ONLY = bytes(one if _WORD.match(bytes((one,))) else 32 for one in bytes(range(256)).lower())
"""Byte -> itself in words, as a small letter; a blank between them."""
_TIME = re.compile(rb'^\{"at": "[^"]*", ', re.MULTILINE)
_MOST_WORDS = 500
"""So many words of a file that hold what is looked for count as all: then reading is no slower than looking up."""


class Header(msgspec.Struct, kw_only=True, frozen=True):
    """What an index holds; the sizes of its parts in bytes."""

    size: int
    """Of the log file."""
    words: int
    count: int
    blocks: int


def place_of(log: Path) -> Path:
    """Where the index of a closed log file lies."""
    return log.parent / FOLDER / log.name


def closed(folder: Path) -> list[Path]:
    """The log files that are written no more."""
    return sorted(folder.glob("*.jsonl.*"))


def keep(folder: Path) -> int:
    """Makes the indexes that are missing and removes those whose file is gone; gives how many were made."""
    files = closed(folder)
    names = {one.name for one in files}
    for index in (folder / FOLDER).glob("*"):
        if index.name not in names:
            index.unlink(missing_ok=True)
    wanted = [one for one in files if not place_of(one).exists() and one.stat().st_size <= MOST_BYTES]
    for one in wanted:
        # Retention may have deleted it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            write(one)
    return len(wanted)


def write(log: Path) -> None:
    """Makes the index of a closed log file; raises `OSError`."""
    data = log.read_bytes()
    found: dict[bytes, array[int]] = {}
    count = -(-len(data) // BLOCK_BYTES)
    for block in range(count):
        start, end = bounds(data, block * BLOCK_BYTES, BLOCK_BYTES)
        for word in set(_TIME.sub(b"", data[start:end]).translate(_WORDS_ONLY).split()):
            blocks = found.get(word)
            if blocks is None:
                found[word] = array("H", (block,))
            else:
                blocks.append(block)
    place_of(log).parent.mkdir(mode=0o700, exist_ok=True)
    write_durable(place_of(log), b"".join(_parts(len(data), found, count)), 0o600)


def _parts(size: int, found: dict[bytes, "array[int]"], count: int) -> Iterator[bytes]:
    words = b"\n" + b"\n".join(found) + b"\n"
    places, ends, blocks, place = array("I"), array("I"), array("H"), 1
    for word, where in found.items():
        places.append(place)
        place += len(word) + 1
        # A word of most blocks rules none out: an empty list stands for all.
        if len(where) * 2 < count:
            blocks.extend(where)
        ends.append(len(blocks))
    header = Header(size=size, words=len(words), count=len(found), blocks=len(blocks))
    yield _MAGIC + msgspec.json.encode(header) + b"\n" + words
    for part in (places, ends, blocks):
        if sys.byteorder == "big":
            part.byteswap()
        yield part.tobytes()


def bounds(data: "bytes | mmap.mmap", begin: int, size: int) -> tuple[int, int]:
    """Where the lines begin and end that start in so many bytes from `begin` on."""
    start = begin if begin == 0 else data.find(b"\n", begin - 1) + 1 or len(data)
    end = data.find(b"\n", begin + size - 1) + 1 or len(data)
    return start, max(start, end)


def blocks_with(log: Path, texts: Iterable[bytes]) -> set[int] | None:
    """The blocks of a closed file that may hold any of some texts in small letters; None when all may, or nobody knows."""
    try:
        # Into memory: looking for a word there is several times as quick as in a mapped file.
        index = _Opened(place_of(log).read_bytes())
    except OSError:
        return None
    found: set[int] = set()
    for text in texts:
        blocks = index.blocks(text)
        if blocks is None:
            return None
        found |= blocks
    return found


class _Opened:
    """An index while it is asked."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        head = raw.find(b"\n", len(_MAGIC)) + 1
        self._header = msgspec.json.decode(raw[len(_MAGIC) : head], type=Header)
        self._words = head, head + self._header.words
        self._ends = self._words[1] + 4 * self._header.count
        self._places: array[int] | None = None

    def blocks(self, text: bytes) -> set[int] | None:
        """The blocks that hold all words of a text; None when its words rule none out."""
        found: set[int] | None = None
        for one in _WORD.finditer(text):
            # In the middle a word must be whole; at its ends a text may begin and end within one.
            before = b"" if one.start() == 0 else b"\n"
            behind = b"" if one.end() == len(text) else b"\n"
            blocks = self._of(before + one.group() + behind, len(before))
            if blocks is not None:
                found = blocks if found is None else found & blocks
        return found

    def _of(self, word: bytes, offset: int) -> set[int] | None:
        start, end = self._words
        found: set[int] = set()
        place = self._raw.find(word, start, end)
        for _ in range(_MOST_WORDS):
            if place < 0:
                return found
            number = self._number(place + offset - start)
            blocks = self._blocks(number)
            if not blocks:
                return None
            found.update(blocks)
            # On behind this word: it may hold the text again.
            place = self._raw.find(word, self._raw.find(b"\n", place + offset), end)
        return None

    def _number(self, place: int) -> int:
        if self._places is None:
            self._places = self._array("I", self._words[1], self._header.count)
        return bisect_right(self._places, place) - 1

    def _blocks(self, number: int) -> "array[int]":
        first = self._array("I", self._ends + 4 * (number - 1), 1)[0] if number else 0
        last = self._array("I", self._ends + 4 * number, 1)[0]
        return self._array("H", self._ends + 4 * self._header.count + 2 * first, last - first)

    def _array(self, kind: str, at: int, count: int) -> "array[int]":
        found = array(kind)
        found.frombytes(self._raw[at : at + count * found.itemsize])
        if sys.byteorder == "big":
            found.byteswap()
        return found
