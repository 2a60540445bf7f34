"""The report as an HL7 FHIR R4 bundle: DiagnosticReport, ImagingStudy, one Observation for each number, and who made them.

It names the patient only where a destination's setting gave the identity; else its Patient holds the sex and our own
identifier of the study.
"""

import base64
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from appliance.reports import words
from appliance.reports.codes import CAVEAT, NO_RESULT, NOT_SAID, OWN, PROCEDURE, QUALITY, Code, coded
from appliance.reports.content import PageIdentity, ProductSection, RenderRequest, ReportContent, Row
from appliance.reports.tracking import derived_id

_SYSTEMS = {
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    OWN: "urn:ranvier:codes:1",
}
_IMAGING = ("http://terminology.hl7.org/CodeSystem/observation-category", "imaging", "Imaging")
_RADIOLOGY = ("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology")
_NOT_A_NUMBER = ("http://terminology.hl7.org/CodeSystem/data-absent-reason", "not-a-number", "Not a Number (NaN)")
_SEXES = {"M": "male", "F": "female", "O": "other"}

Resource = dict[str, Any]


def make(request: RenderRequest) -> bytes:
    """The bundle as indented UTF-8 JSON, the PDF inside."""
    content, identity = request.content, request.page_identity or PageIdentity()
    observations = [*_remarks(content), *(one for section in content.sections for one in _numbers(content, section))]
    resources = [
        _diagnostic_report(content, identity, [one["id"] for one in observations], _pdf(request)),
        _patient(content, identity),
        _imaging_study(content, identity),
        _device(content),
        *observations,
    ]
    bundle = {
        "resourceType": "Bundle",
        "id": _id(content, "bundle"),
        "type": "collection",
        "timestamp": content.made_at,
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources],
    }
    return msgspec.json.format(msgspec.json.encode(bundle), indent=2) + b"\n"


def _diagnostic_report(content: ReportContent, identity: PageIdentity, results: list[str], pdf: bytes) -> Resource:
    found: Resource = {
        "resourceType": "DiagnosticReport",
        "id": content.report,
        "text": _narrative(content),
        "identifier": [_ours("report", content.report), _ours("order", content.order)],
        # Nobody has verified it, and nobody may rest a decision on it: it never becomes final.
        "status": "preliminary",
        "category": [_concept(_RADIOLOGY)],
        "code": {**_coding(PROCEDURE), "text": words.title(content)},
        "subject": _to(content, "patient"),
        "effectiveDateTime": content.made_at,
        "issued": content.made_at,
        "result": [{"reference": f"urn:uuid:{one}"} for one in results],
        "imagingStudy": [{"reference": f"urn:uuid:{content.study}"}],
        "conclusion": " ".join([words.NOTICE_LONG, words.headline(content), *content.caveats]),
        "presentedForm": [
            {"contentType": "application/pdf", "title": words.title(content), "data": base64.b64encode(pdf).decode()}
        ],
    }
    if content.supersedes:
        url = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
        found["extension"] = [{"url": url, "valueReference": {"reference": f"urn:uuid:{content.supersedes}"}}]
    if identity.accession:
        found["basedOn"] = [{"type": "ServiceRequest", "identifier": _accession(identity)}]
    return found


def _patient(content: ReportContent, identity: PageIdentity) -> Resource:
    found: Resource = {
        "resourceType": "Patient",
        "id": _id(content, "patient"),
        "identifier": [_ours("study", content.study)],
        "gender": _SEXES.get(content.sex, "unknown"),
    }
    if identity.patient_id:
        number = {"type": _concept(("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", "Medical record number"))}
        found["identifier"].append({**number, "value": identity.patient_id} | _assigner(identity.issuer))
    if identity.patient_name:
        family, _, given = identity.patient_name.partition("=")[0].partition("^")
        name: Resource = {"text": words.person(identity.patient_name)} | ({"family": family} if family else {})
        names = [one for one in given.split("^")[:2] if one]
        found["name"] = [name | ({"given": names} if names else {})]
    born = words.date(identity.birth_date)
    if len(born) == 10 and born[4] == "-":
        found["birthDate"] = born
    return found


def _imaging_study(content: ReportContent, identity: PageIdentity) -> Resource:
    identifiers = [_ours("study", content.study)]
    if identity.study_instance_uid:
        identifiers.append({"system": "urn:dicom:uid", "value": f"urn:oid:{identity.study_instance_uid}"})
    if identity.accession:
        identifiers.append(_accession(identity))
    return {
        "resourceType": "ImagingStudy",
        "id": content.study,
        "identifier": identifiers,
        "status": "available",
        "modality": [_system_code(Code("MR", "DCM", "Magnetic Resonance"))],
        "subject": _to(content, "patient"),
        "numberOfInstances": content.instances,
    }


def _device(content: ReportContent) -> Resource:
    return {
        "resourceType": "Device",
        "id": _id(content, "device"),
        "manufacturer": "Ranvier",
        "deviceName": [{"name": "Ranvier", "type": "manufacturer-name"}],
        "version": [{"value": f"{name} {value}"} for name, value in content.provenance.items()],
    }


def _numbers(content: ReportContent, section: ProductSection) -> list[Resource]:
    if section.failure:
        return [_said(content, NO_RESULT, f"{section.title}: {section.failure}", f"{section.product}/failure")]
    return [_number(content, section, row) for row in section.rows]


def _number(content: ReportContent, section: ProductSection, row: Row) -> Resource:
    found = coded(row)
    made = _observation(content, found.concept, f"{section.product}/{row.name}")
    made["code"] = {"coding": [_system_code(found.concept)], "text": row.label}
    made["method"] = {
        "text": f"{section.title} {section.version}" + (f": {found.derivation.meaning}" if found.derivation else "")
    }
    if found.site:
        made["bodySite"] = {"coding": [_system_code(found.site)]}
    if row.note:
        made["note"] = [{"text": row.note}]
    if row.value is None:
        return made | {"dataAbsentReason": _concept(_NOT_A_NUMBER)}
    value, _, meaning = found.unit
    return made | {"valueQuantity": {"value": row.value, "unit": meaning, "system": _SYSTEMS["UCUM"], "code": value}}


def _remarks(content: ReportContent) -> list[Resource]:
    """Verdict, caveats and limits as observations, so that no reader of numbers alone misses them."""
    said = [(QUALITY, words.qc_line(content)), *((CAVEAT, one) for one in content.caveats)]
    said += [(NOT_SAID, one) for one in words.limits(content)]
    for label, value, origin in words.age_and_sex(content):
        said.append(
            (Code(f"{label.lower()}-origin", OWN, f"{label} and its origin"), f"{value} ({origin})" if origin else value)
        )
    return [_said(content, code, text, f"remark/{place}") for place, (code, text) in enumerate(said)]


def _said(content: ReportContent, code: Code, text: str, what: str) -> Resource:
    return _observation(content, code, what) | {"valueString": text}


def _observation(content: ReportContent, code: Code, what: str) -> Resource:
    return {
        "resourceType": "Observation",
        "id": _id(content, what),
        "status": "preliminary",
        "category": [_concept(_IMAGING)],
        "code": _coding(code),
        "subject": _to(content, "patient"),
        "effectiveDateTime": content.made_at,
        "device": _to(content, "device"),
        "derivedFrom": [{"reference": f"urn:uuid:{content.study}"}],
    }


def _pdf(request: RenderRequest) -> bytes:
    from appliance.reports import as_pdf

    return as_pdf.make(request)


def _narrative(content: ReportContent) -> Resource:
    lines = [words.title(content), words.NOTICE_LONG, words.headline(content), f"{words.qc_line(content)}.", *content.caveats]
    body = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'}


def _id(content: ReportContent, what: str) -> str:
    return derived_id("fhir", content.report, what)


def _to(content: ReportContent, what: str) -> Resource:
    return {"reference": f"urn:uuid:{_id(content, what)}"}


def _ours(kind: str, identifier: str) -> Resource:
    return {"system": f"urn:ranvier:{kind}", "value": f"urn:uuid:{identifier}"}


def _accession(identity: PageIdentity) -> Resource:
    kind = _concept(("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN", "Accession ID"))
    return {"type": kind, "value": identity.accession}


def _assigner(issuer: str) -> Resource:
    return {"assigner": {"display": issuer}} if issuer else {}


def _coding(code: Code) -> Resource:
    return {"coding": [_system_code(code)], "text": code.meaning}


def _system_code(code: Code) -> Resource:
    return {"system": _SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}


def _concept(coding: tuple[str, str, str]) -> Resource:
    system, code, display = coding
    return {"coding": [{"system": system, "code": code, "display": display}]}
