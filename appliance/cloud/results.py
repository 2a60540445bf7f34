"""Numbers in a result of the cloud, in every shape that its editions and hubs write."""

import json
import math
import re
from typing import Any

import msgspec

_NAME = re.compile(r"[^a-z0-9]+")


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a result."""

    name: str
    label: str
    value: float | None
    unit: str = ""
    note: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a JSON result says; no numbers when it is of no known shape."""

    numbers: list[Number] = []
    notes: list[str] = []
    version: str = ""
    """Of the model at the cloud, where it says so."""


def read(body: bytes) -> Found:
    """The vendor's `results` or `result` (scalars or objects with `value`), or the sections of a hub's report."""
    try:
        told = json.loads(body)
    except ValueError:
        return Found()
    if not isinstance(told, dict):
        return Found()
    version = str(told.get("mlVersion", ""))[:64]
    named = told.get("results", told.get("result"))
    if isinstance(named, dict):
        return Found(numbers=[_number(str(name), value) for name, value in named.items()], version=version)
    sections = told.get("sections")
    if isinstance(sections, list):
        return _sections([one for one in sections if isinstance(one, dict)])
    return Found(version=version)


def _number(name: str, told: Any) -> Number:
    inside = told if isinstance(told, dict) else {"value": told}
    note = str(inside.get("description", ""))[:300]
    return Number(name=_plain(name), label=name[:80], value=_float(inside.get("value")), note=note)


def _sections(sections: list[dict[str, Any]]) -> Found:
    numbers = [
        Number(
            name=_plain(str(row.get("name", ""))),
            label=str(row.get("label", ""))[:80],
            value=_float(row.get("value")),
            unit=str(row.get("unit", ""))[:32],
            note=str(row.get("note", ""))[:300],
        )
        for section in sections
        for row in section.get("rows", [])
        if isinstance(row, dict)
    ]
    notes = [str(note)[:500] for section in sections for note in section.get("notes", [])]
    versions = [str(section.get("version", ""))[:64] for section in sections]
    return Found(numbers=numbers, notes=notes, version=", ".join(one for one in versions if one))


def _plain(name: str) -> str:
    return _NAME.sub("_", name.lower()).strip("_")[:64] or "value"


def _float(told: Any) -> float | None:
    """A number that may come as text; None for what is none."""
    try:
        found = float(told) if isinstance(told, int | float | str) and not isinstance(told, bool) else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None
