"""Compares one output file with its source, attribute by attribute, against the profile: the verifier's rules.

Every finding is a rule and a place (tags and item numbers), never a value.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from appliance.deidentify.dictionary import is_registered
from appliance.deidentify.ledger import Case
from appliance.deidentify.masked import expected
from appliance.deidentify.outline import Outline, opened
from appliance.deidentify.passport import MaskedRegion
from appliance.deidentify.private_tags import ALLOWED, CSA_IMAGE, CSA_SERIES, NUMERIC, allowed, creator_key
from appliance.deidentify.profile import BIRTH_DATE, CLASS_TAGS, PATIENT_ADDRESS, STANDARD_ROOT, Profile
from appliance.deidentify.rules import Action
from appliance.deidentify.search import Search
from appliance.deidentify.walker import Leaf, Place

Finding = tuple[str, str]
"""Rule and place."""

_META = frozenset({0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013})
_META_VALUES = {
    0x00020001: b"\x01",
    0x00020012: b"2.25.290619771964219519802688460155320110418",
    0x00020013: b"RANVIER",
}
_OURS = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
_CODES = {
    0x00080100: frozenset({b"113100", b"113101", b"113104", b"113105", b"113107", b"113108", b"113109", b"113111"}),
    0x00080102: frozenset({b"DCM"}),
    0x00080104: frozenset(
        {
            b"Basic Application Confidentiality Profile",
            b"Clean Descriptors Option",
            b"Clean Pixel Data Option",
            b"Clean Structured Content Option",
            b"Retain Device Identity Option",
            b"Retain Longitudinal Temporal Information Modified Dates Option",
            b"Retain Patient Characteristics Option",
            b"Retain Safe Private Option",
        }
    ),
}
_DUMMIES = frozenset({b"REMOVED", b"19000101", b"19000101000000", b"000000", b"0"})
_BINARY = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "AT", "SV", "UV"})
_WORDS = frozenset({"CS", "SH", "LO", "ST", "LT", "UT", "UC"})
_AGE = re.compile(rb"^(\d{3})([DWMY]) *$")
_FIGURES = re.compile(rb"^[-+.\deE\\ \0]*$")
_ENTRY = 84


def written(place: Place) -> str:
    """A place as people read it: (0008,1140)[0](0008,1155)."""
    return "".join(f"({part >> 16:04X},{part & 0xFFFF:04X})" if part > 0xFFFF else f"[{part}]" for part in place)


class Moved(NamedTuple):
    """What has to be the same in all files of a study."""

    uids: dict[bytes, bytes]
    """Of the source -> in the output."""
    days: int | None
    """By how many days the dates moved."""


def contradictions(parts: list[Moved]) -> Iterator[str]:
    """What is wrong between parts of a study that were judged apart."""
    if len({part.days for part in parts if part.days is not None}) > 1:
        yield "dates are shifted differently"
    pairs = {pair for part in parts for pair in part.uids.items()}
    if len(pairs) > len({old for old, _ in pairs}) or len(pairs) > len({new for _, new in pairs}):
        yield "UID is replaced in two ways"


class Checks:
    """The rules for the files of one study; remembers what was judged and what must agree between files."""

    def __init__(self, profile: Profile, search: Search, source_uids: set[bytes], *, over_89: bool) -> None:
        self._profile = profile
        self._search = search
        self._source_uids = source_uids
        self._over_89 = over_89
        self._uids: dict[bytes, bytes] = {}
        self._taken: dict[bytes, bytes] = {}
        self._days: int | None = None
        self._sound: set[tuple[int, str, str, bytes, bytes, bytes, bool]] = set()

    @property
    def moved(self) -> Moved:
        """What the files judged so far have in common."""
        return Moved(self._uids, self._days)

    def judge(self, case: Case) -> list[Finding]:
        """Everything that is wrong with one element; raises `Unaccounted` when it cannot be opened."""
        context, before, after = case
        originals = opened(before, context.source_syntax, context.source_creators) if before is not None else []
        leaves = opened(after, context.output_syntax, context.output_creators) if after is not None else []
        return [*self._completeness(originals, leaves), *self._opened(originals, leaves, context.charset)]

    def _opened(self, originals: list[Leaf], leaves: list[Leaf], charset: bytes) -> Iterator[Finding]:
        before = {leaf.place: leaf for leaf in originals}
        charsets = {leaf.place[:-1]: leaf.value.strip(b"\0 ") for leaf in leaves if leaf.tag == 0x00080005}
        charsets.setdefault((), charset)
        for leaf in leaves:
            yield from self._judged(leaf, before.get(leaf.place), _charset(charsets, leaf.place))

    def _completeness(self, originals: list[Leaf], leaves: list[Leaf]) -> Iterator[Finding]:
        places = {leaf.place for leaf in leaves}
        if len(places) != len(leaves):
            yield "an attribute stands twice", "data set"
        gone: list[Place] = []
        for leaf in originals:
            if any(leaf.place[: len(above)] == above for above in gone[-1:]):
                continue
            if leaf.place in places:
                if leaf.items > 0 and self._profile.rule(leaf.tag, leaf.vr).action is Action.EMPTY:
                    gone.append(leaf.place)
                continue
            if leaf.items >= 0:
                gone.append(leaf.place)
            if leaf.tag >> 16 & 1 or leaf.vr == "UN":
                continue
            action = self._profile.rule(leaf.tag, leaf.vr).action
            nested_pixels = leaf.tag >> 16 == 0x7FE0 and len(leaf.place) > 1
            if action is not Action.REMOVE and not nested_pixels:
                yield "attribute is missing", written(leaf.place)

    def _judged(self, leaf: Leaf, original: Leaf | None, charset: bytes) -> list[Finding]:
        before = original.value if original else b""
        key = (leaf.tag, leaf.vr, leaf.creator, before, leaf.value, charset, len(leaf.place) > 1)
        if original is not None and original.vr == leaf.vr and leaf.items < 0 and key in self._sound:
            return []
        where = written(leaf.place)
        found = [(rule, where) for rule in self._broken(leaf, original, charset)]
        if not found and original is not None and original.vr == leaf.vr:
            self._sound.add(key)
        return found

    def _broken(self, leaf: Leaf, original: Leaf | None, charset: bytes) -> Iterator[str]:
        if leaf.tag >> 16 == 0x7FE0 and len(leaf.place) > 1:
            yield "pixels inside a sequence"
            return
        if leaf.place[0] in _OURS:
            yield from self._ours(leaf)
            return
        if original is None:
            yield "attribute is not in the source"
            return
        if leaf.tag >> 16 & 1:
            yield from self._private(leaf, original, charset)
            return
        rule = self._profile.rule(leaf.tag, leaf.vr)
        if leaf.vr != original.vr:
            yield "VR differs from the source"
        if rule.action is Action.REMOVE:
            yield "attribute must not be there"
        elif rule.action is Action.EMPTY or (leaf.tag == BIRTH_DATE and self._over_89):
            if leaf.value or leaf.items > 0:
                yield "attribute must be empty"
        elif rule.action is Action.DESCEND:
            if leaf.items != original.items:
                yield "items differ from the source"
        else:
            yield from self._value(leaf, original.value, rule.action, charset)

    def _value(self, leaf: Leaf, before: bytes, action: Action, charset: bytes) -> Iterator[str]:
        if action is Action.DUMMY:
            if leaf.value.strip(b" \0") not in _DUMMIES | {b""}:
                yield "value is no dummy"
        elif action is Action.REPLACE_UID:
            yield from self._replaced(leaf.tag, before, leaf.value)
        elif action is Action.SHIFT:
            yield from self._shifted(before, leaf.value)
        elif action is Action.MASK:
            yield from self._masked(leaf, before)
        elif leaf.vr in _WORDS:
            yield from self._words(leaf, before, charset, technical=action is Action.KEEP)
        elif leaf.vr in ("DS", "IS"):
            if leaf.value != before and (leaf.value or _FIGURES.match(before)):
                yield "value differs from the source"
            elif not _FIGURES.match(leaf.value) or self._search.equals(leaf.value):
                yield "identity: identifier"
        elif leaf.value != before and (leaf.value or leaf.vr not in ("TM", "UI")):
            yield "value differs from the source"
        elif leaf.vr in ("TM", "UI") and leaf.value.strip(b"0123456789.:\\ \0-"):
            yield "value is not what its VR says"
        elif leaf.vr not in ("TM", "UI") and self._search.in_bytes(leaf.value):
            yield "identity: bytes"

    def _words(self, leaf: Leaf, before: bytes, charset: bytes, *, technical: bool) -> Iterator[str]:
        if leaf.value != before and not _is_scrubbed(leaf.vr, before, leaf.value):
            yield "value differs from the source"
        yield from self._search.hits(leaf.value, charset, technical=technical)

    def _replaced(self, tag: int, before: bytes, after: bytes) -> Iterator[str]:
        old, new = (value.rstrip(b"\0 ").split(b"\\") for value in (before, after))
        if len(old) != len(new):
            yield "UID differs in number from the source"
            return
        for one, other in zip(old, new, strict=True):
            if one == other and (not one or _well_known(tag, one)):
                continue
            if not other.startswith(b"2.25.") or other in self._source_uids:
                yield "UID is not replaced"
            elif self._uids.setdefault(one, other) != other or self._taken.setdefault(other, one) != one:
                yield "UID is replaced in two ways"

    def _shifted(self, before: bytes, after: bytes) -> Iterator[str]:
        old, new = (value.decode("latin-1").rstrip("\0 ").split("\\") for value in (before, after))
        if len(old) != len(new):
            yield "date differs in number from the source"
            return
        for one, other in zip(old, new, strict=True):
            day, moved = _day(one), _day(other)
            if not other.strip():
                if day is not None and 1900 < day.year < 9000:
                    yield "date is missing"
                continue
            if day is None or moved is None:
                yield "date is not shifted"
                continue
            days = (moved - day).days
            self._days = days if self._days is None else self._days
            if not 0 < abs(days) <= self._profile.date_shift_range_days:
                yield "date is not shifted"
            elif days != self._days:
                yield "dates are shifted differently"
            elif other.strip()[8:] != re.split(r"[+-]", one.strip()[8:])[0] and "." not in one[:8]:
                yield "time differs from the source"

    def _masked(self, leaf: Leaf, before: bytes) -> Iterator[str]:
        if leaf.tag == PATIENT_ADDRESS:
            text = leaf.value.strip(b" ")
            if text and not (len(text) == 5 and text.isdigit() and text.endswith(b"00")):
                yield "address is not masked"
            return
        age = _AGE.match(leaf.value)
        if not leaf.value.strip(b" "):
            return
        if age is None or (age[2] == b"Y" and int(age[1]) > 90):
            yield "age is not one of PS3.5, or over 90"
        elif self._over_89 and leaf.value.strip(b" ") != b"090Y":
            yield "age over 89 is not 090Y"
        elif not self._over_89 and _AGE.match(before) and before.strip(b" ") != leaf.value.strip(b" "):
            yield "value differs from the source"

    def _ours(self, leaf: Leaf) -> Iterator[str]:
        expected = {0x00120062: b"YES", 0x00280303: b"MODIFIED" if self._profile.shift_dates else b"REMOVED"}
        text = leaf.value.strip(b" ")
        if leaf.place[0] in expected:
            sound = text == expected[leaf.place[0]] and leaf.items < 0
        elif leaf.place[0] == 0x00120063:
            sound = bool(re.fullmatch(rb"Ranvier " + re.escape(self._profile.name.encode()) + rb" \d{1,4}", text))
        else:
            sound = leaf.items >= 0 or text in _CODES.get(leaf.tag, frozenset())
        if not sound:
            yield "de-identification is not stated as it should be"

    def _private(self, leaf: Leaf, original: Leaf, charset: bytes) -> Iterator[str]:
        group, number = leaf.tag >> 16, leaf.tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            if creator_key(group, leaf.creator) not in ALLOWED:
                yield "private creator is not on the list"
            return
        form = allowed(group, leaf.creator, number)
        if not form:
            yield "private attribute is not on the list"
        elif form == "SQ":
            if leaf.items != original.items:
                yield "items differ from the source"
        elif leaf.items >= 0:
            yield "private attribute is no sequence"
        elif form in (CSA_IMAGE, CSA_SERIES):
            yield from csa_findings(leaf.value)
            yield from self._search.hits(leaf.value, b"", technical=False)
        elif form in NUMERIC:
            if leaf.value != original.value or (leaf.vr not in _BINARY and leaf.vr != "UN" and not _FIGURES.match(leaf.value)):
                yield "private number differs from the source or is none"
            elif form in ("DS", "IS") and (not _FIGURES.match(leaf.value) or self._search.equals(leaf.value)):
                yield "identity: identifier"
            elif self._search.in_bytes(leaf.value):
                yield "identity: bytes"
        else:
            yield from self._words(leaf, original.value, charset, technical=False)


def envelope(source: Outline, output: Outline, masked: Sequence[MaskedRegion] = ()) -> Iterator[Finding]:
    """What is wrong with one output file outside its data set, and with its pixel data, of which `masked` may differ."""
    if any(output.preamble):
        yield "preamble is not empty", "preamble"
    if output.tail.strip(b"\0") or len(output.tail) > 1:
        yield "bytes outside elements", "end of file"
    if not output.ordered:
        yield "an attribute stands twice or out of order", "data set"
    if output.syntax != source.syntax:
        yield "transfer syntax differs from the source", "(0002,0010)"
    same = {0x00020002: 0x00080016, 0x00020003: 0x00080018}
    for leaf in output.meta:
        if leaf.tag not in _META:
            yield "attribute must not be there", written(leaf.place)
        elif leaf.tag in same and leaf.value != output.value(same[leaf.tag]):
            yield "file meta contradicts the data set", written(leaf.place)
        elif leaf.tag in _META_VALUES and leaf.value.strip(b"\0 ") != _META_VALUES[leaf.tag]:
            yield "file meta is not ours", written(leaf.place)
    yield from (("de-identification is not stated", written((tag,))) for tag in sorted(_OURS) if output.part(tag) is None)
    yield from _pixels(source, output, masked)


def _pixels(source: Outline, output: Outline, masked: Sequence[MaskedRegion]) -> Iterator[Finding]:
    for tag in source.pixels.keys() - output.pixels.keys():
        yield "attribute is missing", written((tag,))
    for tag, (vr, start, stop) in output.pixels.items():
        original = source.pixels.get(tag)
        before = source.data[original[1] : original[2]] if original is not None else b""
        if masked:
            before = expected(source, before, masked)
        if original is None or original[0] != vr or before != output.data[start:stop]:
            yield "pixel data differs from the source", written((tag,))


def csa_findings(value: bytes) -> Iterator[str]:
    """What a rebuilt Siemens header may not hold: anything between its values, anything that is no number or short code."""
    if value[:8] != b"SV10\x04\x03\x02\x01":
        yield "CSA header has no known form"
        return
    position = 16
    for _ in range(int.from_bytes(value[8:12], "little")):
        name, spare = _cut(value[position : position + 64])
        items = int.from_bytes(value[position + 76 : position + 80], "little")
        if spare or not re.fullmatch(rb"[A-Za-z_]{1,40}", name):
            yield "CSA header holds more than it says"
            return
        position += _ENTRY
        for _ in range(items):
            length = int.from_bytes(value[position + 4 : position + 8], "little")
            room = (length + 3) // 4 * 4
            text, spare = _cut(value[position + 16 : position + 16 + room])
            if spare or position + 16 + room > len(value) or not _csa_text(text):
                yield "CSA header holds more than numbers"
                return
            position += 16 + room
    if value[position:].strip(b"\0"):
        yield "CSA header holds more than it says"


def _charset(known: dict[Place, bytes], place: Place) -> bytes:
    """The Specific Character Set that holds at a place: its own data set's, or the nearest above."""
    if len(known) == 1 and () in known:
        return known[()]
    return next((known[place[:end]] for end in range(len(place) - 1, -1, -1) if place[:end] in known), b"")


def _is_scrubbed(vr: str, before: bytes, after: bytes) -> bool:
    """Whether a changed text is a cleaned one: coded values are whole or empty, others hold a mark (cut at most)."""
    if not after.strip(b"\\ "):
        return True
    if vr == "CS":
        pairs = zip(before.rstrip(b" ").split(b"\\"), after.rstrip(b" ").split(b"\\"), strict=False)
        return all(not new or new == old for old, new in pairs)
    return after.count(b"[") > before.count(b"[")


def _cut(field: bytes) -> tuple[bytes, bytes]:
    text, _, rest = field.partition(b"\0")
    return text, rest.strip(b"\0")


def _csa_text(text: bytes) -> bool:
    if text.startswith(b"### ASCCONV BEGIN ###\n"):
        return all(re.fullmatch(rb"[\w.\[\]]+\t = \t[-+.xXa-fA-F\d]{1,30}", line) for line in text.split(b"\n")[1:-2])
    return bool(re.fullmatch(rb"[-+.eE\d]*|[A-Z]{2,12}|p\d{1,2}", text))


def _well_known(tag: int, uid: bytes) -> bool:
    return uid.startswith(STANDARD_ROOT) and (tag in CLASS_TAGS or is_registered(uid))


def _day(text: str) -> date | None:
    figures = text.strip().replace(".", "", 2)[:8] if "." in text[:8] else text.strip()[:8]
    try:
        return date(int(figures[:4]), int(figures[4:6]), int(figures[6:8])) if len(figures) == 8 and figures.isdigit() else None
    except ValueError:
        return None
