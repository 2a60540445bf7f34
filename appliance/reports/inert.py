"""Makes text from outside harmless before it stands in any report: no control characters, no hidden direction changes.

Markup, templates and formulas need no removal, because no format interprets them: the PDF escapes its markup, JSON its quotes,
and nothing is ever evaluated.
"""

import unicodedata
from typing import Any, TypeVar

import msgspec

Report = TypeVar("Report", bound=msgspec.Struct)

_DROPPED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_SPACES = str.maketrans(dict.fromkeys("\t\n\r\x0b\x0c\x85\u2028\u2029", " "))
_JOINERS = "\u200c\u200d"
"""Zero-width joiners belong to the spelling of Persian and Indic names."""


def inert(text: str) -> str:
    """Text on one line without control, format (direction overrides, escape sequences) and unassigned characters."""
    spaced = text.translate(_SPACES)
    kept = "".join(one for one in spaced if one in _JOINERS or unicodedata.category(one) not in _DROPPED)
    return " ".join(kept.split())


def inert_struct(found: Report) -> Report:
    """The same struct with every text in it made inert."""
    return msgspec.convert(_walk(msgspec.to_builtins(found)), type(found))


def _walk(value: Any) -> Any:
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, list):
        return [_walk(one) for one in value]
    if isinstance(value, dict):
        # Paths are ours and must lead to their files.
        return {_walk(key): one if key == "path" else _walk(one) for key, one in value.items()}
    return value
