"""What a number of a report is called in the codes of DICOM (PS3.16), SNOMED CT, LOINC and UCUM.

SR, FHIR, HL7 and CSV share them. A number that no standard has a code for gets one of our own scheme, `99RANVIER`, whose values
are the names of the rows.
"""

import re
from typing import NamedTuple

from appliance.reports.content import Row

OWN = "99RANVIER"


class Code(NamedTuple):
    """A coded concept: value, scheme designator (PS3.16 section 8), meaning."""

    value: str
    scheme: str
    meaning: str


class Coded(NamedTuple):
    """One number in codes."""

    concept: Code
    unit: Code
    """UCUM."""
    derivation: Code | None = None
    """CID 7464."""
    site: Code | None = None
    """The part of the brain; CID 6140 where it has one."""


REPORT = Code("126000", "DCM", "Imaging Measurement Report")
PROCEDURE = Code("24590-2", "LN", "MR Brain")
QUALITY = Code("quality-control", OWN, "Quality control")
CAVEAT = Code("caveat", OWN, "Read before the numbers")
NOT_SAID = Code("not-said", OWN, "What this report does not say")
NOTICE = Code("notice", OWN, "Notice")
ORIGIN = Code("origin", OWN, "Origin of age and sex")
NO_RESULT = Code("no-result", OWN, "No result")
BRAIN = Code("12738006", "SCT", "Brain")

_CONCEPTS = {
    "fa": Code("110808", "DCM", "Fractional Anisotropy"),
    "md": Code("113202", "DCM", "Mean Diffusivity"),
    "rd": Code("113203", "DCM", "Radial Diffusivity"),
    "ad": Code("113204", "DCM", "Axial Diffusivity"),
    "volume": Code("118565006", "SCT", "Volume"),
}
_DERIVATIONS = {
    "mean": Code("373098007", "SCT", "Mean"),
    "median": Code("373099004", "SCT", "Median"),
    "sd": Code("386136009", "SCT", "Standard Deviation"),
}
_SITES = {
    "": BRAIN,
    "brain": BRAIN,
    "white_matter": Code("68523003", "SCT", "Cerebral white matter"),
}
_Z_SCORE = Code("113071", "DCM", "Z-score")
_UNITS = {
    "": ("1", "no units"),
    "1": ("1", "no units"),
    "10^-3 mm2/s": ("10*-3.mm2/s", "10^-3 mm2/s"),
    "mm2/s": ("mm2/s", "mm2/s"),
    "mm^2/s": ("mm2/s", "mm2/s"),
    "um2/ms": ("um2/ms", "um2/ms"),
    "s/mm2": ("s/mm2", "s/mm2"),
    "mm": ("mm", "mm"),
    "cm3": ("cm3", "cm3"),
    "mm3": ("mm3", "mm3"),
    "mm^3": ("mm3", "mm3"),
    "mL": ("mL", "mL"),
    "ms": ("ms", "ms"),
    "s": ("s", "s"),
    "T": ("T", "T"),
    "%": ("%", "%"),
    "degrees": ("deg", "degrees"),
    "years": ("a", "years"),
}
_NAME = re.compile(
    r"(?:s\d+[a-z]*_)?(?P<z>z_)?(?:(?P<measure>[a-z0-9]+)_(?P<kind>mean|median|sd)(?:_(?P<site>\w+))?|volume_(?P<room>\w+))"
)
_NOT_IN_UCUM = re.compile(r"[^\x21-\x7a|~]")


def coded(row: Row) -> Coded:
    """A number's concept, unit, derivation and place."""
    found = _NAME.fullmatch(row.name)
    own = Code(row.name, OWN, _short(row.label))
    unit = _unit(row.unit)
    if found is None:
        return Coded(own, unit)
    if found["room"] is not None:
        return Coded(_CONCEPTS["volume"], unit, None, _site(found["room"], row))
    place = _site(found["site"] or "", row)
    if found["z"]:
        return Coded(own, unit, _Z_SCORE, place)
    concept = _CONCEPTS.get(found["measure"], Code(found["measure"], OWN, found["measure"].upper()))
    return Coded(concept, unit, _DERIVATIONS[found["kind"]], place)


def _site(name: str, row: Row) -> Code:
    """The code of a region; one of an atlas goes by its own name, and the label ends with the words for it."""
    return _SITES.get(name) or Code(name, OWN, _short(row.label.rpartition(", ")[2] or name))


def _unit(text: str) -> Code:
    value, meaning = _UNITS.get(text) or ("{" + (_NOT_IN_UCUM.sub("", text) or "unit") + "}", text)
    return Code(value, "UCUM", meaning)


def _short(text: str) -> str:
    """A code's meaning has at most 64 characters (VR LO); all of ours are ASCII, so that a study's character set holds them."""
    return text if len(text) <= 64 else text[:61] + "..."
