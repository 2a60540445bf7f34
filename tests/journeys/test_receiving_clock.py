"""Receiving while the wall clock jumps under a running receiver; the monotonic clock stays."""

import time
from datetime import UTC, datetime
from pathlib import Path

from appliance.moments import now_ms
from appliance.records import events, studies
from appliance.states import StudyState
from tests.matrix import tried
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section, all_stable, every_study, filed, nothing_lost, opened, until_async
from tests.senders import Sender, Sent, instances_of, send
from tests.wire import contexts_of

DAY = 86_400
QUIET = 4


def of_another_study(sent: Sent, study_uid: str) -> Sent:
    """The same instance in a study of its own."""
    other = b"2.25.98" + b"8" * (len(study_uid) - 7)
    instance = sent.sop_instance[:-1] + ("1" if sent.sop_instance[-1] != "1" else "2")
    data = sent.data.replace(study_uid.encode(), other).replace(sent.sop_instance.encode(), instance.encode())
    return Sent(sent.sop_class, instance, sent.transfer_syntax, data)


async def test_jumps_of_the_clock_make_no_study_early_or_late(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-06, faults row 23: the hour that comes twice in autumn, a day forward and two days back while studies come in."""
    held, *rest = instances_of(phantom, 3)
    free = of_another_study(rest[0], phantom.study_uid)
    # Summer time ends in Berlin at 01:00 UTC: the local hour from 2 to 3 begins again while this goes on.
    autumn = datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC).timestamp() - time.time()
    receiver = Receiver(tmp_path / "home", Section(quiet_seconds=QUIET), jumping=True, time_zone="Europe/Berlin")
    receiver.move_clock(autumn)
    with receiver:
        async with opened(receiver.home) as house:
            with Sender(receiver.port, contexts_of([held])) as sender:
                assert sender.store(held) == 0
                await filed(house, 1)
                receiver.move_clock(autumn + DAY)
                began = time.monotonic()
                assert send(receiver.port, [free]) == [0]
                await until_async(
                    lambda: _states(house, StudyState.RECEIVING, StudyState.STABLE), "the free study is stable", 60
                )
                assert time.monotonic() - began >= QUIET, "a day forward has not made it stable early"
                (jumped,) = [one for one in await every_study(house) if one.state is StudyState.STABLE]
                (waiting,) = [one for one in await every_study(house) if one.state is StudyState.RECEIVING]
                assert jumped.first_at - waiting.first_at > DAY * 900, "the receiver's clock did jump"
                assert now_ms() - waiting.first_at > 20 * DAY * 900, "it does stand in October"
                assert [one.study for one in await studies.activities()] == [waiting.id]
                receiver.move_clock(autumn - DAY)
                assert sender.store(rest[1]) == 0
            await until_async(lambda: all_stable(house), "a day back has not held the other up", 60)
            assert [(one.version, one.conflicts) for one in await every_study(house)] == [(1, 0), (1, 0)]
            assert [row.name for row in await events.after(0)].count("study-stable") == 2
        await nothing_lost(receiver.home, [held, free, rest[1]])
    tried(
        "jumps of the clock, and the hour that comes twice",
        injected="its wall clock moved a day forward and two days back under open associations, over the end of summer time",
        happened="no study is stable early or late, none while its association is open; nothing is lost",
    )


async def _states(house: object, *wanted: StudyState) -> bool:
    return sorted(one.state for one in await every_study(house)) == sorted(wanted)
