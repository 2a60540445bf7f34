"""What can happen to a value, what a value can be about, and a line of the profile."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What happens to a value."""

    KEEP = "keep"
    SCRUB = "scrub text"
    REMOVE = "remove"
    EMPTY = "empty"
    SHIFT = "shift date"
    REPLACE_UID = "replace UID"
    MASK = "mask"
    DUMMY = "dummy value"
    DESCEND = "descend"
    """A sequence stays; the profile holds for its items."""


class Kind(StrEnum):
    """What the value is about; the source values of identifying kinds are searched for in the output."""

    NAME = "name"
    PLACE = "place"
    CONTACT = "contact"
    IDENTIFIER = "identifier"
    DATE = "date"
    TEXT = "text"
    TECHNICAL = "technical"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the profile."""

    action: Action
    kind: Kind
    reason: str
