"""The DICOM object of a report: original identity, right modules, read by pydicom and DCMTK."""

import io
import subprocess
import warnings
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pydicom
import pytest

from appliance.moments import uid_of
from appliance.records.identities import PatientIdentity
from appliance.reports import copies, header
from appliance.reports import encapsulate as room
from appliance.reports.content import CopyRequest
from appliance.reports.sources import Source
from tests.servers import program
from tests.unit.reports.samples import ORDER, REPORT, a_failure, a_report

SOP = "2.25.1234567890123456789"
SERIES = uid_of(REPORT)
NOW = datetime(2026, 11, 22, 14, 31, tzinfo=timezone(timedelta(hours=1)))
PATIENT = PatientIdentity(
    patient_name="Müller^Jürgen",
    patient_id="PAT-0042",
    issuer="HOSPITAL",
    birth_date="19700102",
    sex="M",
    age="056Y",
    accession="ACC-77",
    study_instance_uid="1.2.826.0.1.3680043.10.1111.42",
    study_id="S1",
    study_date="20261120",
    study_time="101500",
    study_description="MRI Schädel",
    referring_physician="House^Gregory",
    character_set="ISO_IR 100",
)


def a_file(patient: PatientIdentity = PATIENT, pdf: bytes = b"%PDF-1.4 odd.", **changes: object) -> bytes:
    how = {"content": a_report(), "sop_instance_uid": SOP, "series_instance_uid": SERIES, "now": NOW, **changes}
    return room.encapsulate(pdf, patient, **how)  # type: ignore[arg-type]


def read(made: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(made))


def test_the_object_carries_the_original_patient_study_and_accession() -> None:
    """RES-05: so that the PACS files it with its study."""
    found = read(a_file())
    assert str(found.PatientName) == "Müller^Jürgen"
    assert (found.PatientID, found.IssuerOfPatientID, found.PatientBirthDate) == ("PAT-0042", "HOSPITAL", "19700102")
    assert (found.PatientSex, found.PatientAge, found.AccessionNumber) == ("M", "056Y", "ACC-77")
    assert (found.StudyInstanceUID, found.StudyID) == ("1.2.826.0.1.3680043.10.1111.42", "S1")
    assert (found.StudyDate, found.StudyTime) == ("20261120", "101500")
    assert (found.StudyDescription, found.ReferringPhysicianName) == ("MRI Schädel", "House^Gregory")


def test_it_is_an_encapsulated_pdf_of_its_own_series() -> None:
    """RES-01: DICOM Encapsulated PDF, PS3.3 A.45.1."""
    found = read(a_file())
    assert found.SOPClassUID == found.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1"
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID == SOP
    assert (found.Modality, found.ConversionType, found.SeriesInstanceUID) == ("DOC", "WSD", SERIES)
    assert found.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert (found.EncapsulatedDocumentLength, len(found.EncapsulatedDocument)) == (13, 14)
    assert (found.ContentDate, found.ContentTime) == ("20261122", "143105")
    assert found.VerificationFlag == "UNVERIFIED"
    assert "Not for clinical use" in found.DocumentTitle
    assert found.ConceptNameCodeSequence[0].CodeValue == "126000"
    for type_2 in ("AcquisitionDateTime", "Manufacturer", "InstanceNumber"):
        assert type_2 in found


def test_type_2_attributes_are_there_even_when_the_original_had_nothing() -> None:
    found = read(a_file(PatientIdentity(study_instance_uid="1.2.3"), content=a_failure()))
    for name in (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
        "StudyID", "AccessionNumber", "ConceptNameCodeSequence",
    ):  # fmt: skip
        assert name in found
        assert not found[name].value
    assert "SpecificCharacterSet" not in found


@pytest.mark.parametrize(("on_pages", "said"), [(True, "YES"), (False, "NO")])
def test_burned_in_annotation_follows_the_pages(on_pages: bool, said: str) -> None:
    assert read(a_file(identity_on_pages=on_pages)).BurnedInAnnotation == said


def test_the_same_arguments_give_the_same_bytes() -> None:
    """RES-04: a retry sends the same object."""
    assert a_file() == a_file()


@pytest.mark.parametrize(
    ("declared", "name", "written"),
    [
        ("", "Doe^Jane", None),
        ("ISO_IR 6", "Doe^Jane", None),
        ("", "Müller", "ISO_IR 192"),
        ("ISO_IR 100", "Müller^Jürgen", "ISO_IR 100"),
        ("ISO_IR 100", "Łukasz^Ł", "ISO_IR 192"),
        ("ISO_IR 144", "Люкceмбypг^Я", "ISO_IR 144"),
        ("ISO_IR 127", "قباني^لنزار", "ISO_IR 127"),
        ("ISO_IR 138", "שרון^דבורה", "ISO_IR 138"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", ["", "ISO 2022 IR 87"]),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동", ["", "ISO 2022 IR 149"]),
        ("GB18030", "王^小东", "GB18030"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東", "ISO_IR 192"),
        ("no such set", "Doe^Jane", "ISO_IR 192"),
    ],
)
def test_the_study_s_character_set_is_kept_where_it_can_be(declared: str, name: str, written: object) -> None:
    """RES-05: names in every script come back as they were."""
    patient = msgspec.structs.replace(PATIENT, character_set=declared, patient_name=name, study_description="MRI")
    found = read(a_file(patient))
    assert found.get("SpecificCharacterSet") == written
    assert str(found.PatientName) == name


def test_wrong_values_of_the_original_are_kept_and_never_quoted_in_a_warning() -> None:
    wrong = msgspec.structs.replace(
        PATIENT, birth_date="02.01.1970", sex="male", age="56", accession="ACC" * 10, patient_id="P" * 70
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = a_file(wrong)
    with pydicom.config.disable_value_validation():
        found = read(made)
        assert (found.PatientBirthDate, found.PatientSex, found.AccessionNumber) == ("02.01.1970", "male", "ACC" * 10)


def test_without_a_study_there_is_no_object() -> None:
    with pytest.raises(header.NoStudy):
        a_file(PatientIdentity(patient_id="P"))


def test_sources_become_the_source_instance_sequence() -> None:
    found = read(a_file(sources=[Source("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4")]))
    (item,) = found.SourceInstanceSequence
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == ("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4")
    assert "SourceInstanceSequence" not in read(a_file())


def test_the_stage_draws_the_pages_with_the_patient_and_dcmtk_reads_them_back(tmp_path: Path) -> None:
    """RES-01 and RES-05: DCMTK's dcmdump and dcm2pdf accept the object; the PDF comes out whole."""
    request = CopyRequest(
        formats=["dicom-pdf"],
        content=a_report(),
        out_folder=str(tmp_path),
        identity=msgspec.to_builtins(PATIENT),
        identity_on_pages=True,
        sop_instance_uid=SOP,
        created_at=int(datetime(2026, 11, 22, 13, 31, tzinfo=UTC).timestamp() * 1000),
    )
    steps: list[float] = []
    answer = copies.run(request, lambda fraction, step: steps.append(fraction))
    assert answer.files == {"dicom-pdf": f"{ORDER}_report.dcm"}
    assert steps == [0.0, 1.0]
    file = tmp_path / f"{ORDER}_report.dcm"
    found = read(file.read_bytes())
    assert (found.SOPInstanceUID, found.SeriesInstanceUID, found.BurnedInAnnotation) == (SOP, SERIES, "YES")
    dump = subprocess.run([program("dcmdump", "dcmtk"), "-q", str(file)], capture_output=True, text=True, errors="replace")
    assert dump.returncode == 0
    assert "=EncapsulatedPDFStorage" in dump.stdout
    pdf = tmp_path / "back.pdf"
    back = subprocess.run([program("dcm2pdf", "dcmtk"), str(file), str(pdf)], capture_output=True, text=True, errors="replace")
    assert (back.returncode, back.stderr) == (0, "")
    assert pdf.read_bytes().startswith(b"%PDF-1.4")
    assert pdf.read_bytes().rstrip(b"\0\n").endswith(b"%%EOF")


@pytest.mark.needs_data
@pytest.mark.parametrize(
    "name",
    ["arabic", "chinese_utf8", "greek", "hebrew", "japanese_iso2022", "japanese_shiftjis_x201", "korean", "latin2_polish"],
)
def test_names_of_real_headers_survive(real_data: Path, name: str) -> None:
    """RES-05: the charsets of the data folder."""
    original = pydicom.dcmread(real_data / "charsets" / "derived_mr" / f"mr_{name}.dcm", stop_before_pixels=True)
    declared = original.get("SpecificCharacterSet", "")
    declared = declared if isinstance(declared, str) else "\\".join(declared)
    patient = msgspec.structs.replace(
        PATIENT, patient_name=str(original.PatientName), character_set=declared, study_description=""
    )
    assert str(read(a_file(patient)).PatientName) == str(original.PatientName)
