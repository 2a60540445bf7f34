"""Writes the documentation's tables from the code: `python -m tests.house.tables --write`; without `--write` it compares.

A page is hers who reads it: an introduction in words here, then what the code says. The pages lie in `appliance/docs`, and
README.md has some of the tables between marks.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any

from appliance import errors
from appliance.events import catalogue as all_events
from appliance.products import catalogue as all_products
from appliance.settings import schema, section_types
from appliance.states import (
    DELIVERY_FACTS,
    ORDER_FACTS,
    STUDY_FACTS,
    Facts,
    IllegalMove,
    check_delivery_move,
    check_order_move,
    check_study_move,
    order_moves,
)
from tests.house import deidentification, quality, report_schema, roles
from tests.house.catalogue import CARRIERS, every_error, sentence
from tests.house.tree import ROOT

DOCS = ROOT / "appliance" / "docs"
NOTE = "<!-- Written by `python -m tests.house.tables --write`; change the code, not this page. -->\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)]
    texts = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([texts[0], "|" + "---|" * len(lines[0]), *texts[1:]]) + "\n"


def _code(value: object) -> str:
    text = str(value)
    return f"`{text}`" if text else ""


# --- settings -------------------------------------------------------------------------------------------------------

_WORDS = {
    "x-recommended": "recommended: {}",
    "x-applies-when": "only with `{}`",
    "x-unavailable": "not available: {}",
    "x-restart": "restarts `{}`",
}


def _bounds(described: Mapping[str, Any]) -> str:
    low, high, unit = described.get("minimum"), described.get("maximum"), described.get("x-unit", "")
    span = f"{low} to {high}" if low is not None and high is not None else f"from {low}" if low is not None else ""
    return " ".join(word for word in (span, unit) if word)


def _kind(described: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if "enum" in described:
        return ", ".join(_code(one) for one in described["enum"])
    if described.get("format") == "password":
        return "secret"
    if described.get("type") == "array":
        most = f"up to {described['maxItems']} " if "maxItems" in described else "list of "
        return most + _kind(described["items"], definitions)
    if "$ref" in described:
        return str(definitions[described["$ref"].rpartition("/")[2]].get("description", "value"))
    if "anyOf" in described:
        return " or ".join(_kind(one, definitions) for one in described["anyOf"])
    names = {"string": "text", "integer": "number", "boolean": "on or off", "number": "number", "object": "table"}
    word = described.get("x-widget", "").replace("-", " ") or names.get(described.get("type", ""), "value")
    return f"{word}, {_bounds(described)}" if _bounds(described) else word


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(_code(one) for one in value) or "none"
    return _code(value) or "empty"


def _section_rows(
    properties: Mapping[str, Any], definitions: Mapping[str, Any], required: Iterable[str]
) -> Iterable[list[str]]:
    for name, described in properties.items():
        if "title" not in described:
            continue
        notes = [words.format(described[key]) for key, words in _WORDS.items() if described.get(key)]
        help_text = " ".join([described.get("description", ""), *([f"({'; '.join(notes)})"] if notes else [])])
        default = "must be given" if name in set(required) else _default(described.get("default", ""))
        yield [described["title"], _code(name), _kind(described, definitions), default, help_text.strip()]


def settings_page() -> str:
    """Every section with its fields, then what a list entry can be."""
    definitions = schema()["$defs"]
    head = ("setting", "name", "value", "default", "what it does")
    parts = [
        "# Settings\n",
        "Every setting has a default; the wizard of `ranvier init` asks only for those that differ from site to site.",
        "Change them in the console (Settings), by the API or in a file of answers. A saved change is a new version;",
        "the versions before it stay. Secrets can be written and never read back. What this version does not read yet is",
        "listed as not available, with the reason, and cannot be changed.\n",
    ]
    kinds = section_types()
    for name, kind in kinds.items():
        described = definitions[kind.__name__]
        parts.append(f"## {described['description']} (`{name}`)\n")
        parts.append(_table(head, _section_rows(described["properties"], definitions, described.get("required", ()))))
    used = {kind.__name__ for kind in kinds.values()} | {"Settings"}
    for name in sorted(set(definitions) - used):
        described = definitions[name]
        rows = list(_section_rows(described.get("properties", {}), definitions, described.get("required", ())))
        if rows:
            parts.append(f"## One entry of a list: {described['description']}\n")
            parts.append(_table(head, rows))
    return "\n".join(parts)


# --- states, events, errors -----------------------------------------------------------------------------------------------


def _marks(facts: Facts) -> str:
    words = {"ends here": facts.terminal, "can be tried again": facts.retryable, "waits for a person": facts.needs_person}
    return ", ".join([*(["at work"] if facts.active else []), *(word for word, holds in words.items() if holds)])


def _moves(check: Callable[[Any, Any], None], old: StrEnum, states: Iterable[StrEnum]) -> list[StrEnum]:
    found = []
    for new in states:
        try:
            check(old, new)
        except IllegalMove:
            continue
        found.append(new)
    return found


def _state_table(facts: Mapping[Any, Facts], check: Callable[[Any, Any], None]) -> str:
    rows = (
        [
            _code(state),
            one.word,
            _code(f"status:{one.filter_word}"),
            _marks(one),
            ", ".join(map(str, _moves(check, state, facts))),
        ]
        for state, one in facts.items()
    )
    return _table(("state", "console", "filter", "what it means for you", "goes on to"), rows)


def order_diagram() -> str:
    """The order table as a Mermaid diagram; ends that every state can reach are left out."""
    ends = {"FAILED", "CANCELLED", "EXPIRED"}
    lines = [f"    {old} --> {new}" for old, moves in order_moves().items() for new in sorted(moves) if not {old, new} & ends]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> QC", *lines, "    DELIVERED --> [*]", "```"]) + "\n"


def states_page() -> str:
    """Studies, orders and deliveries, with every move."""
    return "\n".join(
        [
            "# States\n",
            "A *study* is received; an *order* is work on a study; each report of it has one *delivery* for each destination.",
            "Every order at work can also end as FAILED, CANCELLED or EXPIRED, which the diagram leaves out.\n",
            order_diagram(),
            "## Orders\n",
            _state_table(ORDER_FACTS, check_order_move),
            "## Studies\n",
            _state_table(STUDY_FACTS, check_study_move),
            "## Deliveries\n",
            _state_table(DELIVERY_FACTS, check_delivery_move),
        ]
    )


def events_page() -> str:
    """Every event with its sentence."""
    rows = ([kind.title, _code(name), kind.severity, kind.sentence] for name, kind in sorted(all_events().items()))
    return "\n".join(
        [
            "# Events\n",
            "Whatever happens is one row with a sequence number: the timeline of a study, the live stream and the",
            "notifications read the same rows. No event holds a patient's value.\n",
            _table(("event", "name", "severity", "sentence"), rows),
        ]
    )


_NEXT: tuple[tuple[type[errors.RanvierError], str], ...] = (
    (errors.Failed, "The order ends, and a failure report says why"),
    (errors.NeedsPerson, "The order waits until somebody has looked"),
    (errors.Retry, "It is tried again by itself"),
    (errors.Misconfigured, "A setting must be changed"),
    (errors.Rejected, "The request is refused; nothing was stored"),
    (errors.Denied, "You may not do this"),
    (errors.Conflict, "It has changed meanwhile"),
    (errors.Unknown, "There is no such thing"),
)


def _fate(kind: type[errors.RanvierError]) -> int:
    return next((number for number, (base, _) in enumerate(_NEXT) if issubclass(kind, base)), len(_NEXT))


def errors_page() -> str:
    """Every code, by what happens next."""
    parts = [
        "# Errors\n",
        "The code of an error is the same in the console, in API answers, in events and in the log. Errors are sorted here",
        "by what happens next. Words in braces are filled in where the error is shown.\n",
    ]
    known = sorted((kind for kind in every_error() if kind.__name__ not in CARRIERS), key=lambda kind: (_fate(kind), kind.code))
    for number, group in groupby(known, key=_fate):
        parts.append(f"## {_NEXT[number][1]}\n")
        parts.append(
            _table(("code", "what it says", "what you can do"), ([_code(k.code), sentence(k), k.next_step] for k in group))
        )
    return "\n".join(parts)


# --- quality control and products --------------------------------------------------------------------------------------------


def products_table() -> str:
    """The products of this version."""
    rows = ([one.title, _code(one.id), one.version, one.intended_use] for one in all_products().values())
    return _table(("product", "id", "version", "what it is for"), rows)


def settings_table() -> str:
    """The sections of the settings, for the table of contents."""
    rows = (
        [
            definition["description"],
            _code(name),
            ", ".join(one.get("title", key) for key, one in definition["properties"].items()),
        ]
        for name, kind in section_types().items()
        for definition in [schema()["$defs"][kind.__name__]]
    )
    return _table(("section", "name", "settings"), rows)


def order_table() -> str:
    """The states of an order in short."""
    return _table(
        ("state", "console", "what it means for you"), ([_code(s), f.word, _marks(f)] for s, f in ORDER_FACTS.items())
    )


PAGES: dict[str, Callable[[], str]] = {
    "roles.md": roles.page,
    "settings.md": settings_page,
    "states.md": states_page,
    "events.md": events_page,
    "errors.md": errors_page,
    "checks.md": quality.page,
    "deidentification-tables.md": deidentification.page,
    "report-schema.md": report_schema.page,
}
IN_README: dict[str, Callable[[], str]] = {"states": order_table, "settings": settings_table, "products": products_table}


def page(name: str) -> str:
    """The text of one page as the code has it now."""
    return NOTE + "\n" + PAGES[name]().rstrip("\n") + "\n"


def readme_with_tables(text: str) -> str:
    """A README with its marked tables as the code has them now."""
    for name, make in IN_README.items():
        before, mark, rest = text.partition(f"<!-- table: {name} -->")
        if mark:
            _, end, after = rest.partition("<!-- end of table -->")
            text = f"{before}{mark}\n\n{make()}\n{end}{after}"
    return text


def stale() -> list[Path]:
    """The files that are not as the code has them."""
    readme = ROOT / "README.md"
    found = [DOCS / name for name in PAGES if not (DOCS / name).exists() or (DOCS / name).read_text() != page(name)]
    return found + ([readme] if readme.read_text() != readme_with_tables(readme.read_text()) else [])


def main(arguments: list[str]) -> int:
    """Writes or compares; 1 when a file was not as the code has it and may not be written."""
    if arguments == ["--write"]:
        DOCS.mkdir(exist_ok=True)
        for name in PAGES:
            (DOCS / name).write_text(page(name))
        (ROOT / "README.md").write_text(readme_with_tables((ROOT / "README.md").read_text()))
        return 0
    for path in stale():
        print(f"{path.relative_to(ROOT)} is not as the code has it: python -m tests.house.tables --write")
    return 1 if stale() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
