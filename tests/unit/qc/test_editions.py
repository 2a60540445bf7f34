"""QC-03: the published editions of the acquisition protocol, parameter by parameter, at the ends of their ranges."""

from dataclasses import replace
from typing import get_args, get_type_hints

import pytest

from appliance.qc import acquisition, gradients
from appliance.qc.edition import editions, with_edition
from appliance.qc.finding import Verdict
from appliance.qc.protocol import LIMITED, Protocol
from appliance.qc.section import QcSection
from appliance.qc.study import Frame, Gradient, Image, Series
from tests.unit.qc.scans import half_sphere

PASSED, WARNING, FAILED = Verdict.PASSED, Verdict.WARNING, Verdict.FAILED
GOOD: dict[str, tuple[float, ...]] = {
    "MagneticFieldStrength": (3.0,),
    "RepetitionTime": (8000.0,),
    "EchoTime": (80.0,),
    "PixelSpacing": (2.0,),
    "SliceThickness": (2.0,),
    "FlipAngle": (90.0,),
}
EVERY = ("2024-11", "2025-09", "2026-05")
PARAMETERS = [
    # parameter, value, verdict in the editions of 2024-11, 2025-09 and 2026-05
    ("MagneticFieldStrength", 2.89, (PASSED, PASSED, PASSED)),
    ("MagneticFieldStrength", 1.5, (FAILED, FAILED, FAILED)),
    ("RepetitionTime", 6000.0, (PASSED, PASSED, PASSED)),
    ("RepetitionTime", 5999.0, (FAILED, FAILED, FAILED)),
    ("RepetitionTime", 13001.0, (WARNING, PASSED, PASSED)),
    ("RepetitionTime", 17001.0, (FAILED, FAILED, FAILED)),
    ("EchoTime", 55.0, (WARNING, PASSED, PASSED)),
    ("EchoTime", 54.0, (FAILED, FAILED, FAILED)),
    ("EchoTime", 102.0, (PASSED, WARNING, PASSED)),
    ("EchoTime", 105.0, (FAILED, FAILED, FAILED)),
    ("PixelSpacing", 1.85, (WARNING, PASSED, PASSED)),
    ("PixelSpacing", 2.2, (FAILED, FAILED, FAILED)),
    ("SliceThickness", 1.9999999, (PASSED, PASSED, PASSED)),
    ("SliceThickness", 3.0, (FAILED, FAILED, FAILED)),
    ("FlipAngle", 88.0, (WARNING, WARNING, WARNING)),
    ("FlipAngle", 60.0, (FAILED, FAILED, FAILED)),
]


def a_series(slices: int = 80, b0: int = 5, directions: int = 31, b_value: float = 1000.0, distance: float = 2.0) -> Series:
    """A scan in memory that every edition accepts, unless it is told otherwise."""
    weightings = [Gradient(0.0)] * b0 + [Gradient(b_value, one) for one in half_sphere(directions)]
    images = tuple(
        Image(f"{volume}-{place}", None, 4, 4, "1.2.840.10008.1.2.1", False, False, (Frame(weighting, place * distance),))
        for volume, weighting in enumerate(weightings)
        for place in range(slices)
    )
    return Series("ours-1", 7, images, parameters=GOOD)


@pytest.fixture(scope="module")
def good() -> Series:
    return a_series()


def judged(series: Series, edition: str) -> Verdict:
    return acquisition.judge(series, with_edition(Protocol(edition=edition))).verdict


@pytest.mark.parametrize("edition", EVERY)
def test_every_edition_limits_everything_and_accepts_a_scan_made_for_it(edition: str, good: Series) -> None:
    """QC-03: field strength, TR, TE, in-plane resolution, slice thickness and count, gap, flip angle, b-values."""
    rules = with_edition(Protocol(edition=edition))
    assert list(rules.limits) == list(LIMITED)
    assert judged(good, edition) is PASSED
    assert gradients.judge(good, rules).verdict is PASSED


@pytest.mark.parametrize(("parameter", "value", "verdicts"), PARAMETERS)
def test_each_parameter_warns_and_fails_as_each_edition_says(
    parameter: str, value: float, verdicts: tuple[Verdict, ...], good: Series
) -> None:
    """QC-03: values differ between editions; what any of them allows is a caveat, never a stop."""
    series = replace(good, parameters={**GOOD, parameter: (value,)})
    assert tuple(judged(series, edition) for edition in EVERY) == verdicts


@pytest.mark.parametrize(
    ("slices", "verdicts"),
    [(63, (FAILED,) * 3), (64, (WARNING, PASSED, PASSED)), (86, (PASSED,) * 3), (90, (PASSED, WARNING, WARNING))],
)
def test_the_number_of_slices(slices: int, verdicts: tuple[Verdict, ...]) -> None:
    """QC-03: 64 to 86, or 80 and more."""
    assert tuple(judged(a_series(slices, 1, 1), edition) for edition in EVERY) == verdicts


@pytest.mark.parametrize(("distance", "verdict"), [(2.0, PASSED), (2.1, WARNING), (2.4, FAILED), (1.8, FAILED)])
def test_the_gap_is_measured_between_the_slices(distance: float, verdict: Verdict) -> None:
    """QC-03: no gap and no overlap, whatever the header says of its spacing."""
    assert judged(a_series(64, 1, 1, distance=distance), "2026-05") is verdict


@pytest.mark.parametrize(("b_value", "verdict"), [(1000.0, PASSED), (940.0, WARNING), (800.0, FAILED), (2000.0, FAILED)])
def test_the_b_value(b_value: float, verdict: Verdict) -> None:
    """QC-03: b-values 0 and 1000."""
    assert judged(a_series(64, 1, 1, b_value), "2026-05") is verdict


@pytest.mark.parametrize(
    ("b0", "directions", "verdicts"),
    [(1, 31, (FAILED,) * 3), (2, 31, (WARNING, PASSED, PASSED)), (5, 30, (WARNING, PASSED, PASSED)), (5, 29, (FAILED,) * 3)],
)
def test_the_numbers_of_b0_images_and_directions(b0: int, directions: int, verdicts: tuple[Verdict, ...]) -> None:
    """QC-03: two b=0 and 30 directions, or five and more than 30."""
    series = a_series(2, b0, directions)
    assert tuple(gradients.judge(series, with_edition(Protocol(edition=one))).verdict for one in EVERY) == verdicts


def test_the_settings_offer_every_edition_and_no_other() -> None:
    offered = get_args(get_args(get_type_hints(QcSection, include_extras=True)["protocol_edition"])[0])
    assert offered == ("", *editions())


def test_what_a_product_limits_itself_goes_before_its_edition(good: Series) -> None:
    """QC-03: conformance is per product."""
    own = Protocol(edition="2026-05", limits={"EchoTime": with_edition(Protocol(edition="2024-11")).limits["EchoTime"]})
    series = replace(good, parameters={**GOOD, "EchoTime": (56.0,)})
    assert acquisition.judge(series, with_edition(own)).verdict is WARNING
    assert judged(series, "2026-05") is PASSED
