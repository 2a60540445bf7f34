"""Receiving while being killed: kill -9 at every step and at any moment loses nothing that was acknowledged."""

import asyncio
import contextlib
import random
import threading
from collections import Counter
from pathlib import Path

import pytest

from appliance.records import studies
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


async def check_after_death(receiver: Receiver, burst: Burst, instances: list[Sent]) -> None:
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
        files = list((house.storage.root / "studies").rglob("*.dcm"))
        assert len(files) == sum(found.values()), "a file has no row"
        assert send(receiver.port, instances) == [0] * len(instances)
        await filed(house, len(instances))
        await until_async(lambda: inbox_empty(house), "all is filed")
        assert await kept(house) == Counter(digest(one.data) for one in instances)
        await until_async(lambda: all_stable(house), "the study is stable")
        assert (await studies.activities()) == []
    receiver.stop()


@pytest.mark.parametrize("step", STEPS)
async def test_death_at_every_step_of_receiving_loses_nothing(step: str, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, REC-08, faults row 1: kill -9 at this very step."""
    instances = [Sent.of(path) for path in phantom.files[:20]]
    once_a_batch = STEPS[step][1] in ("_place", "_unlink", "save_progress")
    receiver = Receiver(tmp_path / "home", Section(quiet_seconds=1), die_at=step, die_after=0 if once_a_batch else 5)
    receiver.start()
    burst = Burst(receiver.port, instances)
    await asyncio.to_thread(until, receiver.died, f"the receiver dies {step}")
    receiver.kill()
    await asyncio.to_thread(burst.join)
    await check_after_death(receiver, burst, instances)


@pytest.mark.parametrize("seed", range(10))
async def test_death_at_any_moment_loses_nothing(seed: int, tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 1: kill -9 after a random time, in some of the runs again while the first death is repaired."""
    await _random_death(seed, tmp_path / "home", phantom)


@pytest.mark.long
async def test_two_hundred_deaths_lose_nothing(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 1: the full count."""
    for seed in range(100, 300):
        await _random_death(seed, tmp_path / str(seed), phantom)


async def _random_death(seed: int, home: Path, phantom: PhantomStudy) -> None:
    chance = random.Random(seed)
    instances = [Sent.of(path) for path in phantom.files]
    chance.shuffle(instances)
    receiver = Receiver(home, Section(quiet_seconds=1))
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
