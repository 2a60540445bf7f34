"""Takes a patient's own names and numbers, and the usual patterns, out of text that stays.

The words come from the source's identifying attributes, gathered over all files of the study before the first is written.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from itertools import pairwise

from appliance.deidentify.rules import Kind
from appliance.deidentify.vocabulary import MARKS, VOCABULARY

_MARK_OF = {
    Kind.NAME: "[NAME_REMOVED]",
    Kind.PLACE: "[PLACE_REMOVED]",
    Kind.CONTACT: "[CONTACT_REMOVED]",
    Kind.IDENTIFIER: "[ID_REMOVED]",
}
# While a text is worked on a mark is one private character, or a patient called Place would be taken out of the marks.
_STAND_IN = {mark: chr(0xE000 + number) for number, mark in enumerate(MARKS)}
_IN_WORDS = {ord(letter): mark for mark, letter in _STAND_IN.items()}
_MONTH_WORD = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?)"
)
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (mark, re.compile(pattern, re.IGNORECASE))
    for mark, pattern in (
        ("[URL_REMOVED]", r"\b(?:https?|ftp|file)://\S+|\bwww\.[\w-]+\.\S+"),
        ("[EMAIL_REMOVED]", r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"),
        ("[UID_REMOVED]", r"(?<![\d.])[0-2](?:\.\d+){5,}"),
        ("[SSN_REMOVED]", r"(?<![\d-])\d{3}[- ]\d{2}[- ]\d{4}(?![\d-])"),
        ("[MRN_REMOVED]", r"\b(?:MRN?|RN)[-:#. ]{0,3}\d{4,}\b"),
        ("[ACCOUNT_REMOVED]", r"\b(?:ACCOUNT|ACCT|ACC)[-:#. ]{0,3}\d{4,}\b"),
        ("[DATE_REMOVED]", r"(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"),
        ("[DATE_REMOVED]", r"(?<!\d)(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?!\d)"),
        (
            "[DATE_REMOVED]",
            r"(?<!\d)(?<!\d\.)(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.](?:(?:19|20)\d\d|\d\d)(?!\d|\.\d)",
        ),
        ("[DATE_REMOVED]", rf"\b(?:0?[1-9]|[12]\d|3[01])[-. ]?{_MONTH_WORD}[-., ]{{0,2}}(?:19|20)?\d\d\b"),
        ("[DATE_REMOVED]", rf"\b{_MONTH_WORD}[-. ]?(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?,?[- ]?(?:19|20)\d\d\b"),
        ("[PHONE_REMOVED]", r"(?<![\w.])(?:\+?1[-. ]?)?\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}(?!\d)"),
        ("[PHONE_REMOVED]", r"\+\d{1,3}[ ./()-]?\d(?:[ ./()-]?\d){6,13}(?!\d)"),
        (
            "[IP_ADDRESS_REMOVED]",
            r"(?<!\d)(?<!\d\.)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\d|\.\d)",
        ),
    )
)
_WORD = re.compile(r"[^\W_]+")
_IDEOGRAPH = re.compile(r"[\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_GRADIENT = re.compile(r"^\s*b=\d{1,5}(\.\d+)?(\((-?\d+(\.\d+)?,){2}-?\d+(\.\d+)?\))?\s*$")
_COMMON = """
avenue bldg building center centre city clinic clinical college department drive east floor group health hospital house
institute klinik klinikum lane memorial national north park regional road room saint school service south square state
strasse street suite unit university west
"""
_COMMON_PLACE = frozenset(_COMMON.split())
_SUBSTRING_FROM = 6
_SPELLED: dict[int, str] = {
    ord(one): two for one, two in zip("äöüÄÖÜß", ("ae", "oe", "ue", "Ae", "Oe", "Ue", "ss"), strict=True)
}


def is_gradient(text: str) -> bool:
    """Whether an image comment is Canon's way to write a b-value and its direction, and nothing else."""
    return bool(_GRADIENT.match(text))


@dataclass(slots=True)
class Identity:
    """What the source says about who the patient is, where the patient was, and who was there."""

    words: dict[str, Kind] = field(default_factory=dict)
    """Phrase -> kind; a phrase is matched with any or no separators between its parts."""
    technical: set[str] = field(default_factory=set)
    """Case-folded words of manufacturer and model: a station that is called like its model does not change the model."""

    def add_name(self, text: str, *, sure: bool = True) -> None:
        """A person name (PS3.5, 6.2.1): parts alone and family with given name in both orders, all three groups.

        `sure`: read by the declared character set; two or three letters of any other reading are chance.
        """
        for group in text.split("="):
            parts = [part for part in (piece.strip() for piece in group.split("^")[:3]) if part]
            found = [word for part in parts for word in (part, *_WORD.findall(part))]
            for first, second in pairwise(parts):
                found += [f"{first} {second}", f"{second} {first}"]
            for phrase in [*found, " ".join(parts)]:
                if sure or sum(map(str.isalnum, phrase)) > 3:
                    self._add(phrase, Kind.NAME)

    def add_value(self, text: str, kind: Kind) -> None:
        """An identifier, address, place or number; of places also the lines and the words that are no common ones."""
        self._add(text, kind)
        if kind is not Kind.PLACE:
            return
        for line in re.split(r"[,;\r\n]", text):
            self._add(line, kind)
        for word in _WORD.findall(text):
            if len(word) >= 5 and not word.isdigit() and word.casefold() not in _COMMON_PLACE | VOCABULARY:
                self._add(word, kind)

    def add_patterns(self, text: str) -> None:
        """Numbers and addresses that the patterns find in text that is removed; they may stand elsewhere as well."""
        for mark, pattern in PATTERNS:
            if mark not in ("[DATE_REMOVED]", "[UID_REMOVED]"):
                for found in pattern.findall(text):
                    self._add(found, Kind.IDENTIFIER)

    def add_technical(self, text: str) -> None:
        """Words of manufacturer and model."""
        self.technical.update(word.casefold() for word in _WORD.findall(text))

    def take(self, other: "Identity") -> None:
        """What was found in other files of the same study."""
        for text, kind in other.words.items():
            self.words.setdefault(text, kind)
        self.technical |= other.technical

    def _add(self, text: str, kind: Kind) -> None:
        # Case-folding writes ß as ss; `_expression` takes either for both.
        folded = text.casefold()
        for form in (unicodedata.normalize("NFC", folded), unicodedata.normalize("NFD", folded), _folded(text).casefold()):
            phrase = form.strip()
            letters = "".join(_WORD.findall(phrase))
            least = 2 if _IDEOGRAPH.search(letters) or (kind is Kind.NAME and " " not in phrase) else 3
            if len(letters) >= least and not (letters.isdigit() and len(letters) < 4):
                self.words.setdefault(phrase, kind)


def _folded(text: str) -> str:
    spelled = text.translate(_SPELLED)
    plain = unicodedata.normalize("NFKD", spelled)
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


class Scrubber:
    """Replaces identity in text; made once a study."""

    def __init__(self, identity: Identity) -> None:
        machine = VOCABULARY | identity.technical
        ordered = sorted(identity.words.items(), key=lambda entry: -len(entry[0]))
        free = [(text, kind) for text, kind in ordered if kind is not Kind.PLACE or not _only_words_of(text, machine)]
        strict = [
            (text, kind) for text, kind in free if len("".join(_WORD.findall(text))) >= (2 if _IDEOGRAPH.search(text) else 3)
        ]
        self._free = _alternatives(free)
        self._strict = _alternatives([(text, kind) for text, kind in strict if not _only_words_of(text, VOCABULARY)])

    def free_text(self, text: str) -> str:
        """Descriptions and comments: patterns, and every word of the identity."""
        if is_gradient(text):
            return text
        for kind, pattern in self._free:
            text = pattern.sub(_STAND_IN[_MARK_OF[kind]], text)
        for mark, pattern in PATTERNS:
            text = pattern.sub(_STAND_IN[mark], text)
        return text.translate(_IN_WORDS)

    def technical_text(self, text: str) -> str:
        """Coded and technical values: the identity alone, save words of the trade and of the study's own machine."""
        for kind, pattern in self._strict:
            text = pattern.sub(_STAND_IN[_MARK_OF[kind]], text)
        return text.translate(_IN_WORDS)


def _only_words_of(text: str, trade: frozenset[str]) -> bool:
    return all(word.casefold() in trade for word in _WORD.findall(text))


def _alternatives(words: list[tuple[str, Kind]]) -> list[tuple[Kind, re.Pattern[str]]]:
    found: list[tuple[Kind, re.Pattern[str]]] = []
    for kind in (Kind.CONTACT, Kind.IDENTIFIER, Kind.NAME, Kind.PLACE):
        own = [_expression(text) for text, one in words if one is kind]
        if own:
            found.append((kind, re.compile("|".join(own), re.IGNORECASE)))
    return found


def _expression(text: str) -> str:
    parts = _WORD.findall(text)
    body = r"[\W_]{0,3}".join(re.escape(part).replace("ss", "(?:ss|ß)") for part in parts)
    letters = "".join(parts)
    if letters.isdigit():
        return rf"(?<![^\W_])(?<!\d\.){body}(?![^\W_])(?!\.\d)"
    if _IDEOGRAPH.search(letters) or (len(letters) >= _SUBSTRING_FROM and not letters.isdigit()):
        return body
    return rf"(?<![^\W_]){body}(?![^\W_])"
