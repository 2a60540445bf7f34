"""Quiet times of senders: set, learned from their pauses, or that of all."""

import pytest

from appliance.receive.filing import Filer
from appliance.receive.quiet import LENGTHS, length_of, proposal, quiet_seconds
from appliance.receive.section import ReceiveSection
from appliance.receive.stable import Settler
from appliance.records import senders
from appliance.records.senders import SenderRow
from tests.unit.receive.conftest import Bench
from tests.unit.receive.test_stable import NOW, Clock


def a_sender(studies: int, pauses: dict[int, int]) -> SenderRow:
    return SenderRow(sender="CT1", address="", studies=studies, instances=0, pauses=pauses, first_at=0, last_at=0)


@pytest.mark.parametrize(
    ("studies", "pauses", "proposed"),
    [
        (19, {60: 1}, None),
        (20, {}, 10),
        (20, {2: 40}, 10),
        (20, {20: 3}, 30),
        (199, {5: 900, 300: 1}, 600),
        (200, {5: 900, 300: 1}, 10),
        (1000, {20: 50, 300: 5}, 30),
        (30, {LENGTHS[-1]: 1}, LENGTHS[-1]),
    ],
)
def test_a_proposal_would_have_cut_at_most_one_study_in_two_hundred(
    studies: int, pauses: dict[int, int], proposed: int | None
) -> None:
    """REC-06: the quiet time that a sender's own pauses ask for, one length longer; nothing before 20 studies."""
    assert proposal(a_sender(studies, pauses)) == proposed


@pytest.mark.parametrize(("seconds", "length"), [(-3600, 0), (0.4, 0), (1.0, 1), (1.2, 2), (61, 90), (14_401, 0)])
def test_a_pause_counts_under_the_next_longer_length(seconds: float, length: int) -> None:
    """A clock that was set back, or the same patient on another day, is no pause."""
    assert length_of(seconds) == length


def test_what_was_set_for_a_sender_goes_before_what_was_learned_and_that_before_the_rest() -> None:
    """REC-06: learned times are used only where the setting says so, which it does not by default."""
    learned = {"CT1": 20, "MR1": 300}
    section = ReceiveSection(quiet_seconds=60, quiet_times=("CT1=45",))
    assert [quiet_seconds(section, one, learned) for one in ("CT1", "MR1", "US1")] == [45, 60, 60]
    section = ReceiveSection(quiet_seconds=60, quiet_times=("CT1=45",), learned_quiet=True)
    assert [quiet_seconds(section, one, learned) for one in ("CT1", "MR1", "US1")] == [45, 300, 60]


async def test_pauses_between_associations_are_learned_and_those_within_one_are_not(bench: Bench) -> None:
    """REC-06: while an association is open the study cannot be stable, so its pauses say nothing."""
    filer = Filer(bench.storage, bench.keys, bench.records)

    async def came(sop: str, seconds: float, association: str) -> None:
        bench.at += int(seconds * 1000)
        await filer.file([bench.arrival(sop, association=association)], NOW)

    await came("1.1", 0, "first")
    await came("1.2", 40, "first")
    await came("1.3", 25, "second")
    await came("1.4", 55, "third")
    (row,) = await senders.everyone()
    assert (row.sender, row.address, row.studies, row.instances) == ("MODALITY", "192.0.2.1", 1, 4)
    assert row.pauses == {30: 1, 60: 1}
    await filer.file([bench.arrival("2.1", study="1.2.4", association="fourth")], NOW)
    (row,) = await senders.everyone()
    assert (row.studies, row.instances) == (2, 5)


async def test_a_study_waits_for_the_quiet_time_of_its_sender(bench: Bench) -> None:
    """REC-06: a slow sender's own time, without keeping all others waiting."""
    filer, clock = Filer(bench.storage, bench.keys, bench.records), Clock()
    for number in range(20):
        await filer.file([bench.arrival(f"1.{number}", study=f"1.2.{number}", association=f"a{number}")], NOW)
    settler = Settler(bench.records, monotonic=clock)
    section = ReceiveSection(quiet_seconds=60, learned_quiet=True)
    assert await settler.settle(section, now=NOW) == []
    clock.seconds += 9.9
    assert await settler.settle(section, now=NOW) == []
    clock.seconds += 0.2
    assert len(await settler.settle(section, now=NOW)) == 20
