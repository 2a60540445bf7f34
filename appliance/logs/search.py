"""Searching the log store: the newest lines first, of all processes, by text, level, process, study, order and time.

What is looked for stands in a line as it was written, so that a line is only parsed when it fits. Closed files are read where
their index says that it may be worth it; the open ones, and those without an index, as a whole.
"""

import heapq
import json
import mmap
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from appliance.errors import Rejected
from appliance.logs import index

Level = Literal["debug", "info", "warning", "error", "critical"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error", "critical")
MOST_LINES = 1_000
_WHOLE_BLOCK = 1 << 20
"""Of a file without an index, so much is looked at in one piece."""
_AT = len('{"at": "')
_AT_END = _AT + len("2026-11-22T16:50:12.123Z")
_BEHIND_AT = _AT_END + len('", ')
_CURSOR = re.compile(r"([0-9TZ:.\-]{1,40})\|([0-9]{1,6})")


class BadCursor(Rejected):
    """This is no place in the log."""

    code = "bad-cursor"
    next_step = "Begin with the newest lines."


class Wanted(msgspec.Struct, kw_only=True, frozen=True):
    """What is looked for; empty matches everything. Moments as the log writes them: 2026-11-22T16:50:12.123Z."""

    text: str = ""
    """As it stands; capital letters count when there is one in it."""
    level: Level = "debug"
    """And what is worse."""
    process: str = ""
    study: str = ""
    """Our identifier, or its beginning; of an order too."""
    order: str = ""
    since: str = ""
    until: str = ""
    """Not itself."""


class Line(msgspec.Struct, kw_only=True, frozen=True):
    """One line; `rest` is what else stands in it."""

    at: str
    level: str
    process: str
    logger: str
    message: str
    study: str = ""
    order: str = ""
    code: str = ""
    rest: dict[str, Any] = {}


class Page(msgspec.Struct, kw_only=True, frozen=True):
    """Lines, newest first, and where to go on; empty at the end."""

    lines: list[Line]
    cursor: str


def search(folder: Path, wanted: Wanted, *, limit: int, cursor: str = "") -> Page:
    """The newest lines that fit, behind the cursor of an earlier page; raises `BadCursor`. Blocks; asks no database."""
    upto, skip = _placed(cursor)
    fits = _Fits(wanted, upto)
    streams = [_of_process(files, fits) for files in _by_process(folder, wanted.process)]
    found: list[Line] = []
    last, alike = upto, 0
    for raw in heapq.merge(*streams, key=_moment, reverse=True):
        at = _moment(raw).decode(errors="replace")
        alike = alike + 1 if at == last else 1
        if at == upto and alike <= skip:
            last = at
            continue
        if len(found) == limit:
            before = sum(1 for one in found if one.at == found[-1].at) + (skip if found[-1].at == upto else 0)
            return Page(lines=found, cursor=f"{found[-1].at}|{before}")
        line = _line(raw)
        if line is not None:
            found.append(line)
        last = at
    return Page(lines=found, cursor="")


def _placed(cursor: str) -> tuple[str, int]:
    if not cursor:
        return "", 0
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadCursor()
    return found[1], int(found[2])


def _moment(raw: bytes) -> bytes:
    return raw[_AT:_AT_END]


def _line(raw: bytes) -> Line | None:
    """None for what a death has torn."""
    try:
        values = msgspec.json.decode(raw, type=dict[str, Any])
        known = {name: values.pop(name, "") for name in Line.__struct_fields__ if name != "rest"}
        return msgspec.convert({**known, "rest": values}, Line)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _by_process(folder: Path, process: str) -> list[list[Path]]:
    """The files of each process, newest first; the open one is the newest."""
    found: dict[str, list[Path]] = {}
    for one in folder.glob("*.jsonl*"):
        name = one.name.partition(".jsonl")[0]
        if not process or name == process:
            found.setdefault(name, []).append(one)
    return [sorted(files, key=_age, reverse=True) for _, files in sorted(found.items())]


def _age(file: Path) -> tuple[bool, float]:
    try:
        return file.suffix == ".jsonl", file.stat().st_mtime
    except FileNotFoundError:
        return False, 0.0


class _Fits:
    """What a raw line must hold."""

    def __init__(self, wanted: Wanted, upto: str) -> None:
        text = json.dumps(wanted.text, ensure_ascii=False)[1:-1]
        self.exactly = text != text.lower()
        self._text = text.encode()
        levels = LEVELS[LEVELS.index(wanted.level) :]
        named = [f'"level": "{one}"'.encode() for one in levels] if wanted.level != "debug" else []
        ids = [f'"{name}": "{getattr(wanted, name)}'.encode() for name in ("study", "order") if getattr(wanted, name)]
        self.all_of: list[list[bytes]] = [*([named] if named else []), *([one] for one in ids)]
        if self._text:
            self.all_of.append([self._text.lower()])
        self._known = self.all_of[:-1] if self._text else self.all_of
        self.since = wanted.since.encode()
        self.until = wanted.until.encode()
        self.upto = upto.encode()

    def later(self, at: bytes) -> bool:
        """Whether a moment lies behind what is wanted."""
        return bool((self.until and at >= self.until) or (self.upto and at > self.upto))

    def candidates(self, piece: bytes) -> Iterator[bytes]:
        """The lines of a piece of a file that may fit, the last first; only these are cut out of it."""
        if any(not any(one in piece for one in some) for some in self._known):
            return
        if not self._text:
            yield from reversed(piece.splitlines())
            return
        searched, end = piece if self.exactly else piece.lower(), len(piece)
        while (place := searched.rfind(self._text, 0, end)) >= 0:
            start = searched.rfind(b"\n", 0, place) + 1
            behind = searched.find(b"\n", place)
            yield piece[start : behind if behind >= 0 else len(piece)]
            end = start

    def __call__(self, raw: bytes) -> bool:
        """Whether one line fits, but for its time."""
        if not all(any(one in raw for one in some) for some in self._known):
            return False
        rest = raw[_BEHIND_AT:]
        return not self._text or self._text in (rest if self.exactly else rest.lower())


def _of_process(files: Sequence[Path], fits: _Fits) -> Iterator[bytes]:
    """The lines of one process that fit, newest first."""
    for file in files:
        try:
            with file.open("rb") as opened:
                if opened.seek(0, 2) == 0:
                    continue
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    if not (yield from _of_file(file, data, fits)):
                        return
        except FileNotFoundError:
            continue  # deleted by its age, or just closed under another name


def _of_file(file: Path, data: mmap.mmap, fits: _Fits) -> Generator[bytes, None, bool]:
    """The lines of one file that fit; ends with whether older files may hold more."""
    first = data[_AT:_AT_END]
    if not fits.later(first):
        blocks = index.place_of(file).exists()
        size = index.BLOCK_BYTES if blocks else _WHOLE_BLOCK
        for number in _worth_reading(file, data, fits, blocks):
            start, end = index.bounds(data, number * size, size)
            if start == end or fits.later(data[start + _AT : start + _AT_END]):
                continue
            yield from _of_block(data[start:end], fits)
            if fits.since and data[start + _AT : start + _AT_END] < fits.since:
                return False
    return not (fits.since and first < fits.since)


def _worth_reading(file: Path, data: mmap.mmap, fits: _Fits, indexed: bool) -> Iterator[int]:
    """The numbers of a file's blocks that may hold a line that fits, the last first."""
    if not indexed:
        yield from range((len(data) - 1) // _WHOLE_BLOCK, -1, -1)
        return
    found: set[int] | None = None
    for some in fits.all_of:
        blocks = index.blocks_with(file, [one.lower() for one in some])
        if blocks is not None:
            found = blocks if found is None else found & blocks
    if found is None:
        yield from range((len(data) - 1) // index.BLOCK_BYTES, -1, -1)
    else:
        yield from sorted(found, reverse=True)


def _of_block(piece: bytes, fits: _Fits) -> Iterator[bytes]:
    for raw in fits.candidates(piece):
        at = raw[_AT:_AT_END]
        if not (fits.since and at < fits.since) and not fits.later(at) and fits(raw):
            yield raw
