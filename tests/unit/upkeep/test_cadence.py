"""When management tasks are due, and what they delete."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import clock, logs
from appliance.fields import to_plain
from appliance.house import open_house
from appliance.settings import Settings, patched, save
from appliance.upkeep.cadence import EXPRESSIONS, due, matches, problem
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
    assert matches(expression, _at(inside))
    assert not outside or not matches(expression, _at(outside))


@pytest.mark.parametrize(
    "expression", ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *", "* * *"]
)
def test_an_expression_that_names_nothing_says_so(expression: str) -> None:
    assert problem(expression)
    assert not problem("0 3 * * 0")


@pytest.mark.parametrize("cadence", EXPRESSIONS)
def test_each_cadence_is_due_once_and_not_before(cadence: str) -> None:
    section = SchedulerSection(cadence=cadence)  # type: ignore[arg-type]
    start, minute = _ms("2026-11-22T00:00"), 60_000
    runs = sum(due(section, "UTC", now - minute, now) for now in range(start + minute, start + 7 * DAY_MS + minute, minute))
    expected = {"every-minute": 10080, "every-5-minutes": 2016, "hourly": 168, "daily-midnight": 7, "daily-3": 7}
    assert runs == expected.get(cadence, 1)


def test_the_hours_are_those_of_the_site() -> None:
    section = SchedulerSection(cadence="daily-3")
    moment = _ms("2026-11-22T02:00")
    assert due(section, "Europe/Berlin", moment - 60_000, moment)
    assert not due(section, "UTC", moment - 60_000, moment)


async def test_old_log_files_are_deleted_by_the_clock_and_open_ones_stay(tmp_path: Path) -> None:
    """NOT-04: logs 30 days; 0 is without end."""
    now = _ms("2026-11-22T04:00")
    async with open_house(tmp_path / "home", create=True) as house:
        folder = house.home / "logs"
        folder.mkdir(exist_ok=True)
        for name, age in {"api.jsonl": 40, "api.jsonl.1": 29, "api.jsonl.2": 31, "notes.txt": 400}.items():
            (folder / name).write_text("{}\n")
            os.utime(folder / name, (now / 1000 - age * 86_400,) * 2)
        assert logs.forget(house.home, 0, now) == 0
        upkeep = clock.Upkeep()
        assert await upkeep(house, now) == 1
        assert sorted(one.name for one in folder.iterdir()) == ["api.jsonl", "api.jsonl.1", "notes.txt"]
        wanted, changed = patched(Settings(), {"retention": {"logs_days": 7}})
        await save(house.keys, wanted, based_on=0, actor="test", now=now, changed=changed)
        assert await upkeep(house, now + 1000) is None
        assert await upkeep(house, now + 3_600_000) == 1


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
