"""QC-04 from DICOM: a head that every vendor's scanner would send, through headers, converter and image checks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.qc.finding import QcImagesRequest, QcReport, SeriesFile, Verdict
from appliance.qc.images.run import run
from tests.unit.qc.images import heads
from tests.unit.qc.images.heads import Brain, a_brain
from tests.unit.qc.images.scanners import VENDORS, Direction, Table, as_stated, sent
from tests.unit.qc.scans import finding, report_of

ALARM = (Verdict.WARNING, Verdict.FAILED)
QUICK = "ge"
"""GE has no head among the real studies, so this one stands for it; the other vendors follow in the long set."""

MAKERS = [one if one == QUICK else pytest.param(one, marks=pytest.mark.long) for one in VENDORS]


@dataclass(frozen=True)
class Scanner:
    """A vendor's scanner, and a place for what it sends."""

    vendor: str
    folder: Path

    def seen(self, brain: Brain, *, table: Table = as_stated, left_out: frozenset[tuple[int, int]] = frozenset()) -> QcReport:
        """What quality control says of a head that this scanner sends."""
        return looked(sent(brain, self.folder / "in", self.vendor, table=table, left_out=left_out), self.folder, {})


def looked(files: list[SeriesFile], folder: Path, consent: dict[str, str]) -> QcReport:
    out = folder / "qc" / "out"
    out.mkdir(parents=True, exist_ok=True)
    asked = QcImagesRequest(report=report_of(files), files=files, out_folder=str(out), consent=consent)
    return run(asked, lambda _share, _step: None)


@pytest.fixture(scope="module")
def phantom() -> Brain:
    return a_brain(count=14)


@pytest.fixture(params=MAKERS)
def scanner(request: pytest.FixtureRequest, tmp_path: Path) -> Scanner:
    return Scanner(request.param, tmp_path)


def alarms(report: QcReport) -> dict[str, str]:
    return {one.check: one.found for one in report.findings if one.verdict in ALARM}


def test_a_good_head_raises_no_alarm(scanner: Scanner, phantom: Brain) -> None:
    """QC-04: every check has judged it, gradients of header and converter included."""
    report = scanner.seen(phantom)
    assert alarms(report) == {}
    assert finding(report, "gradient-tags").verdict is Verdict.PASSED
    assert "no flip or exchange" in finding(report, "gradient-table").found


def test_a_table_that_was_flipped_before_it_came_is_found_and_repaired(scanner: Scanner, phantom: Brain) -> None:
    """QC-04: gradient doctor; header and converter agree on the wrong table, only the fibres tell."""

    def flipped(one: Direction) -> Direction:
        return (-one[0], one[1], one[2])

    files = sent(phantom, scanner.folder / "in", scanner.vendor, table=flipped)
    received = {file.path: Path(file.path).read_bytes() for file in files}
    stopped = looked(files, scanner.folder, {})
    assert set(alarms(stopped)) == {"gradient-table"}
    assert stopped.repairs[0].after > stopped.repairs[0].before
    agreed = looked(files, scanner.folder, {"ours-1": "anna"})
    assert (agreed.verdict, agreed.repairs[0].consent) == (Verdict.WARNING, "anna")
    assert {path: Path(path).read_bytes() for path in received} == received, "repairs never touch the original"


@pytest.mark.parametrize("what", ["a slice", "a volume", "a slice of every volume"])
def test_what_was_not_sent_is_missed(what: str, scanner: Scanner, phantom: Brain) -> None:
    """QC-01, QC-04: missing slices and volumes, by the headers or by what the converter makes of them."""
    slices, volumes = range(phantom.pixels.shape[2]), range(phantom.pixels.shape[3])
    left_out = {
        "a slice": {(4, 7)},
        "a volume": {(9, place) for place in slices},
        "a slice of every volume": {(volume, 7) for volume in volumes},
    }[what]
    report = scanner.seen(phantom, left_out=frozenset(left_out))
    assert set(alarms(report)) & {"volumes", "image-conversion"}, report.findings


PIXELS: dict[str, tuple[Callable[[Brain], Brain], str]] = {
    "a repeated volume": (heads.repeat_volume, "image-slices"),
    "a repeated slice": (heads.repeat_slice, "image-slices"),
    "an empty slice": (heads.empty_slice, "image-slices"),
    "a dark slice": (heads.dark_slice, "image-dropout"),
    "a dark volume": (heads.dark_volume, "image-dropout"),
    "a shift of 8 mm": (lambda brain: heads.moved(brain, shift_mm=8.0), "image-motion"),
    "a turn of 7 degrees": (lambda brain: heads.moved(brain, degrees=7.0), "image-motion"),
    "displaced passes": (heads.displaced_passes, "image-interleave"),
    "noise": (heads.noisy, "image-noise"),
    "half a head": (heads.cut_in_half, "image-coverage"),
}


@pytest.mark.long
@pytest.mark.parametrize("defect", PIXELS)
def test_every_defect_of_the_pixels_is_found(defect: str, scanner: Scanner, phantom: Brain) -> None:
    """QC-04: through DICOM and the converter, for each vendor."""
    plant, check = PIXELS[defect]
    assert check in alarms(scanner.seen(plant(phantom)))


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize(("count", "snr"), [(12, 40.0), (30, 15.0), (20, 12.0)])
def test_phantoms_that_no_limit_was_fitted_to_raise_no_alarm(count: int, snr: float, seed: int, tmp_path: Path) -> None:
    """QC-04: limits hold on data they were not chosen on: other noise, directions and chance."""
    seen = heads.looked_at(a_brain(count=count, snr=snr, seed=seed), tmp_path)
    assert {name: one.found for name, one in seen.items() if one.verdict in ALARM} == {}
