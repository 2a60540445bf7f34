from datetime import date, timedelta
from pathlib import Path

import msgspec
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from appliance.deidentify.errors import BadRequest, BurnedInText, NotAnImageInput, UnreadableInstance
from appliance.deidentify.passport import Passport
from appliance.deidentify.run import passport_path, run
from appliance.deidentify.verifier import release
from tests.unit.deidentify.planted import PIXELS, TOKENS, a_request, an_instance, deidentified, left_in, quiet, written

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_no_planted_identity_survives_in_any_corner_of_the_file(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    """DEID-01: names, numbers, places and dates are gone from elements, items, private data, meta, preamble and overlays."""
    answer = deidentified([an_instance(tmp_path / "in.dcm", syntax=syntax)], tmp_path / "out")
    assert answer.passport.residues == []
    (output,) = written(tmp_path / "out")
    dataset = pydicom.dcmread(output)
    # A deflated file hides its text from a search of its bytes.
    assert left_in(output, TOKENS) == []
    assert [token for token in TOKENS if token.lower() in str(dataset).lower()] == []
    assert output.read_bytes()[:128] == bytes(128)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_conversion_needs_stays(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    """DEID-07: sex, age, transfer syntax, geometry, diffusion and pixels are the source's."""
    source = an_instance(tmp_path / "in.dcm", syntax=syntax)
    deidentified([source], tmp_path / "out")
    before, after = pydicom.dcmread(source), pydicom.dcmread(written(tmp_path / "out")[0])
    assert after.file_meta.TransferSyntaxUID == syntax
    assert after.PixelData == before.PixelData == PIXELS
    for keyword in ("PatientSex", "PatientAge", "DiffusionBValue", "DiffusionGradientOrientation", "ImagePositionPatient",
                    "ImageType", "SeriesNumber", "InstanceNumber", "SoftwareVersions", "ManufacturerModelName", "StudyTime",
                    "BodyPartExamined", "EchoTime", "Modality"):  # fmt: skip
        assert after[keyword].value == before[keyword].value, keyword
    siemens = after.private_block(0x0019, "SIEMENS MR HEADER")
    assert int(siemens[0x0C].value) == 1000
    assert 0x77 not in siemens


def test_the_output_says_that_and_how_it_was_deidentified(tmp_path: Path) -> None:
    answer = deidentified([an_instance(tmp_path / "in.dcm")], tmp_path / "out")
    dataset = pydicom.dcmread(written(tmp_path / "out")[0])
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.DeidentificationMethod == "Ranvier safe-harbor-shifted 1"
    assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
    assert {item.CodeValue for item in dataset.DeidentificationMethodCodeSequence} >= {"113105", "113107"}
    assert answer.passport.profile == "safe-harbor-shifted"
    assert any("not Safe Harbor" in note for note in answer.passport.notes)


def test_type_2_attributes_stay_empty(tmp_path: Path) -> None:
    deidentified([an_instance(tmp_path / "in.dcm")], tmp_path / "out")
    dataset = pydicom.dcmread(written(tmp_path / "out")[0])
    for keyword in ("PatientName", "PatientID", "ReferringPhysicianName", "AccessionNumber", "StudyID"):
        assert keyword in dataset and not dataset[keyword].value


def test_references_inside_a_study_still_resolve(tmp_path: Path) -> None:
    """DEID-06: study, series, instance, meta, frame of reference and referenced UIDs are replaced, each always by the same."""
    files = [an_instance(tmp_path / f"{number}.dcm", number=number) for number in (1, 2)]
    answer = deidentified(files, tmp_path / "out")
    first, second = (pydicom.dcmread(path) for path in written(tmp_path / "out"))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert second.ReferencedImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID != second.SOPInstanceUID
    assert second.ReferencedImageSequence[0].ReferencedSOPClassUID == second.SOPClassUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert all(
        str(uid).startswith("2.25.") and len(uid) <= 64 and uid.is_valid
        for uid in (first.StudyInstanceUID, first.FrameOfReferenceUID)
    )
    assert answer.linking["1.2.3.4.5.6"] == first.StudyInstanceUID


def test_every_uid_of_the_study_is_replaced_and_the_standards_own_stay(tmp_path: Path) -> None:
    """DEID-06: Dimension Organization, frames of reference and instances to any depth; well-known UIDs and classes stay."""
    organization, atlas = Dataset(), Dataset()
    organization.DimensionOrganizationUID = "1.2.3.4.5.6.9"
    atlas.VolumeFrameOfReferenceUID, atlas.ReferencedSOPClassUID = "1.2.840.10008.1.4.1.1", "1.2.840.10008.5.1.4.1.1.4"
    source = an_instance(
        tmp_path / "in.dcm",
        DimensionOrganizationSequence=[organization],
        SourceImageSequence=[atlas],
        SynchronizationFrameOfReferenceUID="1.2.840.10008.15.1.1",
    )
    for profile in ("safe-harbor-shifted", "ps3.15-basic"):
        answer = deidentified([source], tmp_path / "out", profile=profile)
        assert answer.passport.residues == []
        dataset = pydicom.dcmread(written(tmp_path / "out")[0])
        assert dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID == answer.linking["1.2.3.4.5.6.9"]
        assert dataset.SourceImageSequence[0].VolumeFrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
        assert dataset.SourceImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
        assert dataset.SynchronizationFrameOfReferenceUID == "1.2.840.10008.15.1.1"
        assert not [one for one in dataset.iterall() if one.VR == "UI" and str(one.value).startswith("1.2.3.4")]


def test_a_study_sent_again_gets_the_same_bytes(tmp_path: Path) -> None:
    source = an_instance(tmp_path / "in.dcm")
    deidentified([source], tmp_path / "one")
    deidentified([source], tmp_path / "two")
    assert written(tmp_path / "one")[0].read_bytes() == written(tmp_path / "two")[0].read_bytes()


def test_intervals_between_two_studies_of_a_patient_survive(tmp_path: Path) -> None:
    """DEID-02: one offset for all studies of a patient, within the range, never 0; another patient gets another."""
    moved = []
    for name, day, patient in (("a", "20240311", "p1"), ("b", "20250914", "p1"), ("c", "20240311", "p2")):
        source = an_instance(tmp_path / name / "in.dcm", study_date=day, study=f"1.2.3.{ord(name)}")
        deidentified([source], tmp_path / name / "out", pseudonym=patient)
        dataset = pydicom.dcmread(written(tmp_path / name / "out")[0])
        assert dataset.AcquisitionDateTime.startswith(dataset.StudyDate + "101522.25")
        assert dataset.StudyTime == "101522"
        moved.append(date.fromisoformat(dataset.StudyDate))
    assert moved[1] - moved[0] == date(2025, 9, 14) - date(2024, 3, 11)
    assert timedelta(0) < abs(moved[0] - date(2024, 3, 11)) <= timedelta(365)
    assert moved[2] != moved[0]


def test_the_profile_without_dates_removes_dates_and_times(tmp_path: Path) -> None:
    """DEID-02: `safe-harbor`, and shifting switched off, leave no date and no time."""
    for section in ({"profile": "safe-harbor"}, {"shift_dates": False}):
        answer = deidentified([an_instance(tmp_path / "in.dcm")], tmp_path / "out", **section)
        assert answer.passport.clean and answer.passport.profile == "safe-harbor"
        dataset = pydicom.dcmread(written(tmp_path / "out")[0])
        found = [element for element in dataset.iterall() if element.VR in ("DA", "DT", "TM") and element.value]
        assert found == []
        assert dataset.LongitudinalTemporalInformationModified == "REMOVED"


@pytest.mark.parametrize(
    ("age", "birth", "given"),
    [("094Y", "19300101", {}), ("105Y", "", {}), ("", "19300101", {}), ("", "19500101", {"age": "91"})],
)
def test_ages_over_89_become_90_and_the_birth_date_goes(tmp_path: Path, age: str, birth: str, given: dict[str, str]) -> None:
    """DEID-07: over 89 is 090Y, and then there is no birth date, in no instance of the study."""
    files = [an_instance(tmp_path / "1.dcm", PatientAge=age or None, PatientBirthDate=birth)]
    files.append(an_instance(tmp_path / "2.dcm", number=2, PatientAge=None, PatientBirthDate=birth))
    answer = run(a_request(files, tmp_path / "out", given=given), quiet)
    assert answer.passport.residues == []
    for path in written(tmp_path / "out"):
        dataset = pydicom.dcmread(path)
        assert not dataset.PatientBirthDate
        assert dataset.get("PatientAge", "090Y") == "090Y"


def test_a_zip_code_is_masked_to_three_digits_where_the_setting_says_so(tmp_path: Path) -> None:
    """DEID-03: three digits stay, few people's areas are 000; without the setting the address goes."""
    for address, expected in (("Quarzweg 3, OH 44266", "44200"), ("Quarzweg 3, 03601", "00000"), ("Quarzweg 3", "")):
        source = an_instance(tmp_path / "in.dcm", PatientAddress=address)
        answer = deidentified([source], tmp_path / "out", mask_zip_codes=True)
        assert answer.passport.residues == []
        assert (pydicom.dcmread(written(tmp_path / "out")[0]).PatientAddress or "") == expected
    deidentified([source], tmp_path / "out")
    assert "PatientAddress" not in pydicom.dcmread(written(tmp_path / "out")[0])


def test_software_versions_go_where_the_setting_says_so(tmp_path: Path) -> None:
    """DEID-04"""
    deidentified([an_instance(tmp_path / "in.dcm")], tmp_path / "out", remove_software_versions=True)
    assert "SoftwareVersions" not in pydicom.dcmread(written(tmp_path / "out")[0])


def test_free_text_keeps_what_is_no_identity(tmp_path: Path) -> None:
    """DEID-05: marks stand where identity stood; the rest of the sentence stays."""
    deidentified([an_instance(tmp_path / "in.dcm")], tmp_path / "out")
    dataset = pydicom.dcmread(written(tmp_path / "out")[0])
    assert dataset.StudyDescription == "MR BRAIN [NAME_REMOVED] [PLACE_REMOVED] [ID_REMOVED]"
    assert dataset.SeriesDescription == "DTI_64 for [NAME_REMOVED]"
    assert "[DATE_REMOVED] [URL_REMOVED] [IP_ADDRESS_REMOVED]" in dataset.ImageComments


def test_a_gradient_in_the_image_comments_stays(tmp_path: Path) -> None:
    comment = "b=1500(0.445,0.000,0.895)"
    source = an_instance(tmp_path / "in.dcm", ImageComments=comment, PatientID="1500")
    assert deidentified([source], tmp_path / "out").passport.residues == []
    assert pydicom.dcmread(written(tmp_path / "out")[0]).ImageComments == comment


def test_words_of_the_trade_stay_where_they_are_technical(tmp_path: Path) -> None:
    """A patient called Head^May, a station called like its model: codes and model stay, descriptions lose the name."""
    source = an_instance(
        tmp_path / "in.dcm",
        PatientName="Head^May",
        StationName="Prisma_fit",
        StudyDescription="head of May",
        OtherPatientIDs="12",
    )
    answer = deidentified([source], tmp_path / "out")
    assert answer.passport.residues == []
    dataset = pydicom.dcmread(written(tmp_path / "out")[0])
    assert dataset.BodyPartExamined == "HEAD" and dataset.ManufacturerModelName == "Prisma_fit"
    assert dataset.StudyDescription == "[NAME_REMOVED] of [NAME_REMOVED]"


@pytest.mark.parametrize(
    "name", ["Place^Name", "Removed^Date", "Ranvier^Clean", "Harbor^Option", "Siemens^Head", "Ng^Li", "Long^Grant"]
)
def test_a_name_that_is_a_word_of_ours_is_no_finding(tmp_path: Path, name: str) -> None:
    """DEID-09: no false finding on clean output, whatever the patient is called; and the description loses the name."""
    source = an_instance(tmp_path / "in.dcm", PatientName=name, StudyDescription=f"for {name.replace('^', ' ')} at Eulenklinik")
    assert deidentified([source], tmp_path / "out").passport.residues == []
    assert pydicom.dcmread(written(tmp_path / "out")[0]).StudyDescription == "for [NAME_REMOVED] at [PLACE_REMOVED]"


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_encapsulated_pixels_are_copied_byte_for_byte(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    """DEID-07: nothing is decoded; the fragments need not even be valid."""
    path = an_instance(tmp_path / "plain.dcm")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([b"not an image at all!" * 9, b"Wolkenstein " * 3])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    answer = deidentified([tmp_path / "in.dcm"], tmp_path / "out")
    assert answer.passport.residues == []
    assert pydicom.dcmread(written(tmp_path / "out")[0]).PixelData == dataset.PixelData


def test_sequences_keep_their_way_of_encoding(tmp_path: Path) -> None:
    path = an_instance(tmp_path / "plain.dcm")
    dataset = pydicom.dcmread(path)
    dataset["ReferencedImageSequence"].is_undefined_length = True
    dataset.ReferencedImageSequence[0].is_undefined_length_sequence_item = True
    dataset.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    assert deidentified([tmp_path / "in.dcm"], tmp_path / "out").passport.residues == []
    after = pydicom.dcmread(written(tmp_path / "out")[0])
    assert after["ReferencedImageSequence"].is_undefined_length
    assert after.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeMeaning == "Localizer of [NAME_REMOVED]"
    assert "OperatorsName" not in after.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence[0]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_identity_is_gone_at_any_depth(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    """DEID-01: twenty sequences inside one another, a name, a date, a UID and a description in each item."""
    inner = Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator = "1", "DCM"
    for level in range(20):
        item = Dataset()
        item.OperatorsName, item.StudyDate = "Korund^Ottokar", "20240311"
        item.ReferencedSOPInstanceUID, item.CodeMeaning = f"1.2.3.4.5.6.{level}", f"level {level} of Wolkenstein"
        item.PurposeOfReferenceCodeSequence = [inner]
        inner = item
    source = an_instance(tmp_path / "in.dcm", syntax=syntax, SourceImageSequence=[inner])
    assert deidentified([source], tmp_path / "out").passport.residues == []
    item, depth = pydicom.dcmread(written(tmp_path / "out")[0]).SourceImageSequence[0], 0
    while "CodeMeaning" in item:
        assert item.CodeMeaning == f"level {19 - depth} of [NAME_REMOVED]" and "OperatorsName" not in item
        assert item.StudyDate not in ("", "20240311") and str(item.ReferencedSOPInstanceUID).startswith("2.25.")
        item, depth = item.PurposeOfReferenceCodeSequence[0], depth + 1
    assert depth == 20


def test_an_icon_is_no_pixel_data(tmp_path: Path) -> None:
    """Pixels inside a sequence go, in public and in private sequences."""
    path = an_instance(tmp_path / "plain.dcm")
    dataset = pydicom.dcmread(path)
    block = dataset.private_block(0x0021, "SIEMENS MR SDI 02", create=True)
    inner = pydicom.Dataset()
    inner.PatientName, inner.EchoTime = "Wolkenstein", 82
    inner.add_new(0x7FE00010, "OW", b"Wolkenstein ")
    block.add_new(0xFE, "SQ", [inner])
    dataset.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    assert deidentified([tmp_path / "in.dcm"], tmp_path / "out").passport.residues == []
    item = pydicom.dcmread(written(tmp_path / "out")[0]).private_block(0x0021, "SIEMENS MR SDI 02")[0xFE].value[0]
    assert [element.keyword for element in item if element.value] == ["EchoTime"]
    assert 0x7FE00010 not in item


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.88.22",
                                       "1.2.840.10008.5.1.4.1.1.7", "1.3.12.2.1107.5.9.1"])  # fmt: skip
def test_what_is_no_image_input_is_refused(tmp_path: Path, sop_class: str) -> None:
    """Documents, reports, captures and raw data do not leave."""
    source = an_instance(tmp_path / "in.dcm", SOPClassUID=sop_class)
    with pytest.raises(NotAnImageInput):
        deidentified([source], tmp_path / "out")
    assert list(tmp_path.iterdir()) == [source]


def test_what_is_no_image_is_left_out_where_the_setting_says_so(tmp_path: Path) -> None:
    """DEID-08: the images leave alone, proven and counted; a study of documents alone is refused all the same."""
    files = [an_instance(tmp_path / "1.dcm"), an_instance(tmp_path / "3.dcm", number=3)]
    document = an_instance(tmp_path / "2.dcm", number=2, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1")
    capture = an_instance(tmp_path / "4.dcm", number=4, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"])
    with pytest.raises(NotAnImageInput):
        deidentified([files[0], document, files[1], capture], tmp_path / "out")
    answer = deidentified([files[0], document, files[1], capture], tmp_path / "out", other_objects="leave-out")
    assert answer.passport.clean and answer.passport.instances == 2
    assert [path.name for path in written(tmp_path / "out")] == ["instance-0000.dcm", "instance-0002.dcm"]
    assert "2 instances that are no images were left out." in answer.passport.notes
    assert release(tmp_path / "out", answer.passport).folder == tmp_path / "out"
    with pytest.raises(NotAnImageInput):
        deidentified([document, capture], tmp_path / "none", other_objects="leave-out")


def test_a_screen_save_and_declared_burned_in_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAnImageInput):
        deidentified([an_instance(tmp_path / "a.dcm", ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"])], tmp_path / "out")
    with pytest.raises(BurnedInText):
        deidentified([an_instance(tmp_path / "b.dcm", BurnedInAnnotation="YES")], tmp_path / "out")


def test_one_broken_file_fails_the_study_and_leaves_nothing(tmp_path: Path) -> None:
    """DEID-08: no folder, no draft, no passport; the message names our identifier and no value."""
    files = [an_instance(tmp_path / "in" / f"{number}.dcm", number=number) for number in range(1, 5)]
    files[2].write_bytes(files[2].read_bytes()[:-100])
    (tmp_path / "out" / "series-01").mkdir(parents=True)
    with pytest.raises(UnreadableInstance) as caught:
        deidentified(files, tmp_path / "out")
    assert "instance-0002" in caught.value.what
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("damage", ["empty", "cut header", "random", "missing"])
def test_what_cannot_be_read_fails_with_a_name(tmp_path: Path, damage: str) -> None:
    source = an_instance(tmp_path / "in.dcm")
    content = source.read_bytes()
    kinds = {"empty": b"", "cut header": content[:400], "random": content[:132] + b"\x55\xaa" * 500}
    source.write_bytes(kinds[damage]) if damage in kinds else source.unlink()
    with pytest.raises(UnreadableInstance):
        deidentified([source], tmp_path / "out")
    assert not passport_path(tmp_path / "out").exists()


def test_a_request_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    source = an_instance(tmp_path / "in.dcm")
    with pytest.raises(BadRequest):
        deidentified([], tmp_path / "out")
    with pytest.raises(BadRequest):
        run(a_request([source], tmp_path / "out", secret="00"), quiet)


def test_the_passport_lies_beside_the_folder_and_names_every_file(tmp_path: Path) -> None:
    files = [an_instance(tmp_path / "in" / f"{number}.dcm", number=number) for number in (1, 2)]
    answer = deidentified(files, tmp_path / "out")
    stored = msgspec.json.decode(passport_path(tmp_path / "out").read_bytes(), type=Passport)
    assert stored == answer.passport
    assert [file.path for file in stored.files] == ["series-01/instance-0000.dcm", "series-01/instance-0001.dcm"]
    assert left_in(passport_path(tmp_path / "out"), TOKENS) == []
    assert not (tmp_path / "out.part").exists()
