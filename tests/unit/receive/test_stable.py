"""When a study is complete."""

import pytest

from appliance.errors import Unknown
from appliance.receive.filing import Filer
from appliance.receive.section import ReceiveSection
from appliance.receive.stable import LOST_AFTER_S, Settler, close_activity, force_stable, open_activity, touch
from appliance.records import events, studies
from appliance.states import IllegalMove, StudyState
from tests.unit.receive.conftest import Bench

NOW = 1_800_000_000_000
DAY_MS = 86_400_000
SECTION = ReceiveSection(quiet_seconds=60)


class Clock:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def study(bench: Bench) -> str:
    await Filer(bench.storage, bench.keys, bench.records).file([bench.arrival("1.1")], NOW)
    (row,) = await studies.in_state(StudyState.RECEIVING)
    return row.id


async def test_a_study_is_stable_after_the_quiet_time_and_told_once(bench: Bench, study: str) -> None:
    """REC-06: not a moment earlier."""
    clock = Clock()
    settler = Settler(bench.records, monotonic=clock)
    assert await settler.settle(SECTION, now=NOW) == []
    clock.seconds += 59.9
    assert await settler.settle(SECTION, now=NOW) == []
    clock.seconds += 0.2
    assert await settler.settle(SECTION, now=NOW) == [study]
    assert await settler.settle(SECTION, now=NOW) == []
    row = await studies.get(study)
    assert (row.state, row.version, row.stable_at) == (StudyState.STABLE, 1, NOW)
    assert [one.name for one in await events.after(0)].count("study-stable") == 1


async def test_another_instance_begins_the_quiet_time_anew(bench: Bench, study: str) -> None:
    clock = Clock()
    settler = Settler(bench.records, monotonic=clock)
    await settler.settle(SECTION, now=NOW)
    clock.seconds += 59
    await Filer(bench.storage, bench.keys, bench.records).file([bench.arrival("1.2")], NOW)
    await settler.settle(SECTION, now=NOW)
    clock.seconds += 59
    assert await settler.settle(SECTION, now=NOW) == []
    clock.seconds += 1
    assert await settler.settle(SECTION, now=NOW) == [study]


async def test_a_jump_of_the_wall_clock_changes_nothing(bench: Bench, study: str) -> None:
    """REC-06, faults row 23: a day forward makes nothing stable early or ends an activity, a day back holds nothing up."""
    clock = Clock()
    settler = Settler(bench.records, monotonic=clock)
    activity = await open_activity("association", process="p", study=study, sender="S", now=NOW)
    await settler.settle(SECTION, now=NOW)
    assert await settler.settle(SECTION, now=NOW + DAY_MS) == []
    clock.seconds += 20
    assert await settler.settle(SECTION, now=NOW + DAY_MS) == []
    assert [one.id for one in await studies.activities()] == [activity]
    await close_activity(activity)
    clock.seconds += 40
    assert await settler.settle(SECTION, now=NOW - DAY_MS) == [study]


async def test_a_living_upload_holds_its_study_and_a_dead_one_lets_go(bench: Bench, study: str) -> None:
    """REC-06: activity of every process counts, as rows; without a sign of life it ends."""
    clock = Clock()
    settler = Settler(bench.records, monotonic=clock)
    activity = await open_activity("upload", process="api@host:1", study=study, sender="portal", now=NOW)
    await settler.settle(SECTION, now=NOW)
    for beat in range(1, 10):
        clock.seconds += LOST_AFTER_S - 1
        await touch(activity, now=NOW + beat)
        assert await settler.settle(SECTION, now=NOW) == []
    clock.seconds += LOST_AFTER_S
    assert await settler.settle(SECTION, now=NOW) == [study]
    assert await studies.activities() == []


async def test_only_one_of_two_processes_settles_a_study(bench: Bench, study: str) -> None:
    clock = Clock()
    one, other = Settler(bench.records, monotonic=clock), Settler(bench.records, monotonic=clock)
    await one.settle(SECTION, now=NOW)
    await other.settle(SECTION, now=NOW)
    clock.seconds += 60
    assert (await one.settle(SECTION, now=NOW), await other.settle(SECTION, now=NOW)) == ([study], [])


async def test_a_person_ends_the_wait(bench: Bench, study: str) -> None:
    """UI-02: force stable; what comes later is version 2."""
    await open_activity("association", process="p", study=study, sender="S", now=NOW)
    await force_stable(bench.records, study, now=NOW)
    assert (await studies.get(study)).state is StudyState.STABLE
    with pytest.raises(IllegalMove):
        await force_stable(bench.records, study, now=NOW)
    with pytest.raises(Unknown):
        await force_stable(bench.records, "01a20000-0000-7000-8000-000000000000", now=NOW)
    await Filer(bench.storage, bench.keys, bench.records).file([bench.arrival("1.2")], NOW)
    row = await studies.get(study)
    assert (row.state, row.version, row.stable_at) == (StudyState.RECEIVING, 2, None)
