"""Age, sex and accession number from the JSON file beside a NIfTI image, in the three spellings that are in use.

`PatientAge`, `patientAge` or `patient_age` (`048Y`, `48`, or the number 48), `PatientSex`, `patientSex` or `patient_sex` (`F`,
`M`, `Female`, `Male`), `AccessionNumber`, `accessionNumber` or `accession_number`. Precedence is form, sidecar, DICOM header.
"""

from dataclasses import dataclass, field

import msgspec

_SPELLINGS = {
    "age": ("PatientAge", "patientAge", "patient_age"),
    "sex": ("PatientSex", "patientSex", "patient_sex"),
    "accession": ("AccessionNumber", "accessionNumber", "accession_number"),
}
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What one sidecar says of the patient, as it stands there; empty where it says nothing."""

    age: str = field(default="", repr=False)
    sex: str = ""
    accession: str = field(default="", repr=False)


def read_sidecar(content: bytes) -> Sidecar | None:
    """The demographics of a sidecar; None for what is no JSON object. Unknown keys and other encodings do no harm."""
    try:
        found = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"))
    except msgspec.DecodeError:
        return None
    if not isinstance(found, dict):
        return None
    said = {name: _first(found, keys) for name, keys in _SPELLINGS.items()}
    return Sidecar(age=said["age"].upper(), sex=said["sex"], accession=said["accession"])


def _first(found: dict[str, object], keys: tuple[str, ...]) -> str:
    values = (found.get(key) for key in keys)
    return next((f"{one:g}" if isinstance(one, float) else str(one).strip()[:_LONGEST] for one in values if _usable(one)), "")


def _usable(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip() != ""
