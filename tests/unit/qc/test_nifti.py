"""Studies that come as NIfTI: the four files, their counts, and what the sidecar says of the patient."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.qc.finding import QcImagesRequest, QcReport, SeriesFile, Verdict
from appliance.qc.images.run import run as run_images
from appliance.qc.sidecar import Sidecar, read_sidecar
from tests.unit.qc.images.heads import a_brain, written
from tests.unit.qc.scans import finding, report_of

SPELLINGS = (("PatientAge", "PatientSex"), ("patientAge", "patientSex"), ("patient_age", "patient_sex"))


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nifti")
    written(a_brain(8), folder / "dwi.nii")
    (folder / "dwi.json").write_text(json.dumps({"PatientAge": "048Y", "PatientSex": "F"}))
    return folder


def copied(head: Path, folder: Path) -> Path:
    for file in head.glob("dwi.*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def files_of(folder: Path) -> list[SeriesFile]:
    return [SeriesFile(instance=one.name, series="ours-1", path=str(one)) for one in sorted(folder.glob("dwi.*"))]


def checked(folder: Path) -> QcReport:
    return report_of(files_of(folder), given={})


def test_a_whole_nifti_series_passes_and_is_the_product_s_input(head: Path) -> None:
    """QC-02: NIfTI present, .bval, .bvec and .json present and consistent with the volume count."""
    report = checked(head)
    assert report.verdict is Verdict.PASSED, [one for one in report.findings if one.verdict is Verdict.FAILED]
    assert finding(report, "nifti-files").verdict is Verdict.PASSED
    assert report.inputs == {"dti": ["ours-1"]}
    assert (report.metadata["age"].value, report.metadata["age"].origin) == ("048Y", "sidecar")
    assert (report.metadata["sex"].value, report.metadata["sex"].origin) == ("F", "sidecar")


@pytest.mark.parametrize(("age", "sex"), SPELLINGS)
def test_age_and_sex_are_read_in_every_spelling(age: str, sex: str) -> None:
    """QC-02: sidecar demographics."""
    assert read_sidecar(json.dumps({age: "048Y", sex: "Male"}).encode()) == Sidecar(age="048Y", sex="Male")
    assert read_sidecar(json.dumps({age: 48, sex: "F"}).encode()) == Sidecar(age="48", sex="F")


def test_a_sidecar_with_special_characters_does_no_harm() -> None:
    assert read_sidecar('\ufeff{"PatientAge": "45", "Ort": "Köln"}'.encode()) == Sidecar(age="45")
    assert read_sidecar('{"PatientAge": "45", "Ort": "Köln"}'.encode("latin-1")) == Sidecar(age="45")
    assert read_sidecar(b"[]") is None
    assert read_sidecar(b"{") is None


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def fewer_weights(folder: Path) -> None:
    table = folder / "dwi.bval"
    table.write_text(" ".join(table.read_text().split()[:-2]))


def two_rows(folder: Path) -> None:
    table = folder / "dwi.bvec"
    table.write_text("\n".join(table.read_text().splitlines()[:2]))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no image": (without("dwi.nii"), ".nii missing"),
    "no b-values": (without("dwi.bval"), ".bval missing"),
    "no directions": (without("dwi.bvec"), ".bvec missing"),
    "no sidecar": (without("dwi.json"), ".json missing"),
    "fewer b-values than volumes": (fewer_weights, "9 volumes, but .bval has 7"),
    "two rows of directions": (two_rows, ".bvec not readable"),
    "words for b-values": (lambda folder: (folder / "dwi.bval").write_text("a b c"), ".bval not readable"),
    "an image that is none": (lambda folder: (folder / "dwi.nii").write_bytes(b"no image"), ".nii not readable"),
    "a sidecar that is none": (lambda folder: (folder / "dwi.json").write_bytes(b"\x00\x01"), ".json not readable"),
    "a second image": (lambda folder: (folder / "dwi.nii.gz").write_bytes(b""), ".nii there more than once"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_the_files_is_named(fault: str, head: Path, tmp_path: Path) -> None:
    """QC-02: and what to do stands beside it."""
    break_it, words = FAULTS[fault]
    break_it(copied(head, tmp_path))
    found = finding(checked(tmp_path), "nifti-files")
    assert found.verdict is Verdict.FAILED
    assert words in found.found
    assert found.action


def test_a_compressed_image_is_looked_at_as_well(head: Path, tmp_path: Path) -> None:
    """QC-04 on a study that came as NIfTI."""
    folder = copied(head, tmp_path)
    (folder / "dwi.nii.gz").write_bytes(gzip.compress((folder / "dwi.nii").read_bytes(), 1))
    (folder / "dwi.nii").unlink()
    (folder / "out").mkdir()
    request = QcImagesRequest(report=checked(folder), files=files_of(folder), out_folder=str(folder / "out"))
    report = run_images(request, lambda _share, _step: None)
    assert finding(report, "image-slices").verdict is Verdict.PASSED
    assert finding(report, "image-motion").verdict is Verdict.PASSED


def test_an_image_that_ends_too_early_fails_with_words(head: Path, tmp_path: Path) -> None:
    folder = copied(head, tmp_path)
    (folder / "dwi.nii").write_bytes((folder / "dwi.nii").read_bytes()[:200_000])
    (folder / "out").mkdir()
    request = QcImagesRequest(report=checked(folder), files=files_of(folder), out_folder=str(folder / "out"))
    report = run_images(request, lambda _share, _step: None)
    assert finding(report, "image-conversion").verdict is Verdict.FAILED
