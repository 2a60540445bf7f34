from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from appliance.deidentify.replacements import (
    age_at,
    capped_age,
    date_offset,
    masked_zip,
    new_uid,
    shifted_date,
    shifted_datetime,
    stays,
)
from appliance.deidentify.vocabulary import RESTRICTED_ZIPS

KEY = b"k" * 32


@settings(deadline=None)
@given(some.text(min_size=1), some.integers(1, 3650))
def test_the_offset_is_never_0_and_within_the_range(pseudonym: str, days: int) -> None:
    """DEID-02"""
    offset = date_offset(KEY, pseudonym, days).days
    assert offset != 0 and -days <= offset <= days
    assert offset == date_offset(KEY, pseudonym, days).days


def test_every_offset_of_the_range_is_drawn() -> None:
    drawn = {date_offset(KEY, f"p{number}", 3).days for number in range(300)}
    assert drawn == {-3, -2, -1, 1, 2, 3}


@settings(deadline=None)
@given(some.dates(date(1900, 1, 1), date(2100, 1, 1)), some.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_intervals_survive(first: date, second: date) -> None:
    """DEID-02"""
    offset = date_offset(KEY, "p", 365)
    moved = [date.fromisoformat(shifted_date(day.strftime("%Y%m%d"), offset)) for day in (first, second)]
    assert moved[1] - moved[0] == second - first


@pytest.mark.parametrize("text", ["", "***", "20241301", "2024", "00000000", "not a date", "20240230"])
def test_what_is_no_date_becomes_nothing(text: str) -> None:
    assert shifted_date(text, timedelta(3)) == ""
    assert shifted_datetime(text, timedelta(3)) == ""


def test_the_time_of_a_date_time_stays_and_its_zone_goes() -> None:
    assert shifted_datetime("20240228235959.5+0100", timedelta(2)) == "20240301235959.5"
    assert shifted_date("1993.08.22", timedelta(1)) == "19930823"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.from_regex(r"[0-2](\.[1-9][0-9]{0,9}){2,6}", fullmatch=True))
def test_new_uids_are_valid_and_follow_from_the_key(uid: str) -> None:
    """DEID-06"""
    made = new_uid(KEY, uid.encode())
    assert made.startswith(b"2.25.") and len(made) <= 64 and made[5:6] != b"0"
    assert made == new_uid(KEY, uid.encode()) != new_uid(b"x" * 32, uid.encode())


def test_well_known_uids_stay() -> None:
    assert stays(0x00080016, b"1.2.840.10008.5.1.4.1.1.4")
    assert stays(0x00081155, b"1.2.840.10008.1.1")
    assert not stays(0x00080018, b"1.2.840.10008.5.1.4.1.1.4.4711")
    assert not stays(0x00080018, b"1.2.840.113619.2.1")


@pytest.mark.parametrize(
    ("age", "expected"),
    [("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("90+", "090Y"), ("45", "045Y"), ("006M", "006M"), ("***", "")],
)
def test_ages(age: str, expected: str) -> None:
    """DEID-07"""
    assert capped_age(age, over=False) == expected


def test_age_counts_completed_years() -> None:
    assert age_at(date(1934, 3, 12), date(2024, 3, 11)) == 89
    assert age_at(date(1934, 3, 11), date(2024, 3, 11)) == 90


def test_every_restricted_area_is_000() -> None:
    """DEID-03: the seventeen three-digit areas of 20,000 people or fewer."""
    assert len(RESTRICTED_ZIPS) == 17
    assert {masked_zip(f"1 Road, {area}01") for area in RESTRICTED_ZIPS} == {"00000"}
    assert masked_zip("1 Road, 03501") == "03500" and masked_zip("1 Road, 89401") == "89400"


def test_zip_codes() -> None:
    """DEID-03"""
    assert masked_zip("1 Road, OH 44266-1234") == "44200"
    assert masked_zip("83012") == "00000"
    assert masked_zip("no code") == ""
