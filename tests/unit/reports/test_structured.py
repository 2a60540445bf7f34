"""The structured report, the Encapsulated PDF beside it and the HL7 message: read by other people's tools."""

import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pydicom
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message, parse_segment

from appliance.reports import as_hl7, as_png, copies, header, words
from appliance.reports.content import CopyRequest, Hl7Names
from tests.unit.reports.samples import CAVEATS, ORDER, STUDY, a_report, a_section, original_images
from tests.unit.reports.test_encapsulate import PATIENT, SOP

AT = 1_795_354_265_000


def made(folder: Path, *formats: str, **changes: object) -> dict[str, Path]:
    """The copies of one destination."""
    request = CopyRequest(
        content=a_report(),
        out_folder=str(folder),
        formats=list(formats),
        identity=msgspec.to_builtins(PATIENT),
        identity_on_pages=True,
        sop_instance_uid=SOP,
        created_at=AT,
        sources=original_images(folder, PATIENT.study_instance_uid),
        hl7=Hl7Names(receiving_application="HIS", control_id="0123456789abcdef0123"),
    )
    answer = copies.run(msgspec.structs.replace(request, **changes), lambda fraction, step: None)
    return {name: folder / file for name, file in answer.files.items()}


def tool(name: str, *arguments: str) -> str:
    """What one of Clunie's tools says; they come with the development environment."""
    done = subprocess.run([str(Path(sys.prefix) / "bin" / name), *arguments], capture_output=True, check=False)
    return (done.stdout + done.stderr).decode("latin-1")


def errors_of(file: Path) -> list[str]:
    return [line for line in tool("dciodvfy", "-new", str(file)).splitlines() if line.startswith("Error")]


def texts(dataset: pydicom.Dataset) -> list[str]:
    return [str(one.TextValue) for one in dataset.ContentSequence[-1].ContentSequence]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("copies")
    return made(folder, "dicom-pdf", "dicom-sr", "dicom-sc", "hl7", predecessor_uid="2.25.7", predecessor_report=STUDY)


def test_dciodvfy_finds_no_error_in_any_dicom_output(both: dict[str, Path], tmp_path: Path) -> None:
    """RES-01: 0 errors, also from a study with wrong and missing values; a damaged object shows that it would find some."""
    assert errors_of(both["dicom-pdf"]) == errors_of(both["dicom-sr"]) == errors_of(both["dicom-sc"]) == []
    bare = msgspec.structs.replace(PATIENT, patient_name="", birth_date="", sex="", age="", study_id="", issuer="")
    content = a_report(sections=[a_section(), a_section(product="dti-fw", rows=[], failure="Out of memory.")], version=2)
    for file in made(
        tmp_path, "dicom-pdf", "dicom-sr", "dicom-sc", identity=msgspec.to_builtins(bare), content=content
    ).values():
        assert errors_of(file) == []
    damaged = pydicom.dcmread(both["dicom-sr"])
    del damaged.ContentSequence, damaged.CompletionFlag
    damaged.save_as(tmp_path / "damaged.dcm")
    assert errors_of(tmp_path / "damaged.dcm")


def test_the_structured_report_is_a_tid_1500_document_with_coded_numbers(both: dict[str, Path]) -> None:
    """RES-01: measurements with codes, finding sites, tracking identifiers; read by an independent dumper."""
    dump = tool("dcsrdump", str(both["dicom-sr"]))
    for line in (
        '(126000,DCM,"Imaging Measurement Report")  [CONTINUOUS] (DCMR,1500)',
        '(125007,DCM,"Measurement Group")  [CONTINUOUS] (DCMR,1501)',
        '(112040,DCM,"Tracking Unique Identifier")',
        '(363698007,SCT,"Finding Site")  = (12738006,SCT,"Brain")',
        '(110808,DCM,"Fractional Anisotropy")  = 0.2874 {0.2874} (1,UCUM,"no units")',
        '(113202,DCM,"Mean Diffusivity")  = 0.000812 {0.000812} (mm2/s,UCUM,"mm2/s")',
        '(121401,DCM,"Derivation")  = (373099004,SCT,"Median")',
    ):
        assert line in dump


def test_it_is_filed_with_the_original_study_and_refers_to_the_images_and_the_version_before(both: dict[str, Path]) -> None:
    """RES-01, RES-05."""
    found = pydicom.dcmread(both["dicom-sr"])
    assert (str(found.PatientName), found.PatientID, found.AccessionNumber) == ("Müller^Jürgen", "PAT-0042", "ACC-77")
    assert found.StudyInstanceUID == PATIENT.study_instance_uid
    assert (found.SOPInstanceUID, found.Modality, found.PreliminaryFlag, found.VerificationFlag) == (
        SOP,
        "SR",
        "PRELIMINARY",
        "UNVERIFIED",
    )
    evidence = [
        one.ReferencedSOPInstanceUID
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in found.get(name, [])
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]
    assert sorted(evidence) == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    (before,) = found.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert before.ReferencedSOPInstanceUID == "2.25.7"
    pdf = pydicom.dcmread(both["dicom-pdf"])
    assert sorted(one.ReferencedSOPInstanceUID for one in pdf.SourceInstanceSequence) == sorted(evidence)
    assert pdf.SeriesInstanceUID != found.SeriesInstanceUID


def test_it_says_what_must_be_read_before_the_numbers(both: dict[str, Path]) -> None:
    """RES-01: caveats, origins and limits stand in the SR too."""
    said = texts(pydicom.dcmread(both["dicom-sr"]))
    assert words.NOTICE_LONG in said
    assert set(CAVEATS) <= set(said)
    assert set(words.limits(a_report())) <= set(said)
    assert "Sex: F (given on a form)" in said
    assert "Fit residual, median: not computable" in said


def test_the_secondary_capture_shows_every_page_and_is_filed_with_the_study(both: dict[str, Path], tmp_path: Path) -> None:
    """RES-07: for a PACS that shows no PDF; one frame a page, as the PDF looks, of the original patient and study."""
    found = pydicom.dcmread(both["dicom-sc"])
    pdf = bytes(pydicom.dcmread(both["dicom-pdf"]).EncapsulatedDocument)
    pages = as_png.page_pictures(pdf, as_png.DOTS_PER_INCH)
    assert found.SOPClassUID == pydicom.uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    assert (found.StudyInstanceUID, found.PatientID, found.AccessionNumber) == (
        PATIENT.study_instance_uid,
        "PAT-0042",
        "ACC-77",
    )
    assert (int(found.NumberOfFrames), list(found.PageNumberVector)) == (len(pages), list(range(1, len(pages) + 1)))
    assert found.BurnedInAnnotation == "YES"
    assert ORDER in found.ImageComments
    assert len(found.SourceImageSequence) == 3
    frame = found.pixel_array[0]
    assert frame.tobytes() == pages[0].convert("L").tobytes()
    assert int(frame.min()) < 40 and int(frame.max()) == 255


def test_the_same_request_gives_the_same_bytes(both: dict[str, Path], tmp_path: Path) -> None:
    """RES-04: a retry sends the same object."""
    again = made(tmp_path, "dicom-pdf", "dicom-sr", "dicom-sc", "hl7", predecessor_uid="2.25.7", predecessor_report=STUDY)
    assert {name: file.read_bytes() for name, file in again.items()} == {name: file.read_bytes() for name, file in both.items()}


def test_without_the_original_images_there_is_no_structured_report(tmp_path: Path) -> None:
    with pytest.raises(header.NoImages):
        made(tmp_path, "dicom-sr", sources=[str(tmp_path / "gone.dcm")])


def test_another_study_s_image_is_no_source(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (file,) = made(tmp_path, "dicom-pdf", sources=original_images(other, "1.2.3.4")).values()
    assert "SourceInstanceSequence" not in pydicom.dcmread(file)


def test_the_hl7_message_is_an_oru_r01_for_another_parser(both: dict[str, Path]) -> None:
    """RES-07: hl7apy takes every segment strictly, and finds the groups, the numbers and the PDF."""
    text = both["hl7"].read_bytes().decode()
    for segment in text.rstrip("\r").split("\r")[:-1]:
        parse_segment(segment, version="2.5.1", validation_level=VALIDATION_LEVEL.STRICT).validate()
    message = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=True)
    assert message.validate()
    result = message.oru_r01_patient_result
    assert result.oru_r01_patient.pid.pid_5.to_er7() == "Müller^Jürgen"
    order = result.oru_r01_order_observation
    assert (order.obr.obr_2.to_er7(), order.obr.obr_3.to_er7()) == ("ACC-77", f"{ORDER}^RANVIER")
    observations = [one.obx for one in order.oru_r01_observation]
    assert set(CAVEATS) <= {one.obx_5.to_er7() for one in observations}
    (number,) = [one for one in observations if one.obx_4.to_er7() == "dti.md_median"]
    assert (number.obx_2.to_er7(), number.obx_5.to_er7(), number.obx_6.ce_1.to_er7()) == ("NM", "0.000812", "mm2/s")
    embedded = observations[-1].obx_5.to_er7().split("^")
    assert embedded[:4] == ["", "application", "pdf", "Base64"]
    assert (message.msh.msh_10.to_er7(), {one.obx_11.to_er7() for one in observations}) == ("0123456789abcdef0123", {"P"})


def test_separators_in_a_text_stay_characters(tmp_path: Path) -> None:
    content = a_report(caveats=["a|b^c~d\\e&f\rOBX|9|TX|x||injected"])
    (file,) = made(tmp_path, "hl7", content=content).values()
    segments = file.read_bytes().decode().split("\r")
    assert not any("injected" in one and one.startswith("OBX|9|TX|x") for one in segments)
    assert any("a\\F\\b\\S\\c\\R\\d\\E\\e\\T\\f" in one for one in segments)


def test_hl7_without_identity_names_nobody(tmp_path: Path) -> None:
    """RES-05."""
    (file,) = made(tmp_path, "hl7", identity_on_pages=False).values()
    text = file.read_bytes()
    for value in ("Müller", "PAT-0042", "19700102", "ACC-77"):
        assert value.encode() not in text
    assert STUDY.encode() in text


def test_a_dicom_value_that_is_wrong_is_kept_in_the_sr(tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(PATIENT, birth_date="02.01.1970", sex="male", patient_id="P" * 70)
    (file,) = made(tmp_path, "dicom-sr", identity=msgspec.to_builtins(wrong)).values()
    with pydicom.config.disable_value_validation():
        found = pydicom.dcmread(io.BytesIO(file.read_bytes()))
        assert (found.PatientBirthDate, found.PatientSex) == ("02.01.1970", "male")


def test_names_are_put_into_hl7_s_order() -> None:
    assert as_hl7._name("Doe^Jane^Q^Dr^PhD=other") == "Doe^Jane^Q^PhD^Dr"
