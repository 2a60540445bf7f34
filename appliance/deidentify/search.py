"""What the verifier looks for in the output, and how: every identifying value of the source, in any spelling.

Values come from the source alone. Names of two letters (one for ideographs) are looked for only together with the rest of the
name, names of three only as whole words of text, identifiers of fewer than four characters not at all: alone they stand in
every technical text and in every row of numbers.
"""

import base64
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote

from appliance.deidentify.charsets import texts
from appliance.deidentify.rules import Kind
from appliance.deidentify.vocabulary import MARKS, VOCABULARY

_LETTERS = re.compile(r"[^\W_]+")
_UID = re.compile(rb"[0-2](?:\.(?:0|[1-9]\d*)){4,}")
_DAY = re.compile(r"(?<!\d)((?:18|19|20)\d\d)[-/.]?(0[1-9]|1[0-2])[-/.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_DAY_FIRST = re.compile(r"(?<!\d)(0[1-9]|[12]\d|3[01])[-/.](0[1-9]|[12]\d|3[01])[-/.]((?:18|19|20)\d\d)(?!\d)")
_EAST = re.compile(r"[\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CANON = re.compile(rb"^\s*b=[\d.]+(\([-\d.]+,[-\d.]+,[-\d.]+\))?[\s\0]*$")
_MARKS = re.compile("|".join(re.escape(mark.casefold()) for mark in MARKS) + r"|\[[a-z_]{0,16}$")
_ENCODED_FROM = 4
_FIGURES_FROM = 6


@dataclass(frozen=True, slots=True)
class Needle:
    """One value to look for, case-folded."""

    text: str
    compact: str
    spaced: str
    """Its words, whatever stood between them; empty when it is one word."""
    kind: Kind
    anywhere: bool
    """Also inside longer words."""
    trade: bool
    """All its words belong to the trade: not looked for in technical values."""


Forms = tuple[str, str, str]
"""A text three times: case-folded, its letters and figures without what stands between, its words with a blank between."""


@dataclass(slots=True)
class Wanted:
    """The identifying values of one study."""

    values: dict[str, Kind] = field(default_factory=dict)
    """Case-folded value -> kind."""
    spellings: dict[str, set[str]] = field(default_factory=dict)
    """Case-folded value -> as the source writes it."""
    machine: set[str] = field(default_factory=set)
    uids: set[bytes] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    too_short: int = 0

    def name(self, text: str) -> None:
        """A person name, in all its groups: each part, and two neighbouring parts in both orders."""
        for group in text.split("="):
            parts = [part.strip() for part in group.split("^")[:3]]
            for alone in [*parts, *(word for part in parts for word in _LETTERS.findall(part))]:
                self.value(alone, Kind.NAME)
            known = [part for part in parts if part]
            for one, other in ((0, 1), (1, 0), (1, 2)):
                if max(one, other) < len(known):
                    self.value(f"{known[one]} {known[other]}", Kind.NAME)

    def value(self, text: str, kind: Kind) -> None:
        """Any other identifying value; of places also the parts between commas."""
        spelled = unicodedata.normalize("NFC", text).strip("\0 ")
        text = spelled.casefold()
        letters = "".join(_LETTERS.findall(text))
        if not letters:
            return
        if len(letters) < (2 if _EAST.search(letters) else 3 if kind is Kind.NAME else 4):
            self.too_short += 1
            return
        self.values.setdefault(text, kind)
        self.spellings.setdefault(text, set()).add(spelled)
        plain = "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
        self.values.setdefault(plain, kind)
        if kind is Kind.PLACE and "," in text:
            for part in text.split(","):
                if sum(map(str.isalpha, part)) >= 5:
                    self.values.setdefault(part.strip(), kind)

    def take(self, other: "Wanted") -> None:
        """What was found in other files of the same study."""
        for text, kind in other.values.items():
            self.values.setdefault(text, kind)
        for text, spelled in other.spellings.items():
            self.spellings.setdefault(text, set()).update(spelled)
        self.machine |= other.machine
        self.uids |= other.uids
        self.dates |= other.dates
        self.too_short += other.too_short


class Search:
    """Looks for one study's values in bytes; made once all source files are known."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        trade = VOCABULARY | wanted.machine
        self.left_out = 0
        # No needle, in any encoding, is shorter than its letters; two ideographs take at least three bytes.
        self._shortest = 3
        self._needles: list[Needle] = []
        for text, kind in wanted.values.items():
            words = _LETTERS.findall(text)
            if kind is Kind.PLACE and all(word in trade for word in words):
                self.left_out += 1
                continue
            compact = "".join(words)
            anywhere = bool(_EAST.search(text)) or (len(compact) >= 6 and not compact.isdigit())
            spaced = f" {' '.join(words)} " if len(words) > 1 else ""
            self._needles.append(Needle(text, compact, spaced, kind, anywhere, all(word in VOCABULARY for word in words)))

    def hits(self, value: bytes, charset: bytes, *, technical: bool) -> list[str]:
        """The rules that a value breaks; `technical` spares words of the trade and short numbers."""
        if not technical and _CANON.match(value):
            return []
        if len(value) < self._shortest:
            return []
        found = {f"identity: {needle.kind}" for needle in self._in_text(value, charset, technical=technical)}
        lowered = value.lower()
        if any(form in lowered for form in self._encodings) or any(form in value for form in self._base64):
            found.add("identity: encoded")
        found |= self._numbers(value)
        return sorted(found)

    def in_document(self, text: str) -> list[Needle]:
        """The values that stand in a text of ours; words of the trade and short numbers alone are none."""
        folded, compact, spaced = forms_of(text)
        folded = _MARKS.sub("\0", folded)
        together = spaced.replace(" ", "")
        return [
            needle
            for needle in self._needles
            if stands_in(needle, folded, compact if needle.compact.isalpha() else together, spaced, technical=True)
        ]

    def besides(self, text: str) -> set[str]:
        """What a text of ours holds of UIDs and days, and of values in other encodings."""
        value = text.encode("utf-8", "replace")
        lowered = value.lower()
        found = self._numbers(value)
        if any(form in lowered for form in self._encodings) or any(form in value for form in self._base64):
            found.add("identity: encoded")
        return found

    def in_bytes(self, value: bytes) -> bool:
        """Whether bytes that are no text hold a value of four letters or more, in any encoding."""
        lowered = value.lower()
        return any(form in lowered for form in self._encodings) or any(
            form in own for forms, own in ((self._plain, lowered), (self._base64, value)) for form in forms
        )

    def equals(self, value: bytes) -> bool:
        """Whether a numeric string as a whole is an identifier of six digits or more."""
        text = value.decode("latin-1").strip("\0 ")
        return len(text) >= 6 and text.isdigit() and text in self._wanted.values

    def _in_text(self, value: bytes, charset: bytes, *, technical: bool) -> list[Needle]:
        found: list[Needle] = []
        # Three letters are a word in a text, and nothing in a structure of bytes with short codes in it.
        least = _ENCODED_FROM if b"\0" in value.rstrip(b"\0 ") else 0
        for reading in texts(value, charset):
            # A patient may be called Place: the marks of the profile, whole or cut at the end of a value, are no finding.
            text = _MARKS.sub("\0", unicodedata.normalize("NFC", reading).casefold().rstrip("\0 "))
            words = _LETTERS.findall(text)
            forms = text, "".join(words), f" {' '.join(words)} "
            found += [
                needle
                for needle in self._needles
                if (len(needle.compact) >= least or not needle.compact.isascii())
                and stands_in(needle, *forms, technical=technical)
            ]
        return found

    def _numbers(self, value: bytes) -> set[str]:
        found: set[str] = set()
        if any(uid in self._wanted.uids for uid in _UID.findall(value)):
            found.add("identity: uid")
        text = value.decode("latin-1")
        days = {"".join(day) for day in _DAY.findall(text)}
        for first, second, year in _DAY_FIRST.findall(text):
            days |= {year + second + first, year + first + second}
        if days & self._wanted.dates:
            found.add("identity: date")
        return found

    @cached_property
    def _encodings(self) -> list[bytes]:
        forms: set[bytes] = set()
        for needle in self._long:
            for text in self._spelled(needle):
                raw = text.encode()
                forms |= {text.encode("utf-16-le").lower(), text.encode("utf-16-be").lower(), raw.hex().encode()}
                if quote(text) != text:
                    forms.add(quote(text).lower().encode())
        return sorted(forms)

    @cached_property
    def _plain(self) -> list[bytes]:
        # A number of a few figures stands in every table of numbers.
        known = [needle for needle in self._long if not needle.compact.isdigit() or len(needle.compact) >= _FIGURES_FROM]
        texts = {text.lower() for needle in known for text in (needle.text, needle.compact, *self._spelled(needle))}
        return sorted({text.encode(codec, "ignore") for text in texts for codec in ("utf-8", "latin-1") if _whole(text, codec)})

    @cached_property
    def _base64(self) -> list[bytes]:
        forms: set[bytes] = set()
        for needle in self._long:
            for text in self._spelled(needle):
                for lead in range(3):
                    # The digits that depend on the needle alone, whatever stands before and behind it.
                    whole = base64.b64encode(b"\0" * lead + text.encode())
                    forms.add(whole[(0, 2, 3)[lead] :].rstrip(b"=")[: (len(text.encode()) * 8 - (0, 4, 2)[lead]) // 6])
        return sorted(form for form in forms if len(form) >= _ENCODED_FROM)

    def _spelled(self, needle: Needle) -> set[str]:
        known = self._wanted.spellings.get(needle.text, set())
        return {needle.text, needle.text.upper(), needle.text.title(), *known}

    @property
    def _long(self) -> list[Needle]:
        return [needle for needle in self._needles if len(needle.compact) >= _ENCODED_FROM and not needle.trade]


def _whole(text: str, codec: str) -> bool:
    return text.encode(codec, "ignore").decode(codec) == text


def forms_of(text: str) -> Forms:
    """A text of several sentences as it is searched: only words that blanks part stay parted.

    In one value of a header letters are put together across blanks as well; in prose that makes names of nobody.
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    words = _LETTERS.findall(folded)
    return folded, " ".join("".join(_LETTERS.findall(word)) for word in folded.split()), f" {' '.join(words)} "


def stands_in(needle: Needle, text: str, compact: str, spaced: str, *, technical: bool) -> bool:
    """Whether a value stands in the forms of a text; `technical` spares words of the trade and short numbers."""
    digits = needle.compact.isdigit()
    if technical and (needle.trade or (digits and len(needle.compact) < 6)):
        return False
    if needle.anywhere and len(needle.compact) >= 6 and needle.compact in compact:
        return True
    if needle.spaced and needle.spaced in spaced:
        return True
    start = text.find(needle.text)
    while start >= 0:
        stop = start + len(needle.text)
        before, after = text[start - 1 : start], text[stop : stop + 1]
        if needle.anywhere or not ((before.isalnum() or (digits and before == ".")) or after.isalnum()):
            return True
        start = text.find(needle.text, start + 1)
    return False
