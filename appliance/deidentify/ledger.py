"""Which elements each file has before and after: every distinct pair is kept, and judged, once."""

from typing import NamedTuple

from appliance.deidentify.outline import Outline, Stretch

LARGEST_KEPT = 16384
_CHARSET = 0x00080005


class Context(NamedTuple):
    """What the meaning of an element depends on, besides its bytes."""

    source_syntax: str
    output_syntax: str
    charset: bytes
    """Of the output."""
    source_creators: tuple[bytes, ...]
    output_creators: tuple[bytes, ...]


class Case(NamedTuple):
    """One element in the source and in the output; None where it is missing."""

    context: Context
    before: bytes | None
    after: bytes | None


class Entry(NamedTuple):
    """What one file has."""

    group: int
    own: list[int]
    """Numbers of the cases that only this file may have."""
    large: list[int]
    """Tags of elements that are too large to be kept until they are judged."""


class Ledger:
    """The cases of one study."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.groups: list[list[int]] = []
        """Numbers of the cases that files of one kind share."""
        self._numbers: dict[Context, dict[tuple[bytes | None, bytes | None], int]] = {}
        self._layouts: dict[_Layout, int] = {}

    def enter(self, source: Outline, output: Outline) -> Entry:
        """Takes one file in."""
        context = context_of(source, output)
        layout = (context, source.stretches, output.stretches, tuple(source.loose), tuple(output.loose))
        group = self._layouts.get(layout)
        if group is None:
            group = self._layouts[layout] = len(self.groups)
            self.groups.append(self._shared(context, source, output))
        numbers = self._numbers.setdefault(context, {})
        entry = Entry(group, [], [])
        for tag in output.loose | source.loose:
            before, after = source.part(tag), output.part(tag)
            if len(before or b"") + len(after or b"") > LARGEST_KEPT:
                entry.large.append(tag)
            else:
                found = numbers.get((before, after))
                entry.own.append(self._number(context, before, after) if found is None else found)
        return entry

    def _shared(self, context: Context, source: Outline, output: Outline) -> list[int]:
        tags = {tag: None for one in (*output.stretches, *source.stretches) for tag in one.parts}
        loose = output.loose.keys() | source.loose.keys()
        return [self._number(context, source.part(tag), output.part(tag)) for tag in tags if tag not in loose]

    def _number(self, context: Context, before: bytes | None, after: bytes | None) -> int:
        numbers = self._numbers.setdefault(context, {})
        if (before, after) not in numbers:
            numbers[before, after] = len(self.cases)
            self.cases.append(Case(context, before, after))
        return numbers[before, after]


_Layout = tuple[Context, tuple[Stretch, ...], tuple[Stretch, ...], tuple[int, ...], tuple[int, ...]]


def context_of(source: Outline, output: Outline) -> Context:
    """The context of a file's elements."""
    charset = output.value(_CHARSET).strip(b"\0 ")
    return Context(source.syntax, output.syntax, charset, source.creators, output.creators)
