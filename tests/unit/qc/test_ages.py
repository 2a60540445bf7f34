"""Ages: exactly what is taken, what it becomes, and what is refused."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.qc import ages


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("45", "045Y"),
        ("45Y", "045Y"),
        ("045Y", "045Y"),
        (" 045Y ", "045Y"),
        ("7", "007Y"),
        ("1Y", "001Y"),
        ("89Y", "089Y"),
        ("90", "090Y"),
        ("90+", "090Y"),
        ("90Y+", "090Y"),
        ("90+Y", "090Y"),
        ("090+", "090Y"),
        ("093Y", "090Y"),
        ("150", "090Y"),
        ("018M", "018M"),
        ("23M", "023M"),
        ("010W", "010W"),
        ("5D", "005D"),
        ("730D", "730D"),
    ],
)
def test_these_are_ages(written: str, normal: str) -> None:
    """QC-01: age syntax, 90+ normalised to 90, months, weeks and days under two years."""
    assert ages.normalised(written) == normal


@pytest.mark.parametrize(
    "written",
    [
        *("", "***", "0", "000Y", "000M", "000D", "45y", "45 Y", "Y45", "-5", "+5", "4.5", "45,5", "1045Y", "0045Y", "151"),
        *("999Y", "24M", "036M", "105W", "731D", "89+", "91+", "45Y+", "forty", "45Z", "45YY", "٤٥", "４５", "045Y\n045Y"),
        *("45\0", "19800101"),
    ],
)
def test_these_are_none(written: str) -> None:
    """QC-01: everything else is refused, the header's 000Y for 'unknown' and digits of other scripts included."""
    assert ages.normalised(written) is None


@given(st.integers(1, 150))
def test_every_year_is_read_however_it_is_written(years: int) -> None:
    """QC-01: 45, 45Y and 045Y are one age; nobody is older than 90."""
    normal = f"{min(years, 90):03}Y"
    assert {ages.normalised(text) for text in (f"{years}", f"{years}Y", f"{years:03}Y", f"{years:03}")} == {normal}


@given(st.text(max_size=12))
def test_whatever_is_taken_is_dicom_and_stays_what_it_is(text: str) -> None:
    """QC-01: a normalised age is four characters of VR AS, is normal itself, and lies between a day and 90 years."""
    normal = ages.normalised(text)
    if normal is not None:
        assert len(normal) == 4 and normal[:3].isascii() and normal[:3].isdigit() and normal[3] in "YMWD"
        assert ages.normalised(normal) == normal
        assert 0 < ages.in_years(normal) <= 90
        assert ages.in_words(normal)


@given(st.from_regex(r"[0-9]{1,4}[YMWDymwd+ ]{0,3}", fullmatch=True))
def test_near_misses_are_taken_only_in_the_written_forms(text: str) -> None:
    """QC-01: numbers with units as people mistype them."""
    normal = ages.normalised(text)
    if normal is not None:
        assert text.strip().rstrip("+Y").rstrip("YMWD").isdigit()


@given(st.dates(date(1900, 1, 1), date(2026, 11, 22)), st.integers(1, 60_000))
def test_an_age_from_dates_agrees_with_the_calendar(born: date, days: int) -> None:
    """QC-01: birth date and study date stand in for a missing age."""
    studied = min(born + timedelta(days), date(2100, 1, 1))
    age = ages.between(f"{born:%Y%m%d}", f"{studied:%Y%m%d}")
    years = (studied - born).days / 365.2425
    if years > 151.01:
        assert age is None
    elif age is not None:
        assert abs(ages.in_years(age) - min(years, 90)) < (1.01 if years >= 2 else 0.1) or years > 90
        assert (age[3] == "Y") == (studied.year - born.year - ((studied.month, studied.day) < (born.month, born.day)) >= 2)


@pytest.mark.parametrize(
    ("born", "studied", "age"),
    [
        ("19800102", "20250101", "044Y"),
        ("19800102", "20250102", "045Y"),
        ("20230601", "20250531", "023M"),
        ("20230601", "20250601", "002Y"),
        ("20250301", "20250304", "003D"),
        ("20250304", "20250304", None),
        ("20250304", "19800102", None),
        ("***", "20250304", None),
        ("19991399", "20250304", None),
        ("18000101", "20250304", None),
        ("", "", None),
    ],
)
def test_days_of_birth(born: str, studied: str, age: str | None) -> None:
    assert ages.between(born, studied) == age
