"""Damaged files are findings, never crashes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from appliance.qc.finding import SeriesFile, Verdict
from tests.unit.qc.scans import a_scan, base, finding, report_of, write


def spoilt(tmp_path: Path, spoil: Callable[[Path], None]) -> list[SeriesFile]:
    files = a_scan(tmp_path)
    spoil(Path(files[5].path))
    return files


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:420])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("<html>502 Bad Gateway</html>" * 20)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(_cut, "cut off"), (_cut_header, "cut off"), (_empty, "empty"), (_text, "no DICOM file")],
)
def test_one_damaged_file_of_a_series_fails_it(spoil: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    """QC-01: every file parses; the finding says how many do not, and why."""
    found = finding(report_of(spoilt(tmp_path, spoil)), "readable")
    assert found.verdict is Verdict.FAILED
    assert found.found.startswith("1 of 28 files not usable: 1 because")
    assert reason in found.found
    assert found.figure == 1


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("Rows", 8, "shorter than rows and columns"),
        ("Rows", 2, "longer than rows and columns"),
        ("BitsAllocated", 0, "missing"),
        ("PixelData", None, "no pixel data"),
        ("PixelData", b"", "shorter"),
        ("SOPClassUID", None, "what kind of object"),
    ],
)
def test_pixel_data_that_do_not_fit_fail(keyword: str, value: object, reason: str, tmp_path: Path) -> None:
    """QC-01: rows mismatch, no pixel data."""

    def change(dataset: Dataset, volume: int, place: int) -> None:
        if (volume, place) == (3, 1):
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)

    found = finding(report_of(a_scan(tmp_path, change=change)), "readable")
    assert found.verdict is Verdict.FAILED
    assert reason in found.found


@pytest.mark.parametrize(("cut", "frames", "reason"), [(12, 1, "cut off"), (0, 3, "fewer frames")])
def test_encapsulated_pixel_data_that_do_not_fit_fail(cut: int, frames: int, reason: str, tmp_path: Path) -> None:
    dataset = base()
    dataset.NumberOfFrames = frames
    dataset.PixelData = encapsulate([bytes(20)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    file = write(dataset, tmp_path / "a.dcm", "s", RLELossless)
    path = Path(file.path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    assert reason in finding(report_of([file]), "readable").found


def test_frames_without_functional_groups_fail(tmp_path: Path) -> None:
    def change(dataset: Dataset, _volume: int, _place: int) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[0]

    assert "functional groups" in finding(report_of(a_scan(tmp_path, "enhanced", change=change)), "readable").found


def test_a_damaged_file_outside_the_analysed_series_is_a_warning(tmp_path: Path) -> None:
    broken = tmp_path / "other.dcm"
    broken.write_text("not DICOM")
    report = report_of([*a_scan(tmp_path / "scan"), SeriesFile(instance="x", series="ours-2", path=str(broken))])
    assert finding(report, "readable").verdict is Verdict.WARNING
    assert report.inputs == {"dti": ["ours-1"]}


MALFORMED = {
    "no_pixel_data.dcm": "no pixel data",
    "short_pixel_data.dcm": "shorter",
    "truncated_pixels.dcm": "cut off",
    "rows_mismatch.dcm": "shorter",
    "truncated_header.dcm": "cut off",
    "empty.dcm": "empty",
    "html_error_page.dcm": "no DICOM",
    "zip_of_dicom.dcm": "no DICOM",
    "random_bytes.dcm": "no DICOM",
    "preview_renamed.dcm": "no DICOM",
    "text_renamed.dcm": "no DICOM",
    "random_after_dicm.dcm": "transfer syntax",
    "preamble_only.dcm": "transfer syntax",
}


@pytest.mark.needs_data
@pytest.mark.parametrize("name", MALFORMED)
def test_the_malformed_files_are_findings(name: str, real_data: Path) -> None:
    """QC-01: each damaged file alone, with the reason its name tells."""
    path = real_data / "malformed" / "generated" / name
    found = finding(report_of([SeriesFile(instance="i", series="s", path=str(path))], given={}), "readable")
    assert found.verdict is Verdict.FAILED
    assert MALFORMED[name] in found.found


@pytest.mark.needs_data
def test_no_malformed_file_crashes_a_run(real_data: Path) -> None:
    for path in sorted(path for path in (real_data / "malformed").rglob("*") if path.is_file()):
        report = report_of([SeriesFile(instance="i", series="s", path=str(path))], given={})
        assert report.verdict is Verdict.FAILED, path.name
