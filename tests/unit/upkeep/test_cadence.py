"""When management tasks are due, and what they delete."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import logs
from appliance.fields import to_plain
from appliance.settings import Settings
from appliance.upkeep.cadence import EXPRESSIONS, due, expression_of, following, problem
from appliance.upkeep.section import SchedulerSection

DAY_MS = 86_400_000


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _ms(text: str) -> int:
    return int(_at(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expression", "inside", "outside"),
    [
        ("* * * * *", "2026-11-22T04:17", ""),
        ("*/5 * * * *", "2026-11-22T04:15", "2026-11-22T04:17"),
        ("0 0 * * *", "2026-11-22T00:00", "2026-11-22T01:00"),
        ("0 3 * * 0", "2026-11-22T03:00", "2026-11-23T03:00"),
        ("0 3 * * 7", "2026-11-22T03:00", "2026-11-21T03:00"),
        ("30 6 1,15 * *", "2026-11-15T06:30", "2026-11-16T06:30"),
        ("0 6 13 * 5", "2026-11-13T06:00", "2026-11-14T06:00"),
        ("0 6 13 * 5", "2026-11-20T06:00", "2026-11-21T06:00"),
        ("10-20/5 8-18 * 11 *", "2026-11-22T08:15", "2026-12-22T08:15"),
    ],
)
def test_an_expression_names_its_minutes(expression: str, inside: str, outside: str) -> None:
    """NOT-03: the named cadences and cron, as cron(5) reads them (days given twice: either)."""
    assert following(expression, "UTC", _ms(inside) - 1) == _ms(inside)
    assert not outside or following(expression, "UTC", _ms(outside) - 1) != _ms(outside)


@pytest.mark.parametrize(
    "expression", ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *", "* * *", "0 0 31 2 *"]
)
def test_an_expression_that_names_nothing_says_so(expression: str) -> None:
    assert problem(expression)
    assert not problem("0 3 * * 0")


@pytest.mark.parametrize("cadence", EXPRESSIONS)
def test_each_cadence_is_due_once_and_not_before(cadence: str) -> None:
    section = SchedulerSection(cadence=cadence)  # type: ignore[arg-type]
    start = _ms("2026-11-22T00:00")
    now, runs = start, 0
    while (found := following(expression_of(section), "UTC", now)) is not None and found <= start + 7 * DAY_MS:
        assert due(section, "UTC", now, found)
        assert not due(section, "UTC", now, found - 1)
        now, runs = found, runs + 1
        if runs == 300:
            break
    expected = {"every-minute": 300, "every-5-minutes": 300, "hourly": 168, "daily-midnight": 7, "daily-3": 7}
    assert runs == expected.get(cadence, 1)


def test_the_hours_are_those_of_the_site() -> None:
    section = SchedulerSection(cadence="daily-3")
    moment = _ms("2026-11-22T02:00")
    assert due(section, "Europe/Berlin", moment - 60_000, moment)
    assert not due(section, "UTC", moment - 60_000, moment)


@pytest.mark.parametrize(
    ("expression", "begin", "moments"),
    [
        # Europe/Berlin: on 29 March 2026 2:00 becomes 3:00 (01:00 UTC), on 25 October 3:00 becomes 2:00 (01:00 UTC).
        ("30 2 * * *", "2026-03-28T12:00", ["2026-03-29T01:30", "2026-03-30T00:30"]),
        ("30 2 * * *", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("0 3 * * *", "2026-10-24T12:00", ["2026-10-25T02:00", "2026-10-26T02:00"]),
        ("0 3 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T01:00"]),
        ("0 * * * *", "2026-10-24T23:30", ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"]),
        ("0 * * * *", "2026-03-29T00:30", ["2026-03-29T01:00", "2026-03-29T02:00"]),
        ("*/30 2 * * *", "2026-10-24T12:00", ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"]),
        ("0 0 * * 0", "2026-03-28T12:00", ["2026-03-28T23:00", "2026-04-04T22:00"]),
        ("0 0 29 2 *", "2026-03-01T00:00", ["2028-02-28T23:00"]),
    ],
)
def test_the_days_on_which_clocks_are_set_have_each_run_once(expression: str, begin: str, moments: list[str]) -> None:
    """NOT-03: cron in the site's time zone across daylight saving time."""
    now = _ms(begin)
    for wanted in moments:
        found = following(expression, "Europe/Berlin", now)
        assert found == _ms(wanted)
        now = found


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kolkata", "UTC"]),
    st.sampled_from([*EXPRESSIONS.values(), "30 2 * * *", "59 23 * * *", "15,45 1-3 * * *"]),
    st.integers(1_700_000_000_000, 1_900_000_000_000),
)
def test_the_next_moment_is_later_and_nothing_lies_between(zone: str, expression: str, after: int) -> None:
    found = following(expression, zone, after)
    assert found is not None
    assert after < found
    assert following(expression, zone, found - 1) == found, "whoever asks later is told the same"
    assert following(expression, zone, (after + found) // 2) == found


def test_a_log_file_ends_with_its_day(tmp_path: Path) -> None:
    file = logs.DailyFile(tmp_path / "api.jsonl")
    try:
        for number, created in enumerate(("2036-11-22T23:59:59", "2036-11-23T00:00:01", "2036-11-23T09:00:00")):
            record = logging.LogRecord("x", logging.INFO, "", 0, f"line {number}", None, None)
            record.created = _at(created).timestamp()
            file.handle(record)
    finally:
        file.close()
    assert (tmp_path / "api.jsonl").read_text().split("\n")[0].endswith("line 1")
    assert len(list(tmp_path.iterdir())) >= 2


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_log_level_is_taken_over_and_chatty_libraries_stay_quiet(level: str) -> None:
    before, chatty = logging.getLogger().level, logging.getLogger("pynetdicom").level
    try:
        logs.set_level(level)
        assert logging.getLogger("appliance.x").isEnabledFor(getattr(logging, level.upper()))
        assert logging.getLogger("pynetdicom").level == chatty
    finally:
        logging.getLogger().setLevel(before)
    assert to_plain(Settings().logs, str) == {"level": "info"}
