"""XML, feature vector, DICOM CSV and FHIR: the same report for other readers."""

import csv
import io
import json
import xml.etree.ElementTree as Xml
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle

from appliance.reports import as_csv, as_dicom_csv, as_fhir, as_json, as_xml, render, words
from appliance.reports.codes import coded
from appliance.reports.content import REPORT_FORMATS, PageIdentity, Row
from tests.unit.reports.samples import (
    CAVEATS,
    HOSTILE,
    IDENTITY,
    ORDER,
    REPORT,
    STUDY,
    a_failure,
    a_report,
    a_request,
    a_section,
)

FULL = msgspec.structs.replace(IDENTITY, accession="ACC-77", study_instance_uid="1.2.3.42", issuer="HOSPITAL")
SPACE = "{urn:ranvier:report:1}"


def two_products() -> list:  # type: ignore[type-arg]
    return [a_section(), a_section(product="dti-fw", title="Free water", rows=[], failure="The run ran out of memory.")]


def table(made: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.decode(), newline="")))


@pytest.mark.parametrize("content", [a_report(sections=two_products()), a_failure(), a_report(version=2, supersedes=STUDY)])
def test_every_json_fits_the_published_schema(content, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """RES-01: the schema is versioned and says what the JSON holds, numbers that are none included."""
    schema = as_json.schema()
    assert schema["$id"] == "urn:ranvier-report/1"
    jsonschema_rs.validate(schema, json.loads(as_json.make(a_request(tmp_path, content))))
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, {"order": ORDER})


def test_xml_says_what_the_json_says_under_the_same_names(tmp_path: Path) -> None:
    """RES-01: XML."""
    request = a_request(tmp_path, a_report(sections=two_products()))
    root, document = Xml.fromstring(as_xml.make(request)), json.loads(as_json.make(request))
    assert root.tag == f"{SPACE}report"
    assert [child.tag.removeprefix(SPACE) for child in root] == [name for name, one in document.items() if one is not None]
    assert [one.text for one in root.iter(f"{SPACE}caveat")] == CAVEATS
    rows = root.findall(f"{SPACE}sections/{SPACE}section/{SPACE}rows/{SPACE}row")
    assert [one.findtext(f"{SPACE}name") for one in rows] == [one["name"] for one in document["sections"][0]["rows"]]
    assert float(rows[0].findtext(f"{SPACE}value") or "") == 0.2874
    assert rows[6].findtext(f"{SPACE}value") == ""
    assert root.findtext(f"{SPACE}sections/{SPACE}section[2]/{SPACE}failure") == "The run ran out of memory."


def test_the_feature_vector_is_one_row_that_can_be_put_below_others(tmp_path: Path) -> None:
    """RES-01: CSV, one column for each number, the caveats among them."""
    (row,) = table(as_csv.make(a_request(tmp_path, a_report(sections=two_products()))))
    assert (row["Subject"], row["order"], row["report"]) == (STUDY, ORDER, REPORT)
    assert (row["dti.fa_mean"], row["dti.voxels"], row["dti.residual"]) == ("0.2874", "181234", "")
    assert row["caveats"] == " | ".join(CAVEATS)
    assert row["failed_products"] == "dti-fw: The run ran out of memory."
    assert (row["qc_verdict"], row["sex_origin"], row["notice"]) == ("bypassed", "form", words.NOTICE_LONG)


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    content = a_report(site="=cmd()", caveats=["@SUM(A1)"], sections=[a_section(rows=[Row(name="low", label="-", value=-3.5)])])
    (row,) = table(as_csv.make(a_request(tmp_path, content)))
    assert (row["site"], row["caveats"], row["dti.low"]) == ("'=cmd()", "'@SUM(A1)", "-3.5")


def test_dicom_csv_has_each_number_with_its_codes(tmp_path: Path) -> None:
    """RES-01: DICOM CSV, the measurements of the SR as a table."""
    rows = table(as_dicom_csv.make(a_request(tmp_path, a_report(sections=two_products()))))
    assert len(rows) == len(a_section().rows) + 1
    first = rows[1]
    assert (first["concept_code"], first["concept_scheme"]) == ("113202", "DCM")
    assert (first["derivation"], first["value"], first["unit_code"]) == ("Median", "0.000812", "mm2/s")
    assert rows[0]["tracking_uid"] == rows[3]["tracking_uid"]
    assert rows[-1]["note"] == "No result: The run ran out of memory."
    assert {row["caveats"] for row in rows} == {" | ".join(CAVEATS)}


@pytest.mark.parametrize(
    ("name", "label", "concept", "derivation", "site"),
    [
        ("fa_mean_white_matter", "FA mean, white matter", "110808", "Mean", "68523003"),
        ("s5_md_sd_brain", "Series 5: MD standard deviation, brain", "113202", "Standard Deviation", "12738006"),
        ("volume_brain", "Volume, brain", "118565006", "", "12738006"),
        ("fw_mean_putamen_left", "Free water mean, Putamen, left", "fw", "Mean", "putamen_left"),
        ("z_fa_mean_white_matter", "z-score, FA", "z_fa_mean_white_matter", "Z-score", "68523003"),
        ("directions", "Gradient directions", "directions", "", ""),
    ],
)
def test_numbers_have_the_standard_s_codes_where_there_are_some(
    name: str, label: str, concept: str, derivation: str, site: str
) -> None:
    found = coded(Row(name=name, label=label, value=1.0))
    assert found.concept.value == concept
    assert (found.derivation.meaning if found.derivation else "") == derivation
    assert (found.site.value if found.site else "") == site
    assert all(one.meaning.isascii() and len(one.meaning) <= 64 for one in found if one)


def resources(made: bytes, kind: str) -> list:  # type: ignore[type-arg]
    bundle = json.loads(made)
    return [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind]


@pytest.mark.parametrize("identity", [None, FULL])
@pytest.mark.parametrize("content", [a_report(sections=two_products()), a_report(version=2, supersedes=STUDY, site=HOSTILE)])
def test_the_fhir_bundle_is_valid_r4(content, identity: PageIdentity | None, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """RES-01: FHIR R4, checked by other people's models; every reference inside the bundle resolves."""
    made = render.render(a_request(tmp_path, content, page_identity=identity), "fhir")
    bundle = Bundle.model_validate_json(made)
    here = {one["fullUrl"] for one in json.loads(made)["entry"]}
    (report,) = resources(made, "DiagnosticReport")
    assert {one["reference"] for one in report["result"]} | {report["subject"]["reference"]} <= here
    assert len(report["result"]) == len(resources(made, "Observation"))
    assert bundle.type == "collection"
    assert all(caveat in report["conclusion"] for caveat in CAVEATS)
    assert set(CAVEATS) <= {one.get("valueString") for one in resources(made, "Observation")}
    assert ("extension" in report) == bool(content.supersedes)


def test_fhir_names_the_patient_only_where_a_destination_may(tmp_path: Path) -> None:
    """RES-05."""
    plain, named = (as_fhir.make(a_request(tmp_path, page_identity=one)) for one in (None, FULL))
    for value in ("Louise", "PAT-0042", "1992-12-05", "ACC-77", "1.2.3.42"):
        assert value.encode() not in plain
        assert value.encode() in named
    (patient,) = resources(named, "Patient")
    assert patient["name"][0]["given"] == ["Louise", "Antoinette"]
    assert resources(named, "ImagingStudy")[0]["identifier"][1]["value"] == "urn:oid:1.2.3.42"


def test_fhir_numbers_are_quantities_in_ucum_or_say_why_not(tmp_path: Path) -> None:
    found = {one["code"].get("text"): one for one in resources(as_fhir.make(a_request(tmp_path)), "Observation")}
    assert found["MD, median in the brain"]["valueQuantity"] == {
        "value": 0.000812,
        "unit": "mm2/s",
        "system": "http://unitsofmeasure.org",
        "code": "mm2/s",
    }
    assert found["Fit residual, median"]["dataAbsentReason"]["coding"][0]["code"] == "not-a-number"


def test_every_format_is_the_same_when_made_again(tmp_path: Path) -> None:
    """RES-04: a retry sends the same bytes."""
    for name in REPORT_FORMATS:
        assert render.render(a_request(tmp_path), name) == render.render(a_request(tmp_path), name), name
