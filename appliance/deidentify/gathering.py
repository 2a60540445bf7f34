"""What the verifier takes from the source: every value that tells who the patient is, and whether the patient is over 89."""

from appliance.deidentify.charsets import texts
from appliance.deidentify.outline import Outline, Stretch, opened
from appliance.deidentify.profile import BIRTH_DATE, IDENTIFYING, STANDARD_ROOT, TEXT_VRS, Profile
from appliance.deidentify.rules import Action, Kind
from appliance.deidentify.search import Wanted
from appliance.deidentify.walker import Leaf

OLDEST = 89
_AGE, _STUDY_DATE, _CHARSET = 0x00101010, 0x00080020, 0x00080005
_MACHINE = frozenset({0x00080070, 0x00081090})
_TITLES = frozenset({0x00020016, 0x00020017, 0x00020018})
_NO_OBJECT = frozenset({0x00080016, 0x00020012, 0x0008010C, 0x00080117, 0x00080118})
_GOES = frozenset({Action.REMOVE, Action.EMPTY, Action.MASK, Action.DUMMY})


class Gathering:
    """Reads what identifies out of the source."""

    def __init__(self, profile: Profile, given: dict[str, str]) -> None:
        self.wanted = Wanted()
        self.over_89 = _years(given.get("age", "").encode()) > OLDEST
        self._profile = profile
        self._seen: set[tuple[int, str, bytes, bytes]] = set()
        self._opened: dict[tuple[str, bytes], tuple[set[bytes], set[Stretch]]] = {}

    def add(self, source: Outline) -> None:
        """Takes the values of one source file; raises `Unaccounted`."""
        for leaf in source.meta:
            if leaf.tag in _TITLES:
                self.wanted.value(leaf.value.decode("latin-1"), Kind.IDENTIFIER)
            self._take(leaf, b"")
        declared = source.part(_CHARSET) or b""
        known, stretches = self._opened.setdefault((source.syntax, declared), (set(), set()))
        fresh = [part for part in source.loose.values() if part not in known]
        for stretch in source.stretches:
            if stretch not in stretches:
                stretches.add(stretch)
                fresh += [part for part in stretch.parts.values() if part not in known]
        known.update(fresh)
        aged = False
        for part in fresh:
            charset = source.value(_CHARSET).strip(b"\0 ") if declared else b""
            leaves = opened(part, source.syntax)
            aged = aged or leaves[0].tag in (_AGE, BIRTH_DATE, _STUDY_DATE)
            for leaf in leaves:
                if leaf.tag == _CHARSET:
                    charset = leaf.value.strip(b"\0 ")
                self._take(leaf, charset)
        if aged:
            self._ages(source)

    def _ages(self, source: Outline) -> None:
        self.over_89 = self.over_89 or _years(source.value(_AGE)) > OLDEST
        birth, day = (source.value(tag).decode("latin-1").strip("\0 ").replace(".", "") for tag in (BIRTH_DATE, _STUDY_DATE))
        if len(birth) == len(day) == 8 and (birth + day).isdigit():
            self.over_89 = self.over_89 or int(day[:4]) - int(birth[:4]) - (day[4:] < birth[4:]) > OLDEST

    def _take(self, leaf: Leaf, charset: bytes) -> None:
        if not leaf.value or not (leaf.vr in TEXT_VRS or leaf.vr in ("UI", "DA", "DT")):
            return
        key = (leaf.tag, leaf.vr, leaf.value, charset)
        if key in self._seen:
            return
        self._seen.add(key)
        if leaf.vr == "UI":
            own = {uid for uid in leaf.value.rstrip(b"\0 ").split(b"\\") if uid and not uid.startswith(STANDARD_ROOT)}
            if leaf.tag not in _NO_OBJECT:
                self.wanted.uids |= own
        elif leaf.vr in ("DA", "DT"):
            days = (part.strip().replace(".", "")[:8] for part in leaf.value.decode("latin-1").strip("\0 ").split("\\"))
            self.wanted.dates |= {day for day in days if len(day) == 8 and day.isdigit()}
        else:
            self._text(leaf, charset)

    def _text(self, leaf: Leaf, charset: bytes) -> None:
        private = leaf.tag >> 16 & 1 or leaf.tag >> 16 == 2
        rule = None if private or leaf.vr == "PN" else self._profile.rule(leaf.tag, leaf.vr)
        named = leaf.vr == "PN" or (rule is not None and rule.kind is Kind.NAME)
        machine = leaf.tag in _MACHINE
        if not named and not machine and (rule is None or rule.kind not in IDENTIFYING or rule.action not in _GOES):
            return
        for text in (text for reading in texts(leaf.value, charset) for text in reading.strip("\0 ").split("\\")):
            if machine:
                words = "".join(letter if letter.isalnum() else " " for letter in text.casefold())
                self.wanted.machine.update(words.split())
            elif named:
                self.wanted.name(text)
            elif rule is not None:
                self.wanted.value(text, rule.kind)


def _years(age: bytes) -> int:
    text = age.decode("latin-1").strip("\0 +").upper()
    figures = text.rstrip("DWMY")
    if not figures.isdigit():
        return 0
    return int(int(figures) / {"D": 365.25, "W": 52.18, "M": 12.0}.get(text[-1], 1.0))
