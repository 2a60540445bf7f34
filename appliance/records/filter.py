"""The filter language of every list: `status:failed,qc group:PARK* product:dti received<2d age<40 !text`.

Terms are joined by "and", values of one term (commas) by "or"; `!` turns a term round; `*` stands for any characters; quotes
hold blanks together. `received>2d` is longer ago than two days, `received<2d` within the last two; a date (`2026-11-22`, UTC)
compares as a date. Text becomes terms, terms become SQL with bound values: what a user types is never part of a statement.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance.errors import Rejected
from appliance.records.narrow import Narrow

LONGEST = 1000
MOST_TERMS = 40
MOST_VALUES = 50

_KEY = re.compile(r"([A-Za-z_]+)(>=|<=|:|>|<|=)")
_BARE = re.compile(r'[^\s,"]+')
_BARE_TEXT = re.compile(r'[^\s"]+')


class FilterProblem(Rejected):
    """The filter has a problem at position {position}: {problem}."""

    code = "filter"
    next_step = "Correct the filter at that position."

    def __init__(self, position: int, problem: str) -> None:
        self.position = position
        super().__init__(position=position, problem=problem)


@dataclass(frozen=True, slots=True)
class Value:
    """One value and where it stands in the text (0-based)."""

    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Term:
    """`key op values`, or free text where `key` is empty."""

    key: str
    op: str
    values: tuple[Value, ...]
    negated: bool
    position: int


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition with `{}` in place of each value, and the quick ways to the rows that can fulfil it."""

    sql: str
    values: tuple[object, ...] = ()
    narrow: tuple[Narrow, ...] = ()
    exact: bool = False
    """Whether the one quick way says the same as the condition."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the language: what it means, what it may be compared with, and how it becomes a condition."""

    help: str
    example: str
    build: Callable[[Term, int], Clause]
    choices: tuple[str, ...] = field(default=())


Vocabulary = Mapping[str, Word]
"""The words that one list knows; the empty word is free text."""


def parse(text: str, words: Vocabulary) -> list[Term]:
    """The terms of a filter; raises `FilterProblem` with the position of what is wrong."""
    if len(text) > LONGEST:
        raise FilterProblem(LONGEST, f"it is longer than {LONGEST} characters")
    terms: list[Term] = []
    position = _skip_blanks(text, 0)
    while position < len(text):
        if len(terms) == MOST_TERMS:
            raise FilterProblem(position, f"it has more than {MOST_TERMS} terms")
        start = position
        negated = text[position] == "!"
        position += negated
        match = _KEY.match(text, position)
        if match:
            key = match[1].lower()
            if key not in words or not key:
                known = ", ".join(name for name in words if name)
                raise FilterProblem(position, f"this word is not known here; known are {known}")
            values, position = _values(text, match.end())
            terms.append(Term(key, match[2], values, negated, start))
        else:
            value, position = _value(text, position, _BARE_TEXT)
            terms.append(Term("", ":", (value,), negated, start))
        position = _skip_blanks(text, position)
    return terms


def compile_filter(text: str, words: Vocabulary, now: int) -> Clause:
    """The condition of a whole filter; an empty filter is an empty condition. Raises `FilterProblem`."""
    clauses = [_compiled(term, words, now) for term in parse(text, words)]
    return Clause(
        " AND ".join(one.sql for one in clauses),
        tuple(value for one in clauses for value in one.values),
        tuple(narrow for one in clauses for narrow in one.narrow),
        exact=len(clauses) == 1 and clauses[0].exact,
    )


def _compiled(term: Term, words: Vocabulary, now: int) -> Clause:
    built = words[term.key].build(term, now)
    # A missing row makes a condition NULL: "not failed" must still find what has no order yet.
    if term.negated:
        return Clause(f"NOT COALESCE(({built.sql}), FALSE)", built.values)
    return Clause(f"({built.sql})", built.values, built.narrow, built.exact)


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _values(text: str, position: int) -> tuple[tuple[Value, ...], int]:
    values: list[Value] = []
    while True:
        if len(values) == MOST_VALUES:
            raise FilterProblem(position, f"one term has more than {MOST_VALUES} values")
        value, position = _value(text, position, _BARE)
        values.append(value)
        if position >= len(text) or text[position] != ",":
            break
        position += 1
    if position < len(text) and not text[position].isspace():
        raise FilterProblem(position, "a blank or a comma belongs here")
    return tuple(values), position


def _value(text: str, position: int, bare: re.Pattern[str]) -> tuple[Value, int]:
    if text[position : position + 1] == '"':
        end = text.find('"', position + 1)
        if end < 0:
            raise FilterProblem(position, "this quote is not closed")
        if end == position + 1:
            raise FilterProblem(position, "a value is missing")
        return Value(_storable(text[position + 1 : end], position), position), end + 1
    match = bare.match(text, position)
    if match is None:
        raise FilterProblem(position, "a value is missing")
    return Value(_storable(match[0], position), position), match.end()


def _storable(value: str, position: int) -> str:
    # Neither engine can compare with a NUL or half a surrogate pair.
    if "\x00" in value or any("\ud800" <= one <= "\udfff" for one in value):
        raise FilterProblem(position, "this character cannot be searched")
    return value
