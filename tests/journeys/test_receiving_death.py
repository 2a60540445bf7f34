"""Receiving while being killed: kill -9 at every step and at any moment loses nothing that was acknowledged."""

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from appliance.records import studies
from tests.matrix import tried
from tests.phantoms import PhantomStudy
from tests.receiving import (
    STEPS,
    Receiver,
    Section,
    all_stable,
    filed,
    inbox_empty,
    kept,
    opened,
    until_async,
)
from tests.sabotage import cut_power
from tests.senders import Sender, Sent, digest, in_background, send
from tests.servers import until

MR = "1.2.840.10008.5.1.4.1.1.4"
CT = "1.2.840.10008.5.1.4.1.1.2"


class Burst:
    """Senders that go on until the receiver dies, and what they were promised."""

    def __init__(self, port: int, instances: list[Sent], associations: int = 2) -> None:
        self.acknowledged: list[str] = []
        parts = [instances[number::associations] for number in range(associations)]
        self._threads = [in_background(lambda part=part: self._send(port, part)) for part in parts]  # type: ignore[misc]

    def _send(self, port: int, instances: list[Sent]) -> None:
        contexts = [(one.sop_class, one.transfer_syntax) for one in instances]
        with contextlib.suppress(OSError, RuntimeError, StopIteration), Sender(port, contexts) as sender:
            for one in instances:
                if not sender.established or (status := sender.store(one)) is None:
                    return
                assert status == 0
                self.acknowledged.append(digest(one.data))

    def join(self) -> None:
        """Waits until every sender has noticed."""
        for thread in self._threads:
            thread.join(60)


class Promises(Protocol):
    """Whoever was promised something."""

    acknowledged: list[str]


async def check_after_death(receiver: Receiver, burst: Promises, instances: list[Sent]) -> None:
    """Restarts, and demands: all that was acknowledged is there, whole, once; then everything can be sent again."""
    receiver.die_at = ""
    receiver.start()
    async with opened(receiver.home) as house:
        await until_async(lambda: inbox_empty(house), "the inboxes of the dead are filed")
        found = await kept(house)
        promised = set(burst.acknowledged)
        assert promised <= set(found), f"{len(promised - set(found))} acknowledged instances are lost"
        assert set(found.values()) <= {1}, "an instance is stored twice"
        assert set(found) <= {digest(one.data) for one in instances}, "something half is visible"

        async def no_orphans() -> bool:
            # A transaction that was lost leaves files behind, which the sweep finds.
            try:
                return len(list((house.storage.root / "studies").rglob("*.dcm"))) == sum(found.values())
            except FileNotFoundError:
                # The sweep has just taken a folder away that was being looked into.
                return False

        await until_async(no_orphans, "every file has a row")
        assert send(receiver.port, instances) == [0] * len(instances)
        await filed(house, len(instances))
        await until_async(lambda: inbox_empty(house), "all is filed")
        assert await kept(house) == Counter(digest(one.data) for one in instances)
        await until_async(lambda: all_stable(house), "the study is stable")

        async def nothing_open() -> bool:
            # A study that was stable before is so at once, while the end of the last association is still being noted.
            return not await studies.activities()

        await until_async(nothing_open, "no association is open any more")
    receiver.stop()


@pytest.mark.parametrize("step", STEPS)
async def test_death_at_every_step_of_receiving_loses_nothing(step: str, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, REC-08, faults row 1: kill -9 at this very step."""
    instances = [Sent.of(path) for path in phantom.files[:20]]
    seldom = STEPS[step][1] in (
        "place",
        "let_go",
        "save_progress",
        "sync_everything",
        "secrets.token_bytes",
        "sync_folder",
    )
    receiver = Receiver(tmp_path / "home", Section(quiet_seconds=1), die_at=step, die_after=0 if seldom else 5)
    with contextlib.closing(receiver):
        receiver.start()
        burst = Burst(receiver.port, instances)
        await asyncio.to_thread(until, receiver.died, f"the receiver dies {step}")
        receiver.kill()
        await asyncio.to_thread(burst.join)
        await check_after_death(receiver, burst, instances)
    tried(f"kill -9 {step}", injected="SIGKILL at this very step", happened=_AFTER_DEATH)


_AFTER_DEATH = "after a restart all that was acknowledged is there, whole and once; the rest can be sent again"


async def test_a_record_that_is_written_in_half_is_none(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 1: death in the middle of a write, forced; nothing half is filed."""
    assert await _half_write(tmp_path / "home", phantom, "") == 0
    injected = "the last record of a journal cut in the middle, the database lost"
    tried("half-written record", injected=injected, happened="it is taken for none; all whole records are filed")


async def test_a_receiver_that_believes_every_record_is_found_out(tmp_path: Path, phantom: PhantomStudy) -> None:
    """The test above can fail: without the proof of hash and mark the half record is filed."""
    assert await _half_write(tmp_path / "home", phantom, "no-proof") == 1


async def _half_write(home: Path, phantom: PhantomStudy, sabotage: str) -> int:
    """How many instances are kept that nobody sent like that."""
    instances = [Sent.of(path) for path in phantom.files[:6]]
    with contextlib.closing(Receiver(home, Section(quiet_seconds=1))) as receiver:
        receiver.start()
        with Sender(receiver.port, [(MR, instances[0].transfer_syntax)]) as sender:
            assert [sender.store(one) for one in instances] == [0] * 6
            receiver.kill()
        (segment,) = home.rglob("*.journal")
        content = segment.read_bytes()
        last = content.rindex(content[24:32])
        segment.write_bytes(content[: last + 3000] + bytes(len(content) - last - 3000))
        with contextlib.suppress(FileNotFoundError):
            # As if the batch had not been filed yet.
            for name in ("ranvier.db", "ranvier.db-wal", "ranvier.db-shm"):
                (home / name).unlink(missing_ok=True)
        for file in (home / "storage" / "studies").rglob("*.dcm"):
            file.unlink()
        receiver.sabotage = sabotage
        receiver.start()
        async with opened(home) as house:
            await until_async(lambda: inbox_empty(house), "the inbox is filed")
            found = await kept(house)
            assert sum(found.values()) == 5 + bool(sabotage)
            return len(set(found) - {digest(one.data) for one in instances})


async def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 3: all bytes and names that were not synced are gone; and every sync was before its answer."""
    lost, home = await _power_cut(tmp_path / "home", phantom, "")
    assert lost == 0
    lines = (home / "disk-for-test" / "log").read_text().splitlines()
    answers = 0
    for number, line in enumerate(lines):
        if line.startswith("answer 0000"):
            answers += 1
            before = [one for one in lines[:number] if ".journal" in one]
            # One association at a time: the last that happened to its segment is the sync of its record.
            assert before[-1].startswith("sync ") and before[-2].startswith("write ")
    assert answers == len(phantom.files[:12])
    injected = "all bytes and names that were never synced removed from the storage after kill -9"
    tried("power cut", injected=injected, happened=_AFTER_DEATH)


@pytest.mark.parametrize("sabotage", ["no-sync"])
async def test_a_receiver_that_does_not_sync_is_found_out(sabotage: str, tmp_path: Path, phantom: PhantomStudy) -> None:
    """The test above can fail."""
    lost, _ = await _power_cut(tmp_path / "home", phantom, sabotage)
    assert lost > 0


async def _power_cut(home: Path, phantom: PhantomStudy, sabotage: str) -> tuple[int, Path]:
    instances = [Sent.of(path) for path in phantom.files[:12]]
    with contextlib.closing(Receiver(home, Section(quiet_seconds=1), sabotage=sabotage, record=True)) as receiver:
        receiver.start()
        with Sender(receiver.port, [(MR, instances[0].transfer_syntax)]) as sender:
            assert [sender.store(one) for one in instances] == [0] * 12
            receiver.kill()
        cut_power(home)
        receiver.sabotage, receiver.record = "", False
        receiver.start()
        async with opened(home) as house:
            await until_async(lambda: inbox_empty(house), "the inbox is filed")
            return len({digest(one.data) for one in instances} - set(await kept(house))), home


async def test_a_receiver_that_answers_before_it_writes_is_found_out(tmp_path: Path, phantom: PhantomStudy) -> None:
    """The tests of this file can fail: an instance was acknowledged, and it is lost."""
    first = Sent.of(phantom.files[0])
    with contextlib.closing(Receiver(tmp_path / "home", sabotage="answer-before-write")) as receiver:
        receiver.start()
        with Sender(receiver.port, [(MR, first.transfer_syntax)]) as sender:
            assert sender.store(first) == 0
            receiver.kill()
        receiver.sabotage = ""
        receiver.start()
        async with opened(receiver.home) as house:
            await until_async(lambda: inbox_empty(house), "the inbox is filed")
            assert sum((await kept(house)).values()) == 0


@pytest.mark.parametrize("seed", range(20))
async def test_death_at_any_moment_loses_nothing(seed: int, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 1: kill -9 after a random time, in some of the runs again while the first death is repaired."""
    await _random_death(seed, tmp_path / "home", phantom)
    injected = "SIGKILL after a random time, twice in 40 % of the runs; 20 runs quickly, 200 in the long set"
    tried("kill -9 at any moment", injected=injected, happened=_AFTER_DEATH)


@pytest.mark.long
@pytest.mark.parametrize("first", range(100, 300, 20))
async def test_two_hundred_deaths_lose_nothing(
    first: int, tmp_path: Path, phantom: PhantomStudy, record_property: Callable[[str, object], None]
) -> None:
    """REC-04, faults row 1: the full count, in ten parts, each within the time that a test may take."""
    acknowledged = 0
    for seed in range(first, first + 20):
        acknowledged += await _random_death(seed, tmp_path / str(seed), phantom)
    record_property("deaths", 20)
    record_property("instances acknowledged", acknowledged)
    record_property("instances lost", 0)


async def _random_death(seed: int, home: Path, phantom: PhantomStudy) -> int:
    """How many instances were acknowledged; none of them is lost."""
    chance = random.Random(seed)
    instances = [Sent.of(path) for path in phantom.files]
    chance.shuffle(instances)
    receiver = Receiver(home, Section(quiet_seconds=1))
    with contextlib.closing(receiver):
        return await _die(chance, receiver, instances)


async def _die(chance: random.Random, receiver: Receiver, instances: list[Sent]) -> int:
    receiver.start()
    burst = Burst(receiver.port, instances, associations=chance.choice((1, 2, 3)))
    await asyncio.to_thread(threading.Event().wait, chance.uniform(0.05, 1.2))
    receiver.kill()
    await asyncio.to_thread(burst.join)
    if chance.random() < 0.4:
        receiver.start()
        await asyncio.to_thread(threading.Event().wait, chance.uniform(0.0, 0.3))
        receiver.kill()
    await check_after_death(receiver, burst, instances)
    return len(burst.acknowledged)
