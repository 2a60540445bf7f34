"""Who a data set says it belongs to, whether two of them mean the same person, and a series' name without that person."""

import re
import unicodedata

from appliance.receive import header as tags
from appliance.receive.header import Header
from appliance.records.identities import PatientIdentity

_LABEL_LETTERS = 128
_SHORT_TOKEN = 4
"""Shorter parts of a name are dropped only as a whole word: 'Li' must not empty 'clinical'."""
_DATE = re.compile(r"(?<!\d)\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?!\d)")
_LONG_NUMBER = re.compile(r"\d[\d\-]{3,}\d")
_WORDS = re.compile(r"[^\W_]+")
_PARTS_OF_NAME = re.compile(r"[^\w]+|_")


def identity_of(header: Header) -> PatientIdentity:
    """The identity as one instance tells it (PS3.3 C.7.1.1 and C.7.2.1)."""
    return PatientIdentity(
        patient_name=header.text(tags.PATIENT_NAME),
        patient_id=header.text(tags.PATIENT_ID),
        issuer=header.text(tags.ISSUER),
        birth_date=header.text(tags.BIRTH_DATE),
        sex=header.text(tags.SEX),
        age=header.text(tags.AGE),
        accession=header.text(tags.ACCESSION),
        study_instance_uid=header.uid(tags.STUDY_INSTANCE),
        study_id=header.text(tags.STUDY_ID),
        study_date=header.text(tags.STUDY_DATE),
        study_time=header.text(tags.STUDY_TIME),
        study_description=header.text(tags.STUDY_DESCRIPTION),
        referring_physician=header.text(tags.REFERRING_PHYSICIAN),
        character_set=header.text(tags.CHARACTER_SET),
    )


def same_patient(one: PatientIdentity, other: PatientIdentity) -> bool:
    """Whether two identities under one Study Instance UID can be one person.

    The patient ID decides; an issuer that only one of them names does not make two. Without an ID on one side, name and
    birth date decide.
    """
    if one.patient_id and other.patient_id:
        return _plain_id(one.patient_id) == _plain_id(other.patient_id) and _agree(one.issuer, other.issuer)
    return _plain_name(one.patient_name) == _plain_name(other.patient_name) and _agree(one.birth_date, other.birth_date)


def _agree(one: str, other: str) -> bool:
    return not one or not other or "".join(one.split()).upper() == "".join(other.split()).upper()


def _plain_id(text: str) -> str:
    normal = "".join(text.split()).upper()
    return (normal.lstrip("0") or "0") if normal.isdigit() else normal


def _plain_name(text: str) -> tuple[str, ...]:
    # The alphabetic group alone: the others are the same name in other scripts (PS3.5 section 6.2.1).
    return tuple(part for part in _PARTS_OF_NAME.split(_folded(text.split("=")[0])) if part)


def _folded(text: str) -> str:
    """Case and accents do not hide a name."""
    return "".join(one for one in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(one))


def safe_label(description: str, identity: PatientIdentity) -> str:
    """A series description without words of the patient, dates and long numbers, for lists that show no identity."""
    text = _LONG_NUMBER.sub("", _DATE.sub("", description))
    naming = _naming_tokens(identity)

    def keep(word: re.Match[str]) -> str:
        folded = _folded(word.group())
        named = folded in naming or any(len(token) >= _SHORT_TOKEN and token in folded for token in naming)
        return "" if named else word.group()

    for whole in (identity.patient_id, identity.accession):
        if len(whole) >= _SHORT_TOKEN:
            text = re.sub(re.escape(whole), "", text, flags=re.IGNORECASE)
    words = [word for word in _WORDS.sub(keep, text).split() if any(letter.isalnum() for letter in word)]
    return " ".join(words)[:_LABEL_LETTERS].strip(" -_^,;:./")


def _naming_tokens(identity: PatientIdentity) -> frozenset[str]:
    sources = (identity.patient_name, identity.referring_physician, identity.patient_id, identity.accession)
    parts = {part for text in sources for part in _WORDS.findall(_folded(text))}
    return frozenset(part for part in parts if len(part) >= 2) | {_folded(identity.patient_id), _folded(identity.accession)} - {
        ""
    }
