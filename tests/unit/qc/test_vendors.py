"""Every vendor's way of writing diffusion is understood: phantoms of each, and the real studies."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from appliance.qc.finding import Origin, QcReport, SeriesFile, Verdict
from appliance.qc.headers import read_study
from appliance.qc.protocol import Protocol
from appliance.qc.run import report_on
from tests.phantoms import a_diffusion_study
from tests.unit.qc.scans import GIVEN, MAKERS, a_csa_header, a_scan, finding, report_of

REAL = {
    "siemens_e11_mosaic_dwi": (1, 20, 21, 48),
    "siemens_xa30_enhanced_study": (1, 20, 21, 39),
    "philips_achieva_classic_dwi": (1, 15, 16, 40),
    "canon_galan_classic_dwi": (1, 12, 13, 40),
    "uih_umr770_study": (1, 16, 17, 20),
    "ge_pioneer_classic_dwi_phantom": (1, 6, 7, 2),
}
"""Study -> b=0 volumes, directions, volumes, slices."""


def real_files(folder: Path) -> list[SeriesFile]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SOURCE.txt")
    return [SeriesFile(instance=path.name, series=path.parent.name, path=str(path)) for path in paths]


def verdicts(report: QcReport) -> dict[str, Verdict]:
    return {one.check: one.verdict for one in report.findings}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_scan_of_each_vendor_passes(maker: str, tmp_path: Path) -> None:
    """QC-01: diffusion is detected for Siemens, GE, Philips, UIH, Canon and standard enhanced multi-frame."""
    report = report_of(a_scan(tmp_path, maker))
    assert report.verdict is Verdict.PASSED, report.findings
    assert finding(report, "gradients").found == "1 b=0 volume, 6 directions at b=1000"
    assert finding(report, "volumes").found.startswith("7 volumes of 4 slices")
    assert report.inputs == {"dti": ["ours-1"]}


@pytest.mark.parametrize("maker", MAKERS)
def test_repeated_b0_images_become_volumes_of_their_own(maker: str, tmp_path: Path) -> None:
    report = report_of(a_scan(tmp_path, maker, b0=3))
    assert finding(report, "gradients").found.startswith("3 b=0 volumes, 6 directions")
    assert finding(report, "volumes").verdict is Verdict.PASSED


def test_the_average_that_philips_appends_is_no_missing_volume(tmp_path: Path) -> None:
    report = report_of(a_scan(tmp_path, "philips"))
    assert "4 averaged images not counted" in finding(report, "volumes").found


def test_the_phantom_of_the_house_passes(tmp_path: Path) -> None:
    """QC-01: the demo's own study, with its age and sex from the header."""
    study = a_diffusion_study(tmp_path, directions=8, slices=5, shape=(12, 12), vendor="philips", trace_volume=True)
    files = [SeriesFile(instance=path.stem, series="s", path=str(path)) for path in study.files]
    report = report_of(files, given={})
    assert report.verdict is Verdict.PASSED
    assert report.metadata == {"age": Origin(value="068Y", origin="dicom"), "sex": Origin(value="F", origin="dicom")}


def test_private_elements_of_another_creator_are_not_believed(tmp_path: Path) -> None:
    """PS3.5 section 7.8.1: the same numbers in another creator's block mean something else."""

    def rename(dataset: Dataset, _volume: int, _place: int) -> None:
        dataset[0x0043, 0x0010].value = "SOMEBODY ELSE"

    report = report_of(a_scan(tmp_path, "ge", change=rename))
    assert finding(report, "diffusion").verdict is Verdict.FAILED


def test_a_private_block_may_stand_anywhere(tmp_path: Path) -> None:
    def move(dataset: Dataset, volume: int, _place: int) -> None:
        for tag in (0x00650010, 0x00651009, 0x00651037, 0x00651050, 0x00651051):
            element = dataset[tag]
            del dataset[tag]
            moved = tag + 0x20 if tag < 0x00651000 else tag + 0x2000
            dataset.add_new(moved, element.VR, element.value)

    assert report_of(a_scan(tmp_path, "uih", change=move)).verdict is Verdict.PASSED


def test_a_b_matrix_alone_gives_the_direction(tmp_path: Path) -> None:
    """PS3.3 section C.8.13.5.9: an enhanced image may state the b-matrix (0018,9601) instead of a direction."""

    def as_matrix(dataset: Dataset, _volume: int, _place: int) -> None:
        for group in dataset.PerFrameFunctionalGroupsSequence:
            diffusion = group.MRDiffusionSequence[0]
            if "DiffusionGradientDirectionSequence" in diffusion:
                x, y, z = diffusion.DiffusionGradientDirectionSequence[0].DiffusionGradientOrientation
                del diffusion.DiffusionGradientDirectionSequence
                matrix = Dataset()
                matrix.DiffusionBValueXX, matrix.DiffusionBValueXY, matrix.DiffusionBValueXZ = x * x, x * y, x * z
                matrix.DiffusionBValueYY, matrix.DiffusionBValueYZ, matrix.DiffusionBValueZZ = y * y, y * z, z * z
                diffusion.DiffusionBMatrixSequence = [matrix]

    report = report_of(a_scan(tmp_path, "enhanced", change=as_matrix))
    assert finding(report, "gradients").figure == 6


@pytest.mark.parametrize("damage", [b"", b"SV10", b"SV10" + bytes(200), a_csa_header({"B_value": [1000]})[:90]])
def test_a_damaged_csa_header_gives_nothing(damage: bytes, tmp_path: Path) -> None:
    def spoil(dataset: Dataset, _volume: int, _place: int) -> None:
        dataset[0x0029, 0x1010].value = damage

    report = report_of(a_scan(tmp_path, "siemens-csa", change=spoil))
    assert finding(report, "diffusion").verdict is Verdict.FAILED


@pytest.mark.needs_data
@pytest.mark.parametrize("name", REAL)
def test_the_real_studies_are_counted_rightly(name: str, real_data: Path) -> None:
    """QC-01: six real studies of five vendors, once age and sex are given; UIH's b=1.25 counts as b=0."""
    b0, directions, volumes, slices = REAL[name]
    report = report_of(real_files(real_data / name))
    assert not [one for one in report.findings if one.verdict is Verdict.FAILED]
    assert finding(report, "gradients").found.startswith(f"{b0} b=0 volume, {directions} directions")
    assert finding(report, "volumes").found.startswith(f"{volumes} volumes of {slices} slices")


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("name", "stopped_by"),
    [
        ("siemens_e11_mosaic_dwi", set()),
        ("siemens_xa30_enhanced_study", set()),
        ("philips_achieva_classic_dwi", set()),
        ("canon_galan_classic_dwi", {"age", "sex"}),
        ("uih_umr770_study", {"age"}),
        ("ge_pioneer_classic_dwi_phantom", {"age", "sex"}),
    ],
)
def test_the_real_studies_stop_for_demographics_only(name: str, stopped_by: set[str], real_data: Path) -> None:
    """QC-01: Canon, UIH and GE have no usable age or sex in their headers."""
    report = report_of(real_files(real_data / name), given={})
    assert {check for check, verdict in verdicts(report).items() if verdict is Verdict.FAILED} == stopped_by
    assert report.verdict is (Verdict.FAILED if stopped_by else Verdict.PASSED)


@pytest.mark.needs_data
def test_maps_structural_series_and_reports_are_no_input(real_data: Path) -> None:
    """QC-01: of the XA30 study only the original diffusion series goes on; ADC, TRACEW, FA, ColFA, T1w and SR stay."""
    report = report_of(real_files(real_data / "siemens_xa30_enhanced_study"))
    assert report.inputs == {"dti": ["10_DWI_dir80_PA"]}
    assert "4 series of computed maps left out" in finding(report, "diffusion").found


@pytest.mark.needs_data
@pytest.mark.parametrize("name", REAL)
def test_any_lost_image_of_a_real_study_is_noticed(name: str, real_data: Path) -> None:
    """QC-01: first, middle and last image of the diffusion series, each taken away alone."""
    study = read_study(real_files(real_data / name), lambda _share: None)
    (series,) = study.diffusion_series
    for at in (0, len(series.images) // 2, -1):
        lost = series.images[at]
        kept = replace(series, images=tuple(image for image in series.images if image is not lost))
        report = report_on(replace(study, series=(kept,)), {"dti": Protocol()}, GIVEN, frozenset())
        found = finding(report, "volumes")
        if lost.frames[0].gradient.trace:
            assert "39 averaged images" in found.found, "an average is not missed"
        else:
            assert found.verdict is Verdict.FAILED, lost.instance
