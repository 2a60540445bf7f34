"""The quick way to the few rows that a term can mean: by an index of trigrams, of states, or of identifiers.

What is given here is never fewer rows than the term means; the term's own condition then decides about each of them.
"""

import re
from dataclasses import dataclass
from typing import Literal

SHORTEST_RUN = 3
_RUNS = re.compile(r"[ -)+-~]{3,}")
MOST_TRIGRAMS = 6
FLAGGED = "!"
"""Among states: the delivery of a report failed, whatever the state."""


@dataclass(frozen=True, slots=True)
class Narrow:
    """`words`: rows whose study's text holds all runs of one alternative; `states`: rows in one of these states;
    `ids`: rows of studies that have an identifier with this beginning or end.
    """

    kind: Literal["words", "states", "ids"]
    alternatives: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """A query that gives identifiers of rows as `id`, with `{}` in place of each value."""

    sql: str
    values: tuple[object, ...]


def by_words(*patterns: str) -> tuple[Narrow, ...]:
    """From patterns in which `*` stands for anything; nothing when one of them has no run of three characters."""
    found = []
    for pattern in patterns:
        runs = tuple(run.lower() for run in _RUNS.findall(pattern) if len(run) >= SHORTEST_RUN)
        if not runs:
            return ()
        found.append(runs)
    return (Narrow("words", tuple(found)),)


_STATES = {
    "studies": ("SELECT study AS id FROM study_list WHERE", "shown", "flagged"),
    "orders": ("SELECT id FROM orders WHERE", "state", "delivery_failed"),
}


def rows_of(narrow: Narrow, states_of: Literal["studies", "orders"], *, on_sqlite: bool) -> Rows:
    """The studies in question; for states, the studies whose newest order is in one of them, or the orders."""
    if narrow.kind == "states":
        return _by_state(narrow, *_STATES[states_of])
    if narrow.kind == "ids":
        return _by_identifier([one[0] for one in narrow.alternatives], on_sqlite=on_sqlite)
    return _with_words(narrow.alternatives, on_sqlite=on_sqlite)


def _by_state(narrow: Narrow, select: str, state: str, flag: str) -> Rows:
    states = [one[0] for one in narrow.alternatives if one[0] != FLAGGED]
    marks = ", ".join("{}" for _ in states)
    parts = [f"{select} {state} IN ({marks})"] if states else []
    values = states
    if len(states) < len(narrow.alternatives):
        parts.append(f"{select} {flag}" + (f" AND {state} || '' NOT IN ({marks})" if states else ""))
        values = states + states
    return Rows(" UNION ALL ".join(parts), tuple(values))


def _with_words(alternatives: tuple[tuple[str, ...], ...], *, on_sqlite: bool) -> Rows:
    if on_sqlite:
        wanted = " OR ".join(f"({_trigrams(runs)})" for runs in alternatives)
        # The text index knows rows by number; CROSS JOIN keeps SQLite from asking it once for each study.
        sql = "SELECT t.study AS id FROM study_words w CROSS JOIN study_texts t ON t.nr = w.rowid WHERE w.study_words MATCH {}"
        return Rows(sql, (wanted,))
    each = " OR ".join(f"({' AND '.join('t.body LIKE {}' for _ in runs)})" for runs in alternatives)
    return Rows(
        f"SELECT t.study AS id FROM study_texts t WHERE {each}", tuple(_like(run) for runs in alternatives for run in runs)
    )


def _trigrams(runs: tuple[str, ...]) -> str:
    """A query of the text index, which keeps no positions: the last few threes of characters, which tell most rows apart."""
    found = list(dict.fromkeys(run[start : start + 3] for run in runs for start in range(len(run) - 2)))
    return " AND ".join('"' + one.replace('"', '""') + '"' for one in found[-MOST_TRIGRAMS:])


def _like(run: str) -> str:
    escaped = run.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _by_identifier(digits: list[str], *, on_sqlite: bool) -> Rows:
    from appliance.records.lookup import dashed

    parts: list[str] = []
    values: list[object] = []
    for one in digits:
        begin = dashed(one)
        # A range instead of LIKE: it uses the primary key on both engines. "g" sorts after every hexadecimal digit.
        for table in ("SELECT id FROM studies", "SELECT study AS id FROM orders"):
            parts.append(f"{table} WHERE id >= {{}} AND id < {{}}")
            values += [begin, begin + "g"]
        parts.append("SELECT n.study AS id FROM reports m JOIN orders n ON n.id = m.order_id WHERE m.id >= {} AND m.id < {}")
        values += [begin, begin + "g"]
        ended = _with_words(((one[-8:],),), on_sqlite=on_sqlite)
        parts.append(ended.sql)
        values += ended.values
    return Rows(" UNION ".join(parts), tuple(values))
