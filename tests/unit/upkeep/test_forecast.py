"""When the disk will be full."""

import pytest

from appliance.records.disk import Sample
from appliance.upkeep.forecast import DAY_MS, days_until_full

GB = 1 << 30
HOUR_MS = DAY_MS // 24


def falling(per_day: float, days: int, start: float = 100.0) -> list[Sample]:
    """A sample an hour."""
    count = days * 24 + 1
    return [
        Sample(at=number * HOUR_MS, free=int((start - per_day * number / 24) * GB), total=200 * GB) for number in range(count)
    ]


@pytest.mark.parametrize(("per_day", "free", "days"), [(2.0, 20, 9.5), (1.0, 1, 0.0), (10.0, 1000, 99.9)])
def test_the_days_follow_from_what_was_lost_each_day(per_day: float, free: int, days: float) -> None:
    found = days_until_full(falling(per_day, 7), free * GB, GB)
    assert found == pytest.approx(days, abs=0.01)


def test_a_purge_or_a_large_copy_does_not_tip_it() -> None:
    samples = falling(2.0, 8)
    risen = [Sample(at=one.at, free=one.free + (30 * GB if one.at > 7 * DAY_MS else 0), total=one.total) for one in samples]
    found = days_until_full(risen, 21 * GB, GB)
    assert found is not None and 8 < found < 16


@pytest.mark.parametrize("samples", [[], falling(2.0, 7)[:20], falling(0.0, 7), falling(-1.0, 7), falling(0.0001, 7)])
def test_nothing_is_foretold_from_too_little_or_when_nothing_falls(samples: list[Sample]) -> None:
    assert days_until_full(samples, 50 * GB, GB) is None


def test_beyond_ten_years_nothing_is_foretold() -> None:
    assert days_until_full(falling(0.002, 7), 100 * GB, 0) is None
