"""The patient's sex is known.

A form or sidecar goes before Patient's Sex (0010,0040). Male and female are taken; other and absent fail unless the
product's manifest allows them. Fails when the images of the study disagree; warns when form or sidecar differ from the header.
"""

from appliance.qc.check import Given
from appliance.qc.finding import Finding, Origin, Verdict
from appliance.qc.protocol import Protocols
from appliance.qc.study import HeaderStudy

NAME, TITLE = "sex", "Patient's sex"
_WRITTEN = {"m": "M", "male": "M", "f": "F", "female": "F", "o": "O", "other": "O"}
_WORDS = {"M": "male", "F": "female", "O": "other", "": "absent"}


def normalised(text: str) -> str | None:
    """M, F or O; None for anything else."""
    return _WRITTEN.get(text.strip().casefold())


def header_sexes(study: HeaderStudy) -> set[str]:
    """Every value that the images state and that DICOM knows (PS3.3 section C.7.1.1)."""
    return {person.sex for person in study.persons if person.sex in ("M", "F", "O")}


def settle(study: HeaderStudy, given: Given) -> Origin:
    """The sex that goes on with the order, and where it came from; empty where there is none."""
    stated = header_sexes(study)
    offered = given.get(NAME, Origin())
    if not offered.value.strip():
        return Origin(value=next(iter(stated)), origin="dicom") if len(stated) == 1 else Origin()
    sex = normalised(offered.value)
    if sex is None:
        return Origin()
    return Origin(value=sex, origin=offered.origin or "form", contradicts=bool((stated & {"M", "F"}) - {sex}))


def check(study: HeaderStudy, protocols: Protocols, given: Given) -> Finding:
    """One usable sex that every product of the order allows."""
    settled, stated, allowed = settle(study, given), header_sexes(study), _allowed(protocols)
    expected = " or ".join(_WORDS.get(one, one) for one in allowed)
    if not settled.value and (given.get(NAME, Origin()).value.strip() or len(stated) > 1 or "" not in allowed):
        return _finding(Verdict.FAILED, *_missing(stated, given, expected))
    place = "header" if settled.origin == "dicom" else settled.origin
    found = f"{_WORDS[settled.value]} from the {place}" if settled.value else "absent, which the product allows"
    if settled.value not in allowed:
        action = "Give the sex in the order; next time register the patient with it on the scanner."
        return _finding(Verdict.FAILED, found, expected, action)
    if settled.contradicts:
        other = "/".join(_WORDS[one] for one in sorted(stated - {settled.value}))
        action = "Check that the images belong to this patient, and correct the sex in the order if it is wrong."
        return _finding(Verdict.WARNING, f"{found}, {other} in the header", expected, action)
    return _finding(Verdict.PASSED, found, expected)


def _missing(stated: set[str], given: Given, expected: str) -> tuple[str, str, str]:
    """Why there is no sex, what was expected, what to do."""
    offered = given.get(NAME, Origin())
    if offered.value.strip():
        return f"the sex given by the {offered.origin or 'form'} is neither M nor F", expected, "Correct the sex in the order."
    if len(stated) > 1:
        action = "Check whether images of two patients were sent as one study; if not, give the sex in the order."
        return "the images of the study state different sexes", expected, action
    action = "Give the sex in the order; next time register the patient with it on the scanner."
    return "the header has no usable sex", expected, action


def _allowed(protocols: Protocols) -> tuple[str, ...]:
    """What every product allows, in the first one's order; male and female where no product says."""
    rules = [protocol.allowed_sex for protocol in protocols.values()]
    if not rules:
        return ("M", "F")
    return tuple(one for one in rules[0] if all(one in other for other in rules))


def _finding(verdict: Verdict, found: str, expected: str, action: str = "") -> Finding:
    return Finding(check=NAME, title=TITLE, verdict=verdict, found=found, expected=expected, action=action)
