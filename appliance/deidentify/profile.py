"""What is done to every attribute, and why: the profile as data.

`table.TABLE` names single attributes, `GROUPS` whole groups, `BY_VR` all others. Engine and verifier read the same table; they
share nothing else. Private attributes have their own list (`private_tags`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from appliance.deidentify import ps315
from appliance.deidentify.dictionary import dictionary_vr
from appliance.deidentify.rules import Action, Kind, Rule
from appliance.deidentify.table import CLEAN, DATES, IMAGE, NAMES, PLACES, TABLE, TEXT

VERSION = "1"
SHIFTED = "safe-harbor-shifted"
PS315 = "ps3.15-basic"
DrawnText = Literal["declared", "block", "mask"]
ProfileName = Literal["safe-harbor-shifted", "safe-harbor", "ps3.15-basic"]
IDENTIFYING = frozenset({Kind.NAME, Kind.PLACE, Kind.CONTACT, Kind.IDENTIFIER})

STAYS_EMPTY = frozenset({0x00080020, 0x00080030, 0x00100030})
"""Dates and times that stay with zero length where the profile removes them (type 2)."""

SOFTWARE_VERSIONS = 0x00181020
PATIENT_ADDRESS = 0x00101040
BIRTH_DATE = 0x00100030
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
CLASS_TAGS = frozenset({0x00020002, 0x00020010, 0x00080016, 0x0008001A, 0x0008001B, 0x00080062, 0x0008115A, 0x00081150})
"""UID attributes that name a class or syntax of the standard, never an object."""
STANDARD_ROOT = b"1.2.840.10008."

GROUPS: Mapping[int, Rule] = {
    0x0010: Rule(Action.REMOVE, Kind.OTHER, "patient group: all that is not named above goes"),
    0x0012: Rule(Action.REMOVE, Kind.OTHER, "clinical trial: all that is not named above goes"),
    0x0032: Rule(Action.REMOVE, Kind.OTHER, "study request: the whole group goes"),
    0x0038: Rule(Action.REMOVE, Kind.OTHER, "visit: the whole group goes"),
}
KEPT_GROUPS = frozenset({0x0008, 0x0018, 0x0020, 0x0028, 0x0040, 0x0054, 0x2050, 0x5200, 0x7FE0})
_OUTSIDE = Rule(
    Action.REMOVE, Kind.OTHER, "no group that an image product reads (overlays, curves, documents, signatures, ...)"
)
_UNKNOWN = Rule(Action.REMOVE, Kind.OTHER, "not in the data dictionary, or encoded as something else than it says")
_PERSON = Rule(Action.REMOVE, Kind.NAME, NAMES)
_ORDER_TEXT = Rule(Action.REMOVE, Kind.TEXT, TEXT)

_SCRUBBED = Rule(Action.SCRUB, Kind.TEXT, CLEAN)
_KEPT = Rule(Action.KEEP, Kind.TECHNICAL, IMAGE)
_DATE = Rule(Action.SHIFT, Kind.DATE, DATES)
_GONE = Rule(Action.REMOVE, Kind.OTHER, "bytes or addresses without a known meaning")

BY_VR: Mapping[str, Rule] = {
    "PN": _PERSON,
    "UI": Rule(Action.REPLACE_UID, Kind.OTHER, "Safe Harbor 18: unique identifiers; references inside the study still resolve"),
    **dict.fromkeys(("DA", "DT", "TM"), _DATE),
    "AS": Rule(Action.MASK, Kind.OTHER, "Safe Harbor 3: ages over 89 become 90"),
    **dict.fromkeys(("SH", "LO", "ST", "LT", "UT", "UC"), _SCRUBBED),
    **dict.fromkeys(("CS", "DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "AT", "SV", "UV"), _KEPT),
    **dict.fromkeys(("AE", "UR", "OB", "OW", "OF", "OD", "OL", "OV", "UN"), _GONE),
    "SQ": Rule(Action.DESCEND, Kind.OTHER, "the profile holds for every item, to any depth"),
}
TEXT_VRS = frozenset({"AE", "CS", "SH", "LO", "ST", "LT", "UT", "UC", "PN", "UR", "AS", "DS", "IS"})
_PLAIN_TEXT = frozenset({"CS", "SH", "LO", "ST", "LT", "UT", "UC"})


@dataclass(frozen=True, slots=True)
class Profile:
    """The table under the settings of one run."""

    name: ProfileName
    shift_dates: bool
    date_shift_range_days: int
    mask_zip_codes: bool
    remove_software_versions: bool
    retain_device: bool = False
    drawn_text: DrawnText = "declared"
    leaves_out_others: bool = False
    """Objects that are no images are left out; otherwise one of them stops the study."""

    @classmethod
    def of(cls, section: Mapping[str, object]) -> "Profile":
        """The profile that a settings section asks for; switching dates off makes `safe-harbor` of the shifted one."""
        asked = section.get("profile", SHIFTED)
        shift = bool(section.get("shift_dates", True)) and asked in (SHIFTED, PS315)
        name: ProfileName = "safe-harbor-shifted" if shift else "safe-harbor"
        days = section.get("date_shift_range_days", 365)
        drawn = section.get("drawn_text", "declared")
        return cls(
            name="ps3.15-basic" if asked == PS315 else name,
            shift_dates=shift,
            date_shift_range_days=days if isinstance(days, int) else 365,
            mask_zip_codes=bool(section.get("mask_zip_codes", False)),
            remove_software_versions=bool(section.get("remove_software_versions", False)),
            retain_device=bool(section.get("retain_device_identity", False)),
            leaves_out_others=section.get("other_objects") == "leave-out",
            drawn_text="block" if drawn == "block" else "mask" if drawn == "mask" else "declared",
        )

    def rule(self, tag: int, vr: str) -> Rule:
        """What happens to a standard attribute of a data set (group 0008 and above) encoded as `vr`."""
        rule = _table_rule(tag, vr)
        if self.name == PS315 and rule not in (_OUTSIDE, _UNKNOWN):
            found = ps315.rule(tag, vr, rule, shift_dates=self.shift_dates, retain_device=self.retain_device)
            if found is not None:
                return found
        if tag == SOFTWARE_VERSIONS and self.remove_software_versions:
            return Rule(Action.REMOVE, Kind.OTHER, "the setting removes software versions")
        if tag == PATIENT_ADDRESS and self.mask_zip_codes:
            return Rule(Action.MASK, Kind.PLACE, PLACES)
        if rule.action is Action.SHIFT:
            return self._date_rule(tag, vr)
        return rule

    @property
    def codes(self) -> list[tuple[bytes, bytes]]:
        """How the output says what was done to it (PS3.16, CID 7050)."""
        found = [(b"113105", b"Clean Descriptors Option")]
        if self.name == PS315:
            found = [(b"113100", b"Basic Application Confidentiality Profile"), *found]
            found.append((b"113104", b"Clean Structured Content Option"))
            found += [(b"113109", b"Retain Device Identity Option")] if self.retain_device else []
        else:
            found.append((b"113108", b"Retain Patient Characteristics Option"))
        found += [(b"113101", b"Clean Pixel Data Option")] if self.drawn_text == "mask" else []
        if self.shift_dates:
            found.append((b"113107", b"Retain Longitudinal Temporal Information Modified Dates Option"))
        return [*found, (b"113111", b"Retain Safe Private Option")]

    def _date_rule(self, tag: int, vr: str) -> Rule:
        if not self.shift_dates:
            return Rule(Action.EMPTY if tag in STAYS_EMPTY else Action.REMOVE, Kind.DATE, DATES)
        return Rule(Action.KEEP, Kind.DATE, "times are kept while dates are shifted") if vr == "TM" else _DATE


@lru_cache(maxsize=8192)
def _table_rule(tag: int, vr: str) -> Rule:
    group = tag >> 16
    listed = TABLE.get(tag)
    if listed is not None:
        # A kept attribute that is encoded as something else than the dictionary says is not what it claims to be.
        return listed if listed.action in (Action.REMOVE, Action.EMPTY) or _fits(tag, vr) else _UNKNOWN
    if group in GROUPS:
        return _PERSON if vr == "PN" else GROUPS[group]
    if group not in KEPT_GROUPS or tag & 0xFFFF == 0:
        return _PERSON if vr == "PN" else _OUTSIDE
    if vr == "PN":
        return _PERSON
    if not _fits(tag, vr):
        return _UNKNOWN
    if group == 0x0040 and vr in _PLAIN_TEXT and vr != "CS":
        return _ORDER_TEXT
    return BY_VR.get(vr, _UNKNOWN)


def _fits(tag: int, vr: str) -> bool:
    expected = dictionary_vr(tag)
    return vr in expected.split(" or ") or (vr in _PLAIN_TEXT and expected in _PLAIN_TEXT)
