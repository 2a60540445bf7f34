"""The phantom is a valid study of a person who does not exist, and says truly what it holds."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from appliance.demo import head
from tests.phantoms import Patient, a_lossy_study, a_mixed_study, a_small_diffusion_study, a_structural_study


def test_every_file_is_a_classic_mr_image_with_a_uid_of_its_own(tmp_path: Path) -> None:
    study = a_small_diffusion_study(tmp_path)
    datasets = [pydicom.dcmread(path) for path in study.files]
    assert len(datasets) == 7 * 6
    assert {dataset.SOPClassUID for dataset in datasets} == {pydicom.uid.MRImageStorage}
    assert {dataset.file_meta.TransferSyntaxUID for dataset in datasets} == {pydicom.uid.ExplicitVRLittleEndian}
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == len(datasets)
    assert all(dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID for dataset in datasets)
    assert all(uid.startswith("2.25.") and pydicom.uid.UID(uid).is_valid for uid in study.uids)
    assert {dataset.StudyInstanceUID for dataset in datasets} == {study.study_uid}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_study(tmp_path: Path) -> None:
    first = a_small_diffusion_study(tmp_path / "a")
    again = a_small_diffusion_study(tmp_path / "b")
    other = a_small_diffusion_study(tmp_path / "c", seed=2)
    assert [path.read_bytes() for path in first.files] == [path.read_bytes() for path in again.files]
    assert not set(first.uids) & set(other.uids)


def test_the_identity_tokens_are_really_in_the_files(tmp_path: Path) -> None:
    study = a_small_diffusion_study(tmp_path)
    everything = b"".join(path.read_bytes() for path in study.files)
    assert [token for token in study.identity_tokens if token.encode() not in everything] == []


def test_a_patient_without_age_or_sex_leaves_both_attributes_out(tmp_path: Path) -> None:
    study = a_small_diffusion_study(tmp_path, patient=Patient(age="", sex=""))
    dataset = pydicom.dcmread(study.files[0])
    assert "PatientAge" not in dataset
    assert "PatientSex" not in dataset


@pytest.mark.parametrize("tilt", [0.0, 20.0])
def test_the_geometry_in_the_header_is_the_grid_of_the_truth(tmp_path: Path, tilt: float) -> None:
    from appliance.demo.phantom import write_diffusion_study

    study = write_diffusion_study(tmp_path, directions=6, slices=5, shape=(20, 24), tilt_degrees=tilt)
    assert study.truth is not None
    dataset = pydicom.dcmread(study.files[3])
    corner = study.truth.affine @ [0, 0, 3, 1]
    assert np.allclose(corner[:3] * [-1, -1, 1], dataset.ImagePositionPatient, atol=1e-4)
    assert dataset.pixel_array.shape == (20, 24)


def test_eigenvalues_give_the_fa_and_md_that_were_asked_for() -> None:
    values = np.array(head.eigenvalues(0.6, 8e-4))
    md = values.mean()
    fa = np.sqrt(1.5 * ((values - md) ** 2).sum() / (values**2).sum())
    assert md == pytest.approx(8e-4)
    assert fa == pytest.approx(0.6)


def test_a_mixed_study_has_two_series_in_one_study(tmp_path: Path) -> None:
    study = a_mixed_study(tmp_path)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in study.files]
    assert {header.StudyInstanceUID for header in headers} == {study.study_uid}
    assert {header.SeriesInstanceUID for header in headers} == set(study.series_uids)
    assert len(study.series_uids) == 2


def test_a_structural_study_has_no_diffusion_attributes(tmp_path: Path) -> None:
    study = a_structural_study(tmp_path)
    assert all("DiffusionBValue" not in pydicom.dcmread(path) for path in study.files)


def test_a_lossy_study_says_so_and_can_be_decoded(tmp_path: Path) -> None:
    study = a_lossy_study(tmp_path)
    dataset = pydicom.dcmread(study.files[0])
    assert dataset.LossyImageCompression == "01"
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.JPEGBaseline8Bit
    assert dataset.pixel_array.max() > 0
