"""The patient's age at the scan is known.

A form or sidecar goes before the header; in the header, Patient's Age (0010,1010) goes before birth date and study date.
Fails when there is none, when it is not written as an age, or when the images of the study disagree by more than a year,
which may mean two patients. Warns when a form or sidecar differs from the header by more than a year.
"""

from dataclasses import dataclass

from appliance.qc import ages
from appliance.qc.check import Given
from appliance.qc.finding import Finding, Origin, Verdict
from appliance.qc.protocol import Protocols
from appliance.qc.study import HeaderStudy

NAME, TITLE = "age", "Patient's age"
_EXPECTED = "an age such as 045Y, 45 or 90+; under two years in months, weeks or days"
_DIFFERENT_YEARS = 1.0


@dataclass(frozen=True, slots=True)
class Header:
    """What the images say: the age, and whether they agree; `none` says why there is no age."""

    age: str = ""
    calculated: bool = False
    agree: bool = True
    none: str = ""


def header_age(study: HeaderStudy) -> Header:
    """The age that the images state, or that follows from their dates."""
    stated = sorted({age for person in study.persons if (age := ages.normalised(person.age))}, key=ages.in_years)
    dated = {age for person in study.persons if (age := ages.between(person.birth_date, person.study_date))}
    found = stated or sorted(dated, key=ages.in_years)
    if not found:
        wrong = any(person.age for person in study.persons)
        return Header(none="the age in the header is not usable" if wrong else "the header has no age")
    return Header(found[0], not stated, ages.in_years(found[-1]) - ages.in_years(found[0]) <= _DIFFERENT_YEARS)


def settle(study: HeaderStudy, given: Given) -> Origin:
    """The age that goes on with the order, as `045Y`, and where it came from; empty where there is none."""
    header = header_age(study)
    offered = given.get(NAME, Origin())
    if not offered.value.strip():
        return Origin(value=header.age, origin="dicom" if header.age else "") if header.agree else Origin()
    age = ages.normalised(offered.value)
    if age is None:
        return Origin()
    differs = bool(header.age) and abs(ages.in_years(age) - ages.in_years(header.age)) > _DIFFERENT_YEARS
    return Origin(value=age, origin=offered.origin or "form", contradicts=differs)


def check(study: HeaderStudy, _protocols: Protocols, given: Given) -> Finding:
    """One usable age."""
    settled, header = settle(study, given), header_age(study)
    if not settled.value:
        return _missing(header, given)
    age = ages.in_words(settled.value)
    if settled.contradicts:
        return _finding(
            Verdict.WARNING,
            f"{age} from the {settled.origin}, {ages.in_words(header.age)} in the header",
            "Check that the images belong to this patient, and correct the age in the order if it is wrong.",
        )
    place = settled.origin if settled.origin != "dicom" else "header"
    how = ", calculated from birth date and study date" if settled.origin == "dicom" and header.calculated else ""
    return _finding(Verdict.PASSED, f"{age} from the {place}{how}")


def _missing(header: Header, given: Given) -> Finding:
    offered = given.get(NAME, Origin())
    if offered.value.strip():
        return _finding(
            Verdict.FAILED,
            f"the age given by the {offered.origin or 'form'} is not written as an age",
            "Correct the age in the order.",
        )
    if not header.agree:
        return _finding(
            Verdict.FAILED,
            "the images of the study state ages more than a year apart",
            "Check whether images of two patients were sent as one study; if not, give the age in the order.",
        )
    return _finding(
        Verdict.FAILED,
        header.none,
        "Give the age in the order; next time register the patient with birth date or age on the scanner.",
    )


def _finding(verdict: Verdict, found: str, action: str = "") -> Finding:
    return Finding(check=NAME, title=TITLE, verdict=verdict, found=found, expected=_EXPECTED, action=action)
