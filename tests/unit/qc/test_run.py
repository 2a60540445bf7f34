"""The run: order of checks, switching off, choice of series, and that no finding tells who the patient is."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydicom.dataset import Dataset

from appliance.products import manifest
from appliance.qc import protocol
from appliance.qc.checks import CHECKS
from appliance.qc.finding import QcReport, QcRequest, SeriesFile, Verdict
from appliance.qc.run import run
from tests.phantoms import Patient, a_diffusion_study, a_structural_study
from tests.unit.qc.scans import a_scan, finding, report_of


def mute(dataset: Dataset, _volume: int, _place: int) -> None:
    dataset.PatientAge = dataset.PatientBirthDate = dataset.PatientSex = ""


def drop_a_slice(_dataset: Dataset, volume: int, place: int) -> bool:
    return (volume, place) != (3, 1)


def phantom_files(folder: Path, patient: Patient) -> list[SeriesFile]:
    """A diffusion series S003 and a structural series S002 of one invented person."""
    diffusion = a_diffusion_study(folder, directions=6, slices=4, shape=(8, 8), patient=patient)
    structural = a_structural_study(folder, slices=4, shape=(8, 8), patient=patient)
    paths = [*diffusion.files, *structural.files]
    return [SeriesFile(instance=path.stem, series=path.stem[:4], path=str(path)) for path in paths]


def test_there_is_one_finding_a_check_in_order(tmp_path: Path) -> None:
    """QC-06: one row per check with what was found, what was expected and what to do."""
    report = report_of(a_scan(tmp_path))
    assert [one.check for one in report.findings] == [check.name for check in CHECKS]
    assert all(one.found and one.expected for one in report.findings)


def test_every_finding_that_is_no_pass_says_what_to_do(tmp_path: Path) -> None:
    """QC-06: a technologist reads what to do differently."""
    protocols = {"dti": {"minimum_directions": 30, "series_description": "x", "limits": {"EchoTime": {"fail_high": 1}}}}
    for files in ([], a_scan(tmp_path, change=mute)):
        report = report_of(files, given={}, protocols=protocols)
        assert all(one.action for one in report.findings if one.verdict in (Verdict.FAILED, Verdict.WARNING))
        assert not any(one.action for one in report.findings if one.verdict is Verdict.PASSED)


def test_every_check_has_a_name_a_title_and_documentation() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.title and len(check.documentation) > 80 for check in CHECKS)
    assert all((check.study is None) != (check.series is None) for check in CHECKS)


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_a_switched_off_check_is_bypassed_and_counts_as_passed(name: str) -> None:
    """QC-05: each check can be switched off; a switched-off check shows as bypassed and counts as passed."""
    off = [check.name for check in CHECKS]
    report = report_of([], given={}, switched_off=[name])
    assert finding(report, name).verdict is Verdict.BYPASSED
    assert report_of([], given={}, switched_off=off).verdict is Verdict.PASSED
    assert report_of([], given={}, switched_off=off).counted(Verdict.BYPASSED) == len(CHECKS)


def test_a_study_passes_when_what_it_fails_is_switched_off(tmp_path: Path) -> None:
    """QC-05: and its series are inputs again."""
    files = a_scan(tmp_path, change=drop_a_slice)
    assert report_of(files).verdict is Verdict.FAILED
    report = report_of(files, switched_off=["volumes", "no-such-check"])
    assert (report.verdict, report.inputs) == (Verdict.PASSED, {"dti": ["ours-1"]})


def test_a_damaged_repetition_is_left_out_with_a_warning(tmp_path: Path) -> None:
    """All diffusion series that pass are inputs; the others are named by their number."""
    good = a_scan(tmp_path / "good", series="ours-1", number=7)
    damaged = a_scan(tmp_path / "bad", series="ours-2", number=8, change=drop_a_slice)
    again = a_scan(tmp_path / "more", series="ours-3", number=9)
    report = report_of([*good, *damaged, *again])
    assert report.inputs == {"dti": ["ours-1", "ours-3"]}
    assert report.verdict is Verdict.WARNING
    assert finding(report, "volumes").verdict is Verdict.WARNING
    assert finding(report, "volumes").found.startswith("series 8: 1 of 7 volumes incomplete")


def test_another_kind_of_diffusion_scan_is_left_out_quietly(tmp_path: Path) -> None:
    """A clinical scan of three directions beside the tensor scan is nothing to warn about."""
    tensor = a_scan(tmp_path / "dti", series="ours-1", number=7)
    clinical = a_scan(tmp_path / "dwi", series="ours-2", number=8, directions=3)
    report = report_of([*clinical, *tensor])
    assert (report.verdict, report.inputs) == (Verdict.PASSED, {"dti": ["ours-1"]})
    assert "series 8: 1 b=0 volume, 3 directions at b=1000 (not used)" in finding(report, "gradients").found


def test_no_series_passing_in_part_makes_the_study_pass(tmp_path: Path) -> None:
    """Two series that each fail something else do not add up to a good one; both stay for a person who bypasses."""
    few = a_scan(tmp_path / "few", series="ours-1", number=7, directions=3)
    damaged = a_scan(tmp_path / "bad", series="ours-2", number=8, change=drop_a_slice)
    report = report_of([*few, *damaged])
    assert report.verdict is Verdict.FAILED
    assert report.inputs == {"dti": ["ours-1", "ours-2"]}


def test_each_product_gets_what_it_asks_for(tmp_path: Path) -> None:
    """QC-03: conformance is per product, and the finding names the product that is not content."""
    small = a_scan(tmp_path / "small", series="ours-1", number=7)
    large = a_scan(tmp_path / "large", series="ours-2", number=8, directions=12)
    both = {"easy": {}, "strict": {"minimum_directions": 12}}
    report = report_of([*small, *large], protocols=both)
    assert report.inputs == {"easy": ["ours-1", "ours-2"], "strict": ["ours-2"]}
    alone = report_of(small, protocols=both)
    assert alone.verdict is Verdict.FAILED
    assert "strict: at least 1 b=0 and 12 directions" in finding(alone, "gradients").expected


def test_reports_and_structural_series_are_no_input(tmp_path: Path) -> None:
    files = phantom_files(tmp_path, Patient())
    report = report_of(files, given={})
    assert (report.verdict, report.inputs) == (Verdict.PASSED, {"dti": ["S003"]})
    assert finding(report, "mr-series").found == f"2 MR series with {len(files)} images"


@pytest.mark.parametrize(
    "rules",
    [
        {"series": "spectroscopy"},
        {"limits": {"EchoTrain": {"fail_low": 1}}},
        {"minimum_b0": "two"},
        {"limits": {"EchoTime": {"fail_low": "x"}}},
    ],
)
def test_a_protocol_that_no_check_knows_stops_the_run(rules: dict[str, Any]) -> None:
    """QC-03: a rule that is not understood is never silently left unchecked."""
    with pytest.raises(protocol.ProtocolUnknown) as raised:
        report_of([], protocols={"dti": rules})
    assert raised.value.code == "qc-protocol-unknown"


@pytest.mark.parametrize("name", ["Protocol", "Limit"])
def test_the_protocol_is_the_manifest_s_own(name: str) -> None:
    """Rooms do not import each other, so the two declarations are held together here."""
    ours, theirs = getattr(protocol, name), getattr(manifest, name)
    assert ours.__struct_fields__ == theirs.__struct_fields__
    assert msgspec.to_builtins(ours()) == msgspec.to_builtins(theirs())


def test_progress_only_grows_and_ends_at_one(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    files = a_scan(tmp_path, slices=20)
    run(QcRequest(order="o", files=files, protocols={"dti": {}}), lambda share, step: seen.append((share, step)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len(seen) >= 5


def test_a_report_travels_as_json(tmp_path: Path) -> None:
    """QC-06: readable as JSON."""
    report = report_of(a_scan(tmp_path))
    assert msgspec.json.decode(msgspec.json.encode(report), type=QcReport) == report


def test_findings_hold_no_identity(tmp_path: Path) -> None:
    """QC-06: no name, identifier, date or description of the patient in any finding, whatever goes wrong."""
    patient = Patient(age="999Y", sex="O")
    files = phantom_files(tmp_path, patient)
    damaged = Path(files[3].path)
    damaged.write_bytes(damaged.read_bytes()[:700])
    rules = {"study_description": "x", "series_description": "y", "limits": {"EchoTime": {"fail_high": 1}}}
    written = msgspec.json.encode(report_of(files, given={}, protocols={"dti": {}, "other": rules})).decode()
    for token in [*patient.tokens(), "2.25.", patient.study_date, "MR BRAIN DTI", "DTI_EPI_AX", str(tmp_path)]:
        assert token not in written


def test_reading_headers_needs_no_heavy_library() -> None:
    """A run starts fast: neither pydicom nor numpy is loaded for it."""
    code = "import sys, appliance.qc.run; print([m for m in ('pydicom', 'numpy', 'nibabel', 'PIL') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
