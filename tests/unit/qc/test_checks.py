"""Every check of series with scans that pass and scans that do not."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from appliance.qc.finding import QcReport, SeriesFile, Verdict
from tests.unit.qc.scans import a_scan, base, finding, report_of, write

WARN_AND_FAIL: dict[str, float] = {"warn_low": 6000, "warn_high": 17000, "fail_low": 4000, "fail_high": 20000}


def with_limits(files: list[SeriesFile], **limits: dict[str, float]) -> QcReport:
    return report_of(files, protocols={"dti": {"limits": limits}})


def test_a_study_without_mr_images_fails(tmp_path: Path) -> None:
    """QC-01: MR series present."""
    picture = base()
    picture.SOPClassUID = SecondaryCaptureImageStorage
    report = report_of([write(picture, tmp_path / "a.dcm", "s")])
    assert finding(report, "mr-series").verdict is Verdict.FAILED
    assert finding(report, "diffusion").verdict is Verdict.FAILED
    assert report.inputs == {"dti": []}


def test_a_study_without_files_fails_and_does_not_crash() -> None:
    report = report_of([])
    assert report.verdict is Verdict.FAILED
    assert report.inputs == {"dti": []}


def test_an_mr_study_without_diffusion_fails(tmp_path: Path) -> None:
    """QC-01: diffusion series detected; b=0 images alone are none."""
    report = report_of(a_scan(tmp_path, directions=0))
    assert finding(report, "mr-series").verdict is Verdict.PASSED
    assert finding(report, "diffusion").verdict is Verdict.FAILED
    assert "Send the diffusion" in finding(report, "diffusion").action


@pytest.mark.parametrize(
    "image_type", [["DERIVED", "PRIMARY", "DIFFUSION", "NONE"], ["ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW"]]
)
def test_computed_maps_are_no_diffusion_series(image_type: list[str], tmp_path: Path) -> None:
    """QC-01: ADC, FA, trace and other derived images are not what products need."""

    def derive(dataset: Dataset, _volume: int, _place: int) -> None:
        dataset.ImageType = image_type

    found = finding(report_of(a_scan(tmp_path, change=derive)), "diffusion")
    assert found.verdict is Verdict.FAILED
    assert "Send the original diffusion series" in found.action


@pytest.mark.parametrize("maker", ["siemens-mosaic", "ge", "philips", "canon", "uih"])
def test_a_missing_volume_or_slice_is_found(maker: str, tmp_path: Path) -> None:
    """QC-01: volumes complete, whichever vendor, whether one file is a slice or a volume."""
    files = a_scan(tmp_path, maker)
    report = report_of([file for count, file in enumerate(files) if count != len(files) // 2])
    assert finding(report, "volumes").verdict is Verdict.FAILED
    assert report.verdict is Verdict.FAILED
    assert report.inputs == {"dti": ["ours-1"]}, "a person who bypasses the finding needs the series"


def test_a_missing_slice_of_a_standard_scan_is_found(tmp_path: Path) -> None:
    files = a_scan(tmp_path)
    found = finding(report_of(files[:5] + files[6:]), "volumes")
    assert found.verdict is Verdict.FAILED
    assert found.found == "1 of 7 volumes incomplete (the smallest has 3 of 4 slices)"
    assert found.figure == 1


def test_a_missing_frame_of_an_enhanced_scan_is_found(tmp_path: Path) -> None:
    def drop(dataset: Dataset, _volume: int, _place: int) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[5]
        dataset.NumberOfFrames, dataset.PixelData = 27, bytes(32 * 27)

    assert finding(report_of(a_scan(tmp_path, "enhanced-one-file", change=drop)), "volumes").verdict is Verdict.FAILED


def test_a_slice_missing_in_every_volume_is_found(tmp_path: Path) -> None:
    def drop(_dataset: Dataset, _volume: int, place: int) -> bool:
        return place != 2

    found = finding(report_of(a_scan(tmp_path, slices=6, change=drop)), "volumes")
    assert found.verdict is Verdict.FAILED
    assert "evenly" in found.found


def test_an_image_that_came_twice_is_found(tmp_path: Path) -> None:
    files = a_scan(tmp_path)
    twin = SeriesFile(instance="twin", series="ours-1", path=files[9].path)
    assert finding(report_of([*files, twin]), "volumes").verdict is Verdict.FAILED


def test_positions_that_differ_by_rounding_are_one_slice(tmp_path: Path) -> None:
    def jitter(dataset: Dataset, volume: int, place: int) -> None:
        dataset.ImagePositionPatient = [0, 0, 2 * place + 0.004 * (volume % 3)]

    assert finding(report_of(a_scan(tmp_path, change=jitter)), "volumes").verdict is Verdict.PASSED


@pytest.mark.parametrize(("b0", "directions", "verdict"), [(2, 30, "passed"), (1, 30, "failed"), (2, 29, "failed")])
def test_b0_and_directions_are_held_against_the_protocol(b0: int, directions: int, verdict: str, tmp_path: Path) -> None:
    """QC-03: number of b=0 and of directions."""
    files = a_scan(tmp_path, slices=1, b0=b0, directions=directions)
    report = report_of(files, protocols={"dti": {"minimum_b0": 2, "minimum_directions": 30}})
    assert finding(report, "gradients").verdict == verdict
    assert finding(report, "gradients").expected == "at least 2 b=0 and 30 directions"


def test_opposite_directions_count_once(tmp_path: Path) -> None:
    def mirror(dataset: Dataset, volume: int, _place: int) -> None:
        if volume > 3:
            dataset.DiffusionGradientOrientation = [0.0 - part for part in seen[volume - 3]]
        elif volume:
            seen[volume] = list(dataset.DiffusionGradientOrientation)

    seen: dict[int, list[float]] = {}
    found = finding(report_of(a_scan(tmp_path, change=mirror)), "gradients")
    assert found.verdict is Verdict.FAILED
    assert found.figure == 3


def test_directions_that_an_archive_removed_are_explained(tmp_path: Path) -> None:
    def strip(dataset: Dataset, _volume: int, _place: int) -> None:
        dataset.pop("DiffusionGradientOrientation", None)

    found = finding(report_of(a_scan(tmp_path, change=strip)), "gradients")
    assert found.verdict is Verdict.FAILED
    assert "remove private elements" in found.action


@pytest.mark.parametrize("wanted", ["Neuro DTI", " neuro  dti", "NEURODTI"])
def test_descriptions_match_whatever_their_case_and_white_space(wanted: str, tmp_path: Path) -> None:
    """QC-01: descriptions as the instructions for use require."""

    def name(dataset: Dataset, _volume: int, _place: int) -> None:
        dataset.StudyDescription, dataset.SeriesDescription = "MRI Brain", " NEURO dti "

    protocols = {"dti": {"series_description": wanted, "study_description": "mri BRAIN"}}
    report = report_of(a_scan(tmp_path, change=name), protocols=protocols)
    assert finding(report, "descriptions").verdict is Verdict.PASSED


@pytest.mark.parametrize("field", ["study_description", "series_description"])
def test_another_description_fails_and_is_not_repeated(field: str, tmp_path: Path) -> None:
    """QC-01, QC-06: what stands in the header may hold a name."""
    found = finding(report_of(a_scan(tmp_path), protocols={"dti": {field: "Neuro DTI"}}), "descriptions")
    assert found.verdict is Verdict.FAILED
    assert "Quellwasser" not in repr(found) and "Adalbertine" not in repr(found)
    assert "'Neuro DTI'" in found.expected


def test_descriptions_are_read_in_their_character_set(tmp_path: Path) -> None:
    def name(dataset: Dataset, _volume: int, _place: int) -> None:
        dataset.SpecificCharacterSet, dataset.SeriesDescription = "ISO_IR 192", "Schädel DTI"

    report = report_of(a_scan(tmp_path, change=name), protocols={"dti": {"series_description": "SCHÄDEL DTI"}})
    assert finding(report, "descriptions").verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("milliseconds", "verdict"),
    [
        (6000, "passed"),
        (17000, "passed"),
        (5999.9999, "passed"),
        (5000, "warning"),
        (18000, "warning"),
        (3000, "failed"),
        (21000, "failed"),
    ],
)
def test_limits_warn_and_fail(milliseconds: float, verdict: str, tmp_path: Path) -> None:
    """QC-03: protocol conformance as data, with a level each for warning and failing."""

    def slow(dataset: Dataset, _volume: int, _place: int) -> None:
        dataset.RepetitionTime = milliseconds

    found = finding(with_limits(a_scan(tmp_path, change=slow), RepetitionTime=WARN_AND_FAIL), "protocol")
    assert found.verdict == verdict
    assert "repetition time 6000 to 17000 ms" in found.expected


@pytest.mark.parametrize("maker", ["standard", "siemens-mosaic", "uih", "enhanced", "enhanced-one-file"])
def test_every_parameter_is_found_wherever_it_stands(maker: str, tmp_path: Path) -> None:
    """QC-03: field strength, TR, TE, in-plane resolution, slice thickness, slice count, gap, flip angle, b-values."""
    exact = {
        "MagneticFieldStrength": 3.0,
        "RepetitionTime": 8000.0,
        "EchoTime": 80.0,
        "PixelSpacing": 2.0,
        "SliceThickness": 2.0,
        "Slices": 4.0,
        "SpacingGap": 0.0,
        "FlipAngle": 90.0,
        "BValue": 1000.0,
    }
    files = a_scan(tmp_path, maker)
    inside = with_limits(files, **{name: {"fail_low": value, "fail_high": value} for name, value in exact.items()})
    assert finding(inside, "protocol").verdict is Verdict.PASSED, finding(inside, "protocol").found
    for name, value in exact.items():
        outside = with_limits(files, **{name: {"fail_low": value + 1}})
        assert finding(outside, "protocol").verdict is Verdict.FAILED, name


def test_a_parameter_that_is_not_stated_is_a_warning(tmp_path: Path) -> None:
    def forget(dataset: Dataset, _volume: int, _place: int) -> None:
        del dataset.EchoTime

    found = finding(with_limits(a_scan(tmp_path, change=forget), EchoTime={"fail_low": 55}), "protocol")
    assert (found.verdict, found.found) == (Verdict.WARNING, "echo time not stated")


def code_stream(wavelet: int) -> bytes:
    """The beginning of a JPEG 2000 code stream: SOC, SIZ, COD with this transformation, SOT."""
    size = b"\xff\x51" + (41).to_bytes(2, "big") + bytes(39)
    style = b"\xff\x52" + (12).to_bytes(2, "big") + bytes([0, 0, 0, 1, 0, 5, 4, 4, 0, wavelet])
    return b"\xff\x4f" + size + style + b"\xff\x90" + bytes(20)


@pytest.mark.parametrize(
    ("syntax", "flag", "wavelet", "lossless"),
    [
        (RLELossless, None, None, True),
        (JPEGLosslessSV1, "00", None, True),
        (JPEG2000Lossless, None, 1, True),
        (JPEG2000, None, 1, True),
        (JPEG2000, "00", 1, True),
        (JPEG2000, "01", 1, False),
        (JPEG2000, None, 0, False),
        (JPEG2000, "00", 0, False),
        (HTJ2K, None, 0, False),
        (JPEGBaseline8Bit, None, None, False),
        (JPEGLSNearLossless, "00", None, False),
        (RLELossless, "01", None, False),
        (UID("1.2.840.10008.1.2.4.100"), None, None, False),
    ],
)
def test_loss_is_judged_by_syntax_flag_and_wavelet(
    syntax: UID, flag: str | None, wavelet: int | None, lossless: bool, tmp_path: Path
) -> None:
    """QC-01: transfer syntax and (0028,2110), neither alone."""

    def compress(dataset: Dataset, _volume: int, _place: int) -> None:
        if flag is not None:
            dataset.LossyImageCompression = flag
        dataset.PixelData = encapsulate([code_stream(wavelet) if wavelet is not None else bytes(20)])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True

    report = report_of(a_scan(tmp_path, syntax=syntax, change=compress))
    assert finding(report, "readable").verdict is Verdict.PASSED
    assert finding(report, "lossless").verdict is (Verdict.PASSED if lossless else Verdict.FAILED)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("maker", ["standard", "ge", "philips", "uih", "siemens-csa", "enhanced"])
def test_uncompressed_syntaxes_read_alike(maker: str, syntax: UID, tmp_path: Path) -> None:
    """QC-01: implicit VR and big endian say the same, private elements included."""
    assert report_of(a_scan(tmp_path, maker, syntax=syntax)).verdict is Verdict.PASSED


def test_an_uncompressed_image_with_a_lossy_past_fails(tmp_path: Path) -> None:
    def remember(dataset: Dataset, _volume: int, _place: int) -> None:
        dataset.LossyImageCompression = "01"

    assert finding(report_of(a_scan(tmp_path, change=remember)), "lossless").verdict is Verdict.FAILED


def test_a_lossy_series_that_nobody_analyses_is_a_warning(tmp_path: Path) -> None:
    other = base()
    other.LossyImageCompression, other.SeriesNumber = "01", 3
    files = [*a_scan(tmp_path), write(other, tmp_path / "other.dcm", "ours-2")]
    report = report_of(files)
    assert finding(report, "lossless").verdict is Verdict.WARNING
    assert finding(report, "lossless").found.startswith("series 3: 1 of 1 image compressed with loss")
    assert report.inputs == {"dti": ["ours-1"]}


@pytest.mark.needs_data
def test_the_real_files_of_every_transfer_syntax(real_data: Path) -> None:
    """QC-01: the names of these files say which must fail."""
    folder = real_data / "transfer_syntaxes"
    for path in [*sorted(folder.glob("dcm_qa_ts/*.dcm")), *sorted(folder.glob("derived_from_dcm_qa_ts/*.dcm"))]:
        report = report_of([SeriesFile(instance="i", series="s", path=str(path))])
        wanted = Verdict.FAILED if "mustfail" in path.name else Verdict.PASSED
        assert finding(report, "lossless").verdict is wanted, path.name
        assert finding(report, "readable").verdict is Verdict.PASSED, path.name
