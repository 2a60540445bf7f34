"""QC-04: every planted defect is found, in a phantom and in real scans, and good scans raise no alarm."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from appliance.qc.finding import Verdict
from appliance.qc.images.coherence import IDENTITY, changes, words
from tests.unit.qc.images import heads
from tests.unit.qc.images.heads import Brain, a_brain, a_converted, a_nifti, looked_at

ALARM = (Verdict.WARNING, Verdict.FAILED)
REAL = (
    "siemens_e11_mosaic_dwi",
    "siemens_xa30_enhanced_study",
    "philips_achieva_classic_dwi",
    "canon_galan_classic_dwi",
    "uih_umr770_study",
)
SMALLEST = "uih_umr770_study"
CUT_BY_ITS_PROTOCOL = "uih_umr770_study"
"""20 slices of 4.2 mm do not reach below the temporal lobes: the one warning among the good scans, and a true one."""

PLANTS: dict[str, tuple[Callable[[Brain], Brain], str, Verdict]] = {
    "a repeated volume": (heads.repeat_volume, "image-slices", Verdict.FAILED),
    "a repeated slice": (heads.repeat_slice, "image-slices", Verdict.FAILED),
    "an empty slice": (heads.empty_slice, "image-slices", Verdict.FAILED),
    "a dark slice": (heads.dark_slice, "image-dropout", Verdict.WARNING),
    "a dark volume": (heads.dark_volume, "image-dropout", Verdict.WARNING),
    "a shift of 8 mm": (lambda brain: heads.moved(brain, shift_mm=8.0), "image-motion", Verdict.FAILED),
    "a turn of 7 degrees": (lambda brain: heads.moved(brain, degrees=7.0), "image-motion", Verdict.FAILED),
    "displaced passes": (heads.displaced_passes, "image-interleave", Verdict.WARNING),
    "a darker pass": (heads.darker_pass, "image-interleave", Verdict.WARNING),
    "noise": (heads.noisy, "image-noise", Verdict.FAILED),
    "half a head": (heads.cut_in_half, "image-coverage", Verdict.WARNING),
    "no b=0 image": (heads.without_b0, "gradient-table", Verdict.FAILED),
    "directions too short": (heads.shortened, "gradient-table", Verdict.FAILED),
}
FLIPS = [change for change in changes() if change != IDENTITY]


@pytest.fixture(scope="module")
def phantom() -> Brain:
    return a_brain()


@pytest.fixture(scope="module", params=REAL)
def real(request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Brain]:
    return request.param, a_converted(real_data / request.param, tmp_path_factory.mktemp("converted"))


@pytest.fixture(scope="module", params=[one if one == SMALLEST else pytest.param(one, marks=pytest.mark.long) for one in REAL])
def planted(request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Brain:
    return a_converted(real_data / request.param, tmp_path_factory.mktemp("converted"))


def at_least(found: Verdict, wanted: Verdict) -> bool:
    return found is wanted or (wanted is Verdict.WARNING and found is Verdict.FAILED)


def test_a_good_phantom_raises_no_alarm(phantom: Brain, tmp_path: Path) -> None:
    """QC-04: and every check has looked at it, except that of the header, which it has none of."""
    seen = looked_at(phantom, tmp_path)
    assert {name: one.found for name, one in seen.items() if one.verdict in ALARM} == {}
    assert [name for name, one in seen.items() if one.verdict is Verdict.NOT_APPLICABLE] == ["gradient-tags"]


@pytest.mark.parametrize("defect", PLANTS)
def test_every_defect_planted_into_the_phantom_is_found(defect: str, phantom: Brain, tmp_path: Path) -> None:
    """QC-04: with a figure, what was expected, and what to do."""
    plant, check, verdict = PLANTS[defect]
    found = looked_at(plant(phantom), tmp_path, check)[check]
    assert at_least(found.verdict, verdict), found
    assert found.action
    assert found.figure is not None or check == "gradient-table"


@pytest.mark.needs_data
def test_good_scans_of_four_vendors_raise_no_alarm(real: tuple[str, Brain], tmp_path: Path) -> None:
    """QC-04: no false alarm on the good studies of the data folder."""
    name, brain = real
    seen = looked_at(brain, tmp_path)
    alarms = {check: one.found for check, one in seen.items() if one.verdict in ALARM}
    assert set(alarms) == ({"image-coverage"} if name == CUT_BY_ITS_PROTOCOL else set()), alarms
    assert not [check for check, one in seen.items() if one.verdict is Verdict.NOT_APPLICABLE]


@pytest.mark.needs_data
def test_every_defect_planted_into_real_scans_is_found(planted: Brain, tmp_path: Path) -> None:
    """QC-04: the same defects in real scans, one in the quick set and all in the long one."""
    missed = {}
    for defect, (plant, check, verdict) in PLANTS.items():
        found = looked_at(plant(planted), tmp_path / check, check)[check]
        if not at_least(found.verdict, verdict):
            missed[defect] = found.found
    assert missed == {}


@pytest.mark.parametrize("change", FLIPS, ids=words)
def test_every_flip_and_exchange_of_axes_is_found_and_named(
    change: tuple[tuple[int, int, int], ...], phantom: Brain, tmp_path: Path
) -> None:
    """QC-04: sign and axis flips are found by testing the permutations, and the proposed change puts the table right."""
    wrong = heads.turned_table(phantom, change)
    found = looked_at(wrong, tmp_path, "gradient-table")["gradient-table"]
    assert at_least(found.verdict, Verdict.WARNING)
    repaired = wrong.bvectors @ np.array(found.change).T
    assert np.abs((repaired * phantom.bvectors).sum(axis=1))[1:] == pytest.approx(1.0)
    assert found.before is not None
    assert found.after is not None
    assert found.after > found.before


@pytest.mark.needs_data
def test_a_phantom_scan_whose_volumes_are_copies_is_refused(real_data: Path, tmp_path: Path) -> None:
    """QC-04: the only GE study holds the same two slices seven times; that is a true alarm."""
    brain = a_converted(real_data / "ge_pioneer_classic_dwi_phantom", tmp_path / "converted")
    seen = looked_at(brain, tmp_path / "looked")
    assert seen["image-slices"].found == "volumes 2, 3, 4, 5, 6, 7 the same as an earlier one"
    assert seen["gradient-tags"].verdict is Verdict.PASSED, "its table is read and converted alike"


@pytest.mark.needs_data
def test_a_series_of_four_weightings_raises_no_alarm_but_for_its_cut_top(real_data: Path, tmp_path: Path) -> None:
    """QC-04: no limit was chosen on it; its 12 slices do cut the head."""
    image = real_data / "nifti_dwi_multishell_semisynthetic" / "dwi.nii.gz"
    seen = looked_at(a_nifti(image), tmp_path)
    assert {name for name, one in seen.items() if one.verdict in ALARM} == {"image-coverage"}


@pytest.mark.long
@pytest.mark.needs_data
def test_every_flip_is_found_in_real_scans(real: tuple[str, Brain], tmp_path: Path) -> None:
    """QC-04: in the scans of five vendors, against the table that the converter made."""
    _, brain = real
    missed = {}
    for change in FLIPS:
        wrong = heads.turned_table(brain, change)
        found = looked_at(wrong, tmp_path, "gradient-table")["gradient-table"]
        repaired = wrong.bvectors @ np.array(found.change or IDENTITY).T
        right = np.allclose(np.abs((repaired * brain.bvectors).sum(axis=1))[brain.bvalues > 50], 1.0, atol=1e-3)
        if found.verdict not in ALARM or not right:
            missed[words(change)] = found.found
    assert missed == {}


@pytest.mark.needs_data
def test_a_table_that_is_not_the_header_s_is_found(real: tuple[str, Brain], tmp_path: Path) -> None:
    """QC-04: mismatch of private tags against the converter's output."""
    _, brain = real
    generator = np.random.default_rng(3)
    turned = brain.bvectors.copy()
    turned[brain.weighted] = np.linalg.qr(generator.normal(size=(3, 3)))[0][0]
    found = looked_at(replace(brain, bvectors=turned), tmp_path, "gradient-tags")["gradient-tags"]
    assert at_least(found.verdict, Verdict.WARNING)
    other = looked_at(replace(brain, bvalues=brain.bvalues * 1.2), tmp_path, "gradient-tags")["gradient-tags"]
    assert other.verdict is Verdict.FAILED
    assert "b-values" in other.found


@pytest.mark.parametrize("shift", [0.0, 2.5, 6.0])
def test_motion_is_measured_to_half_a_millimetre(shift: float, phantom: Brain, tmp_path: Path) -> None:
    """QC-04: a shift that is put in comes out."""
    found = looked_at(heads.moved(phantom, shift_mm=shift), tmp_path, "image-motion")["image-motion"]
    assert found.figure == pytest.approx(shift, abs=0.5)


def test_noise_is_measured_to_a_tenth(tmp_path: Path) -> None:
    """QC-04: twice the noise is half the ratio."""
    figures = [looked_at(a_brain(snr=snr), tmp_path, "image-noise")["image-noise"].figure for snr in (40.0, 20.0)]
    assert figures[0] is not None
    assert figures[1] is not None
    assert figures[0] / figures[1] == pytest.approx(2.0, rel=0.1)
