"""The report as an HL7 v2.5.1 message ORU^R01 with the PDF embedded, for MLLP and for systems that read files.

Numbers are NM observations in the codes of the SR, what must be read first is text; the last observation is the PDF (ED).
"""

import base64
from collections.abc import Iterator
from datetime import datetime

from appliance.records.identities import PatientIdentity
from appliance.reports import as_pdf, words
from appliance.reports.codes import CAVEAT, NO_RESULT, NOT_SAID, NOTICE, PROCEDURE, QUALITY, Code, coded
from appliance.reports.content import Hl7Names, RenderRequest, ReportContent, Row

_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "~": "\\R\\", "^": "\\S\\", "&": "\\T\\", "\r": " ", "\n": " "})
_SCHEMES = {"LN": "LN", "SCT": "SCT", "DCM": "DCM"}
_SEXES = {"M": "M", "F": "F", "O": "O"}


def message(request: RenderRequest, names: Hl7Names | None, identity: PatientIdentity, made: datetime) -> bytes:
    """One message, segments ended by carriage returns, UTF-8; the same arguments give the same bytes.

    Without a page identity PID holds our own study identifier and the sex, nothing else of the patient.
    """
    content, names = request.content, names or Hl7Names()
    named = request.page_identity is not None
    segments = [_msh(names, made), _pid(content, identity if named else None)]
    segments.append(_obr(content, identity if named else None, names, made))
    segments += [
        _segment("OBX", str(place), *one, "", "", "", "", names.status)
        for place, one in enumerate([*_observations(content), _pdf(request)], 1)
    ]
    return "".join(f"{one}\r" for one in segments).encode()


def _msh(names: Hl7Names, made: datetime) -> str:
    return "|".join(
        [
            "MSH",
            "^~\\&",
            *map(
                _text,
                (
                    names.sending_application,
                    names.sending_facility,
                    names.receiving_application,
                    names.receiving_facility,
                ),
            ),
            _moment(made),
            "",
            "ORU^R01^ORU_R01",
            _text(names.control_id),
            names.processing,
            "2.5.1",
            *[""] * 5,
            "UNICODE UTF-8",
        ]
    )


def _pid(content: ReportContent, identity: PatientIdentity | None) -> str:
    sex = _SEXES.get(content.sex, "U")
    if identity is None:
        return _segment("PID", "1", "", f"{_text(content.study)}^^^RANVIER^PI", "", "^^^^^^S", "", "", sex)
    number = f"{_text(identity.patient_id)}^^^{_text(identity.issuer)}^MR"
    return _segment("PID", "1", "", number, "", _name(identity.patient_name), "", _date(identity.birth_date), sex)


def _obr(content: ReportContent, identity: PatientIdentity | None, names: Hl7Names, made: datetime) -> str:
    placer = _text(identity.accession) if identity else ""
    fields = {
        1: "1",
        2: placer,
        3: f"{_text(content.order)}^RANVIER",
        4: _ce(PROCEDURE),
        7: _moment(made),
        22: _moment(made),
        24: "RAD",
        25: names.status,
    }
    return _segment("OBR", *(fields.get(place, "") for place in range(1, 26)))


def _observations(content: ReportContent) -> Iterator[tuple[str, str, str, str, str]]:
    """Type, code, sub-identifier, value, unit of each observation before the PDF."""
    said = [(NOTICE, words.NOTICE_LONG), (QUALITY, words.qc_line(content)), *((CAVEAT, one) for one in content.caveats)]
    for label, value, why in words.age_and_sex(content):
        said.append(
            (Code(f"{label.lower()}-origin", "99RANVIER", f"{label} and its origin"), f"{value} ({why})" if why else value)
        )
    if content.supersedes:
        said.append((Code("replaces", "99RANVIER", "Replaces report"), content.supersedes))
    said += [(NO_RESULT, f"{one.title}: {one.failure}") for one in content.sections if one.failure]
    said += [(NOT_SAID, one) for one in words.limits(content)]
    for place, (code, text) in enumerate(said, 1):
        yield "TX", _ce(code), str(place), _text(text), ""
    for section in content.sections:
        for row in [] if section.failure else section.rows:
            yield _number(section.product, row)


def _number(product: str, row: Row) -> tuple[str, str, str, str, str]:
    found = coded(row)
    own = Code(row.name, "99RANVIER", row.label)
    code = _ce(own if found.concept.scheme == own.scheme else found.concept, own)
    if row.value is None:
        return "TX", code, _text(f"{product}.{row.name}"), "not computable", ""
    return "NM", code, _text(f"{product}.{row.name}"), f"{row.value:.10g}", _ce(found.unit)


def _pdf(request: RenderRequest) -> tuple[str, str, str, str, str]:
    pdf = base64.b64encode(as_pdf.make(request)).decode()
    return "ED", "18748-4^Diagnostic imaging study^LN", "pdf", f"^application^pdf^Base64^{pdf}", ""


def _segment(name: str, *fields: str) -> str:
    return "|".join([name, *fields]).rstrip("|")


def _ce(code: Code, other: Code | None = None) -> str:
    """A coded element (HL7 v2.5.1 section 2.A.13), with a second code where the first is not ours."""
    parts = [_text(code.value), _text(code.meaning), _SCHEMES.get(code.scheme, code.scheme)]
    if other is not None and other.scheme != code.scheme:
        parts += [_text(other.value), _text(other.meaning), other.scheme]
    return "^".join(parts)


def _name(name: str) -> str:
    """A DICOM person name's alphabetic group as XPN: family, given, middle, suffix, prefix."""
    family, given, middle, prefix, suffix = (name.partition("=")[0].split("^") + [""] * 5)[:5]
    return "^".join(_text(one) for one in (family, given, middle, suffix, prefix)).rstrip("^")


def _date(text: str) -> str:
    return text if len(text) == 8 and text.isascii() and text.isdigit() else ""


def _moment(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S%z")


def _text(text: str) -> str:
    return text.translate(_ESCAPES)
