"""The Basic Application Level Confidentiality Profile (PS3.15, Annex E) with options, from Table E.1-1 as data.

`e1_1.json` is made by `tests/house/confidentiality.py`, never by hand. Where the table leaves a choice that depends on the
object (X/Z, X/D, ...), the action that is valid for every type of attribute is taken: empty, or a dummy value.
"""

import json
from functools import lru_cache
from pathlib import Path

from appliance.deidentify.rules import Action, Kind, Rule

_DATES = frozenset({"DA", "DT", "TM"})
_CLEANABLE = frozenset({Action.SCRUB, Action.KEEP, Action.DESCEND})
_TEXT = frozenset({"CS", "SH", "LO", "ST", "LT", "UT", "UC"})
DUMMIES: dict[str, bytes] = {
    **dict.fromkeys(("CS", "SH", "LO", "ST", "LT", "UT", "UC", "PN", "AE"), b"REMOVED"),
    "DA": b"19000101",
    "DT": b"19000101000000",
    "TM": b"000000",
    "DS": b"0",
    "IS": b"0",
}
"""What stands where the table wants a value of its own (D)."""


@lru_cache(maxsize=1)
def listed() -> dict[int, tuple[str, dict[str, str] | None]]:
    """Tag -> action of the Basic Profile, and option -> K or C; None for attributes younger than the options' edition."""
    raw = json.loads((Path(__file__).parent / "e1_1.json").read_text(encoding="ascii"))
    return {int(tag, 16): (action, options) for tag, (action, options) in raw.items()}


def rule(tag: int, vr: str, own: Rule, *, shift_dates: bool, retain_device: bool) -> Rule | None:
    """What the profile does with an attribute of the table; None for one that it does not list.

    `own` is the rule of our own table: what that removes is not cleaned, because no cleaning of free text is certain.
    """
    if tag not in listed():
        return None
    basic, known = listed()[tag]
    options = known or {}
    if vr in _DATES and shift_dates and (known is None or "modified dates" in options):
        action = Action.KEEP if vr == "TM" else Action.SHIFT
        return Rule(action, Kind.DATE, f"Table E.1-1: {basic}; Retain Longitudinal Temporal Information, modified dates")
    if retain_device and options.get("device identity") == "K":
        action = Action.REPLACE_UID if vr == "UI" else Action.DESCEND if vr == "SQ" else Action.KEEP
        return Rule(action, Kind.TECHNICAL, f"Table E.1-1: {basic}; Retain Device Identity")
    if own.action in _CLEANABLE and options.get("clean descriptors") == "C" and vr in _TEXT | {"SQ"}:
        action = Action.DESCEND if vr == "SQ" else Action.SCRUB
        return Rule(action, Kind.TEXT, f"Table E.1-1: {basic}; Clean Descriptors")
    if options.get("clean structured content") == "C" and vr == "SQ":
        return Rule(Action.DESCEND, own.kind, f"Table E.1-1: {basic}; Clean Structured Content")
    return Rule(_basic(basic, vr, own), own.kind, f"Table E.1-1: {basic}")


def _basic(action: str, vr: str, own: Rule) -> Action:
    if vr == "UI" and ("U" in action or "D" in action):
        return Action.REPLACE_UID
    if vr == "SQ" and own.action is Action.DESCEND and ("U" in action or "D" in action):
        return Action.DESCEND
    # A sequence without items is valid nearly nowhere (PS3.3); people and places in sequences have codes that nothing cleans.
    if action == "X" or (vr == "SQ" and ("X" in action or own.action is Action.REMOVE)):
        return Action.REMOVE
    if "D" in action and vr in DUMMIES:
        return Action.DUMMY
    return Action.EMPTY
