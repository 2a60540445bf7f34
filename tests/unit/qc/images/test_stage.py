"""The image stage: one report of headers and images, switched-off checks, pictures, and repair with consent."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from appliance.products.dti.series import choose
from appliance.qc.checks import CHECKS
from appliance.qc.finding import QcImagesRequest, QcReport, SeriesFile, Verdict
from appliance.qc.images.run import ALL_CHECKS, run
from appliance.qc.images.thresholds import Level, thresholds
from appliance.qc.section import CHECK_NAMES
from tests.unit.qc.images.heads import Brain, a_brain, dark_slice, turned_table, written
from tests.unit.qc.scans import finding, report_of

FLIP_X = ((-1, 0, 0), (0, 1, 0), (0, 0, 1))

Study = Callable[[Brain], list[SeriesFile]]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    def write(brain: Brain) -> list[SeriesFile]:
        written(brain, tmp_path / "s7.nii")
        (tmp_path / "s7.json").write_text(json.dumps({"PatientAge": "048Y", "PatientSex": "F"}))
        return [SeriesFile(instance=one.name, series="ours-1", path=str(one)) for one in sorted(tmp_path.glob("s7.*"))]

    return write


def looked(files: list[SeriesFile], folder: Path, **request: object) -> QcReport:
    out = folder / "qc" / "out"
    out.mkdir(parents=True, exist_ok=True)
    asked = QcImagesRequest(report=report_of(files), files=files, out_folder=str(out), **request)  # type: ignore[arg-type]
    return run(asked, lambda _share, _step: None)


def test_the_report_holds_the_headers_findings_and_one_for_each_image_check(study: Study, tmp_path: Path) -> None:
    """QC-04, QC-06: one report, with the version of the limits and pictures that can be opened."""
    files = study(dark_slice(a_brain()))
    report = looked(files, tmp_path)
    headers = [one.check for one in report_of(files).findings]
    assert [one.check for one in report.findings] == [*headers, *(name for name, _ in ALL_CHECKS)]
    assert report.verdict is Verdict.WARNING
    assert report.thresholds
    assert report.inputs == {"dti": ["ours-1"]}
    picture = tmp_path / "qc" / "out" / finding(report, "image-dropout").picture
    assert Image.open(picture).format == "PNG"
    pictured = {one.check for one in report.findings if one.picture}
    assert pictured == {"image-dropout", "image-motion", "image-noise", "image-coverage", "gradient-table"}
    assert all(bool(one.caption) == bool(one.picture) for one in report.findings)
    assert not (tmp_path / "qc" / "work").exists(), "what was converted is gone"


def test_the_settings_know_every_check_by_name() -> None:
    """QC-05: in the order of a report."""
    assert (*(check.name for check in CHECKS), *(name for name, _ in ALL_CHECKS)) == CHECK_NAMES


def test_a_switched_off_image_check_is_bypassed(study: Study, tmp_path: Path) -> None:
    """QC-05: and with all of them off nothing is converted."""
    files = study(dark_slice(a_brain()))
    report = looked(files, tmp_path, switched_off=["image-dropout"])
    assert finding(report, "image-dropout").verdict is Verdict.BYPASSED
    assert report.verdict is Verdict.PASSED
    none = looked(files, tmp_path, switched_off=[name for name, _ in ALL_CHECKS])
    assert none.counted(Verdict.BYPASSED) == len(ALL_CHECKS)
    assert none.thresholds == ""


def test_without_a_series_there_is_nothing_to_judge(tmp_path: Path) -> None:
    report = looked([], tmp_path)
    assert {finding(report, name).verdict for name, _ in ALL_CHECKS} == {Verdict.NOT_APPLICABLE}


def test_a_flipped_table_stops_the_study_until_somebody_agrees_to_its_repair(study: Study, tmp_path: Path) -> None:
    """QC-04: the gradient doctor says what is wrong and repairs with consent; before and after are recorded."""
    brain = a_brain()
    files = study(turned_table(brain, FLIP_X))
    before = {one.path: Path(one.path).read_bytes() for one in files}
    stopped = looked(files, tmp_path)
    (proposed,) = stopped.repairs
    assert stopped.verdict is Verdict.FAILED
    assert (proposed.consent, proposed.words) == ("", "the sign of x wrong")
    assert proposed.after > proposed.before
    both = Image.open(tmp_path / "qc" / "out" / finding(stopped, "gradient-table").picture)
    assert both.width > both.height, "the fibres' colours as they are, and beside them as they would be"

    agreed = looked(files, tmp_path, consent={"ours-1": "anna"})
    (repair,) = agreed.repairs
    found = finding(agreed, "gradient-table")
    assert (found.verdict, repair.consent) == (Verdict.WARNING, "anna")
    assert "agreed by anna" in found.found
    assert {path: Path(path).read_bytes() for path in before} == before, "repairs never touch the original"
    assert looked(files, tmp_path, consent={"*": "the settings"}).repairs[0].consent == "the settings"


def test_the_settings_agree_to_clear_repairs_only(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QC-04: a gain that only warns is left to a person, whatever the settings say."""
    files = study(turned_table(a_brain(), FLIP_X))
    shy = msgspec.structs.replace(
        thresholds(), gradient_table=msgspec.structs.replace(thresholds().gradient_table, gain=Level(warn=1.03, fail=9.0))
    )
    monkeypatch.setattr("appliance.qc.images.run.thresholds", lambda: shy)
    warned = looked(files, tmp_path, consent={"*": "the settings"})
    assert (warned.verdict, warned.repairs[0].consent) == (Verdict.WARNING, "")
    assert looked(files, tmp_path, consent={"ours-1": "anna"}).repairs[0].consent == "anna"


def test_the_product_fits_with_the_repaired_table(study: Study, tmp_path: Path) -> None:
    """QC-04: and its notes say so."""
    brain = a_brain()
    study(turned_table(brain, FLIP_X))
    (tmp_path / "s7.json").unlink()
    ((wrong,), _) = choose(tmp_path, 6, 1)
    ((right,), _) = choose(tmp_path, 6, 1, {"7": FLIP_X})
    assert not np.allclose(np.abs((wrong.bvectors * brain.bvectors).sum(axis=1))[1:], 1, atol=1e-3)
    assert np.allclose(np.abs((right.bvectors * brain.bvectors).sum(axis=1))[1:], 1, atol=1e-3)
    assert any("repaired" in note for note in right.notes)
    assert not any("repaired" in note for note in wrong.notes)
