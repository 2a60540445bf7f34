"""The schedule: one runner in a cluster, what was missed once, by hand, with its result; clocks that are set."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import schedule, settings
from appliance.errors import Unknown
from appliance.house import House, open_house
from appliance.records import tasks
from appliance.schedule import DAY_S, MAINTENANCE, Runner, Task
from appliance.settings import Settings
from appliance.upkeep.cadence import following

HOUR = 3_600_000


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
async def house(migrated_url: str, new_home: Path) -> AsyncIterator[House]:
    settings.save_bootstrap(new_home, settings.Bootstrap(database="" if migrated_url.startswith("sqlite") else migrated_url))
    async with open_house(new_home, create=True) as opened:
        loaded = await opened.settings()
        change = {"scheduler": {"cadence": "daily-3"}, "site": {"time_zone": "Europe/Berlin"}}
        result, changed = settings.patched(loaded.settings, change)
        await opened.save(result, based_on=loaded.version, actor="test", now=_ms("2026-01-01"), changed=changed)
        yield opened


class Counted:
    """A task that counts its runs, waits when it is told to, and fails when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, deletes: bool = False) -> None:
        self.runs: list[int] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fails = False
        task = Task(MAINTENANCE, "counts", self._after, lambda _settings: "", self._run, deletes=deletes)
        monkeypatch.setattr(schedule, "TASKS", (task,))

    @staticmethod
    def _after(found: Settings, last: int) -> int | None:
        return following("0 3 * * *", found.site.time_zone, last)

    async def _run(self, _house: House, now: int) -> str:
        self.runs.append(now)
        await self.go_on.wait()
        if self.fails:
            raise RuntimeError
        return f"run {len(self.runs)}"


async def _look(runner: Runner, *moments: int) -> None:
    for moment in moments:
        await runner.look(moment, moment / 1000)
        await runner.settled()


async def test_what_was_missed_is_caught_up_once_and_the_clock_of_the_site_counts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOT-03: across daylight saving time, and after a week in which nothing ran."""
    counted, runner = Counted(monkeypatch), Runner(house)
    begin = _ms("2026-03-28T12:00")
    await _look(runner, begin)
    assert counted.runs == [begin], "the first time at once"
    await _look(runner, _ms("2026-03-29T00:59"), _ms("2026-03-29T01:00"), _ms("2026-03-29T02:00"))
    assert counted.runs[1:] == [_ms("2026-03-29T01:00")], "3:00 in summer is 1:00 UTC"
    later = _ms("2026-04-05T12:00")
    await _look(Runner(house), later, later + 60_000, later + HOUR)
    assert counted.runs[2:] == [later], "seven times were missed: one run"
    (row,) = [one for name, one in (await tasks.everyone()).items() if name == MAINTENANCE]
    assert (row.last_at, row.result, row.failed, row.worker) == (later, "run 3", False, "")
    assert schedule.next_at(schedule.TASKS[0], (await house.settings()).settings, row, later) == _ms("2026-04-06T01:00")


async def test_one_process_of_a_cluster_runs_a_task(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """NOT-03: two processes look at the same moment; a third takes over when the first has died."""
    counted = Counted(monkeypatch)
    counted.go_on.clear()
    first, second = Runner(house), Runner(house)
    now = _ms("2026-05-01T12:00")
    await asyncio.gather(first.look(now, 0.0), second.look(now, 0.0))
    await asyncio.wait_for(_until_begun(counted), 60)
    await second.look(now + 1000, 1.0)
    assert len(counted.runs) == 1
    await first.end()
    await second.end()
    counted.go_on.set()
    await _look(Runner(house), now + 2000)
    assert counted.runs == [now, now + 2000], "a run that was broken off is begun again"
    await house.records.run("UPDATE task_runs SET worker = 'elsewhere:1:1:a', lease_until = {}, last_at = 0", now + 5000)
    await _look(Runner(house), now + 4000)
    assert len(counted.runs) == 2, "another machine has it"
    await _look(Runner(house), now + 6000)
    assert len(counted.runs) == 3, "its lease has ended"


async def _until_begun(counted: Counted) -> None:
    while not counted.runs:
        await asyncio.sleep(0.01)


async def test_a_run_by_hand_comes_at_once_and_a_failure_is_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, runner = Counted(monkeypatch), Runner(house)
    now = _ms("2026-05-01T12:00")
    await _look(runner, now, now + 1000)
    counted.fails = True
    await schedule.run_now(house, MAINTENANCE, now + 2000)
    await _look(runner, now + 3000, now + 4000)
    assert counted.runs == [now, now + 3000]
    row = (await tasks.everyone())[MAINTENANCE]
    assert (row.failed, row.result) == (True, "failed: RuntimeError")
    with pytest.raises(Unknown):
        await schedule.run_now(house, "nothing", now)


async def test_a_task_that_is_switched_off_runs_by_hand_only_and_catches_up_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOT-03: on and off by a person, whatever the cadence says."""
    counted, runner = Counted(monkeypatch), Runner(house)
    await schedule.switch(MAINTENANCE, on=False)
    now = _ms("2026-05-01T12:00")
    await _look(runner, now, now + 48 * HOUR)
    assert counted.runs == []
    row = (await tasks.everyone())[MAINTENANCE]
    assert schedule.next_at(schedule.TASKS[0], (await house.settings()).settings, row, now) is None
    await schedule.run_now(house, MAINTENANCE, now + 49 * HOUR)
    await _look(runner, now + 50 * HOUR, now + 96 * HOUR)
    assert counted.runs == [now + 50 * HOUR]
    await schedule.switch(MAINTENANCE, on=True)
    await _look(runner, now + 97 * HOUR, now + 98 * HOUR)
    assert counted.runs[1:] == [now + 97 * HOUR]
    with pytest.raises(Unknown):
        await schedule.switch("nothing", on=True)


async def test_a_task_keeps_its_last_results_and_the_same_again_only_counts_up(house: House) -> None:
    """NOT-03: the last results stay visible; a task that runs every five seconds does not fill the table."""

    async def done(at: int, result: str, *, failed: bool = False) -> None:
        row = (await tasks.everyone()).get("audit-trail", tasks.TaskRow(name="audit-trail"))
        assert await tasks.claim(row, worker="w", now=at, lease_ms=1000)
        await tasks.done("audit-trail", worker="w", began=at, took_ms=at, result=result, failed=failed)

    for at, words in enumerate(["0 rows taken", "0 rows taken", "2 rows taken", "0 rows taken"], start=1):
        await done(at, words)
    await done(5, "failed: OSError", failed=True)
    told = [(one.first_at, one.last_at, one.times, one.result, one.failed) for one in await tasks.history("audit-trail")]
    assert told == [
        (5, 5, 1, "failed: OSError", True),
        (4, 4, 1, "0 rows taken", False),
        (3, 3, 1, "2 rows taken", False),
        (1, 2, 2, "0 rows taken", False),
    ]
    for at in range(6, 6 + tasks.KEPT):
        await done(at, f"run {at}")
    kept = [one.last_at for one in await tasks.history("audit-trail")]
    assert kept == list(range(5 + tasks.KEPT, 5, -1))
    assert await tasks.history(MAINTENANCE) == []


async def test_a_clock_that_was_set_back_makes_nothing_wait_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults row 23."""
    counted, runner = Counted(monkeypatch), Runner(house)
    await _look(runner, _ms("2026-05-09T12:00"))
    await runner.look(_ms("2026-05-01T12:00"), 1.0)
    await runner.settled()
    await runner.look(_ms("2026-05-02T01:00"), 2.0)
    await runner.settled()
    row = (await tasks.everyone())[MAINTENANCE]
    assert len(counted.runs) == 1
    assert schedule.next_at(schedule.TASKS[0], (await house.settings()).settings, row, _ms("2026-05-02T01:00")) == _ms(
        "2026-05-03T01:00"
    )


async def test_a_clock_that_jumps_deletes_nothing_early(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults row 23: what goes by the age of things waits a day after a step of the clock, unless somebody asks for it."""
    counted, runner = Counted(monkeypatch, deletes=True), Runner(house)
    now = _ms("2026-05-01T12:00")
    await runner.look(now, 0.0)
    await runner.settled()
    assert len(counted.runs) == 1
    jumped = now + 100 * DAY_S * 1000
    await runner.look(jumped, 10.0)
    await runner.look(jumped + HOUR, 10.0 + HOUR / 1000)
    await runner.settled()
    assert len(counted.runs) == 1
    await runner.look(jumped + DAY_S * 1000, 11.0 + DAY_S)
    await runner.settled()
    assert len(counted.runs) == 2, "the new time stood for a day"
    await Runner(house).look(jumped + 300 * DAY_S * 1000, 5.0)
    assert len(counted.runs) == 2, "nothing ran for long: is the clock right?"
    await schedule.run_now(house, MAINTENANCE, jumped + 300 * DAY_S * 1000)
    after = Runner(house)
    await after.look(jumped + 300 * DAY_S * 1000, 5.0)
    await after.settled()
    assert len(counted.runs) == 3
