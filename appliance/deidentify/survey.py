"""The first look at a study: what each file is, and everything in it that tells who the patient is."""

from collections.abc import Mapping

from appliance.deidentify.decoding import readings
from appliance.deidentify.errors import BurnedInText, NotAnImageInput, UnreadableInstance
from appliance.deidentify.pieces import PartTen
from appliance.deidentify.profile import BIRTH_DATE, IDENTIFYING, PIXEL_TAGS, TEXT_VRS, Profile
from appliance.deidentify.replacements import OLDEST, age_at, age_in_years, parsed_date
from appliance.deidentify.rules import Action, Kind
from appliance.deidentify.scrub import Identity
from appliance.deidentify.splice import Element, Item, Unparsable, hidden_items

IMAGE_CLASSES: Mapping[bytes, str] = {
    b"1.2.840.10008.5.1.4.1.1.4": "MR Image",
    b"1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR Image",
    b"1.2.840.10008.5.1.4.1.1.4.4": "Legacy Converted Enhanced MR Image",
    b"1.2.840.10008.5.1.4.1.1.2": "CT Image",
    b"1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image",
    b"1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT Image",
    b"1.2.840.10008.5.1.4.1.1.128": "PET Image",
    b"1.2.840.10008.5.1.4.1.1.128.1": "Legacy Converted Enhanced PET Image",
    b"1.2.840.10008.5.1.4.1.1.130": "Enhanced PET Image",
}
"""Objects whose profile this is; all others (documents, reports, captures, waveforms, raw data) do not leave."""

_SOP_CLASS, _SOP_INSTANCE, _STUDY_DATE, _AGE = 0x00080016, 0x00080018, 0x00080020, 0x00101010
_IMAGE_TYPE, _BURNED_IN, _CONVERSION, _MODALITY = 0x00080008, 0x00280301, 0x00080064, 0x00080060
_MACHINE = frozenset({0x00080070, 0x00081090})


_CAPTURES = (
    b"SCREEN SAVE",
    b"SCREENSAVE",
    b"SCREENSHOT",
    b"SCREEN SHOT",
    b"SCREEN_CAPTURE",
    b"DOSE_INFO",
    b"PATIENT PROTOCOL",
    b"CSA REPORT",
    b"CT_SOM5 PROT",
    b"CT_SOM7 PROT",
    b"CT_SOM8 PROT",
)
"""What devices write into Image Type of screens and protocol pages that are stored as images."""

_CONVERTED = frozenset({b"DV", b"DF", b"SD", b"SI", b"DRW", b"WSD"})
"""Conversion Type of what was photographed, scanned, drawn or taken from a workstation's screen (PS3.3, C.8.6.1)."""

_MODALITIES = frozenset({b"", b"MR", b"CT", b"PT"})


def declares_text(value: bytes) -> bool:
    """Whether Burned In Annotation (0028,0301) says that there is text, in any spelling."""
    return value.strip(b"\0 ").upper() in (b"YES", b"Y", b"TRUE", b"1")


def is_image(part: PartTen) -> bool:
    """Whether an instance is a cross-sectional image; documents, reports, captures and raw data are none."""
    return part.value(_SOP_CLASS) in IMAGE_CLASSES and not _is_capture(part)


def _is_capture(part: PartTen) -> bool:
    kind = part.value(_IMAGE_TYPE).upper()
    captured = any(word in kind for word in _CAPTURES) or part.value(_CONVERSION).upper() in _CONVERTED
    return captured or part.value(_MODALITY).upper() not in _MODALITIES


class Survey:
    """Gathers over all files of a study before the first is written."""

    def __init__(self, profile: Profile, given: Mapping[str, str]) -> None:
        self.identity = Identity()
        self.over_89 = _years(given.get("age", "")) > OLDEST
        self._profile = profile
        self._seen: set[tuple[int, str, bytes, bytes]] = set()

    def add(self, part: PartTen, instance: str) -> None:
        """Takes one file in; raises `NotAnImageInput`, `BurnedInText` or `UnreadableInstance` for what may not go on."""
        sop_class = part.value(_SOP_CLASS)
        if not is_image(part):
            known = sop_class.decode("ascii", "replace") if sop_class.startswith(b"1.2.840.10008.") else "private or absent"
            raise NotAnImageInput(instance=instance, sop_class=known)
        # In mode `mask` the text is looked for, and whoever declares some and has none that can be read is refused there.
        if declares_text(part.value(_BURNED_IN)) and self._profile.drawn_text != "mask":
            raise BurnedInText(instance=instance)
        if not part.value(_SOP_INSTANCE):
            raise UnreadableInstance(instance=instance, reason="it has no SOP Instance UID")
        if not part.pixels:
            raise UnreadableInstance(instance=instance, reason="it has no pixel data")
        if any(one.tag in (_AGE, BIRTH_DATE, _STUDY_DATE) for one in part.fresh):
            self._ages(part)
        for piece in part.fresh:
            self._gather(piece.data, [piece.element], piece.charset)
        for one in part.fresh_meta:
            if one.tag in (0x00020016, 0x00020017, 0x00020018) and (title := one.value.strip(b"\0 ")):
                self.identity.add_value(title.decode("ascii", "replace"), Kind.IDENTIFIER)

    def _ages(self, part: PartTen) -> None:
        texts = {tag: part.value(tag).decode("ascii", "replace") for tag in (_AGE, BIRTH_DATE, _STUDY_DATE)}
        birth, day = parsed_date(texts[BIRTH_DATE]), parsed_date(texts[_STUDY_DATE])
        reached = age_at(birth, day) if birth and day else 0
        self.over_89 = self.over_89 or _years(texts[_AGE]) > OLDEST or reached > OLDEST

    def _gather(self, body: bytes, elements: list[Element], charset: bytes) -> None:
        for one in elements:
            if one.tag == 0x00080005:
                charset = body[one.value : one.stop].strip(b"\0 ")
            items = one.items
            if (
                one.tag >> 16 & 1
                and one.vr == "UN"
                and items is None
                and body[one.value : one.value + 4] == b"\xfe\xff\x00\xe0"
            ):
                items = _quietly_hidden(body, one)
            if items is not None:
                for item in items:
                    self._gather(body, item.elements, charset)
            elif one.stop > one.value and (one.vr in TEXT_VRS or one.vr == "UN") and one.tag not in PIXEL_TAGS:
                self._take(one, body[one.value : one.stop], charset)

    def _take(self, one: Element, value: bytes, charset: bytes) -> None:
        key = (one.tag, one.vr, value, charset)
        if key in self._seen:
            return
        self._seen.add(key)
        if one.tag >> 16 & 1:
            kind, gone = (Kind.NAME, True) if one.vr == "PN" else (Kind.OTHER, False)
        else:
            rule = self._profile.rule(one.tag, one.vr)
            kind, gone = rule.kind, rule.action in (Action.REMOVE, Action.EMPTY, Action.MASK, Action.DUMMY)
        for number, reading in enumerate(readings(value, charset)):
            text = reading.strip("\0 ")
            if one.tag in _MACHINE:
                self.identity.add_technical(text)
            elif kind is Kind.NAME:
                for name in text.split("\\"):
                    self.identity.add_name(name, sure=number == 0)
            elif kind in IDENTIFYING and gone:
                for part in text.split("\\"):
                    self.identity.add_value(part, kind)
            elif gone:
                self.identity.add_patterns(text)


def _quietly_hidden(body: bytes, one: Element) -> list[Item]:
    try:
        return hidden_items(body, one)
    except Unparsable:
        return []


def _years(age: str) -> int:
    return int(age_in_years(age) or 0)
