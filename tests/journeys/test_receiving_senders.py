"""Receiving from senders that break off, dawdle, fall silent, or send the same at once: each harms only itself."""

import asyncio
import socket
import struct
import threading
from collections import Counter
from pathlib import Path

from pynetdicom import AllStoragePresentationContexts

from appliance.records import events, studies
from appliance.states import StudyState
from tests.matrix import tried
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section, all_stable, every_study, kept, nothing_lost, opened, until_async
from tests.senders import Sender, Sent, accepted, digest, in_background, instances_of, send
from tests.servers import until
from tests.wire import Caller, contexts_of, message, pdu, variants

MR = "1.2.840.10008.5.1.4.1.1.4"


def _cut_in_mid_pdu(port: int, instances: list[Sent], how: str) -> None:
    """Sends all but the last instance, then half of the last, then ends the connection in a bad way."""
    caller = Caller(port, contexts_of(instances))
    assert [caller.store(one) for one in instances[:-1]] == [0] * (len(instances) - 1)
    half = message(instances[-1], 1)
    caller.wire.sendall(half[: len(half) // 2])
    if how == "reset":
        caller.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.wire.close()


async def test_a_connection_that_breaks_in_mid_instance_keeps_what_was_acknowledged(
    tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-08, faults row 7: reset, closed and aborted, each explained; nothing half is there, and the study settles."""
    instances = instances_of(phantom, 9)
    with Receiver(tmp_path / "home", Section(quiet_seconds=1)) as receiver:
        _cut_in_mid_pdu(receiver.port, instances[:3], "reset")
        _cut_in_mid_pdu(receiver.port, instances[3:6], "closed")
        caller = Caller(receiver.port, contexts_of(instances))
        assert [caller.store(one) for one in instances[6:8]] == [0, 0]
        caller.wire.sendall(pdu(0x07, b"\0\0\0\0"))
        async with opened(receiver.home) as house:
            await until_async(lambda: all_stable(house), "the study settles")
            acknowledged = [*instances[:2], *instances[3:5], *instances[6:8]]
            assert await kept(house) == Counter(digest(one.data) for one in acknowledged)
            told = [row.event.text() for row in await events.after(0) if row.name == "association-failed"]
        caller.wire.close()
        assert [("in the middle of an instance" in one, "aborted after 2 instances" in one) for one in sorted(told)] == [
            (False, True),
            (True, False),
        ]
        assert all("send the study again" in one for one in told)
    tried(
        "connection breaks in the middle of an instance",
        injected="TCP reset, close, and A-ABORT by a sender",
        happened="what was acknowledged is kept, the half instance leaves no trace, the study settles, the cause is told",
    )


async def test_a_slow_sender_delays_only_itself_and_a_silent_one_is_let_go(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-06, faults rows 8 and 10: byte by byte; the studies of others are stable long before, its own is not early."""
    slow, *others = instances_of(phantom, 12)
    other = list(variants(others[0], 6))
    renamed = [
        Sent(
            one.sop_class,
            one.sop_instance,
            one.transfer_syntax,
            one.data.replace(phantom.study_uid.encode(), b"2.25.99" + b"9" * (len(phantom.study_uid) - 7)),
        )
        for one in other
    ]
    with Receiver(tmp_path / "home", Section(quiet_seconds=1, idle_seconds=5)) as receiver:
        caller, silent = Caller(receiver.port, contexts_of([slow])), Caller(receiver.port, contexts_of([slow]))
        assert caller.store(others[1]) == 0
        assert silent.store(others[2]) == 0
        unfinished = message(others[3])
        silent.wire.sendall(unfinished[: len(unfinished) // 2])
        whole, go_on = message(slow, number=2), threading.Event()

        def drip() -> None:
            at = 0
            while not go_on.wait(1.0):
                caller.wire.sendall(whole[at : at + 1])
                at += 1
            caller.wire.sendall(whole[at:])

        dripping = in_background(drip)
        assert send(receiver.port, renamed) == [0] * 6
        async with opened(receiver.home) as house:

            async def stable() -> list[bool]:
                return sorted(one.state is StudyState.STABLE for one in await every_study(house))

            async def others_are() -> bool:
                return await stable() == [False, True]

            await until_async(others_are, "the others' study is stable, the slow one's is not")
            await asyncio.to_thread(until, lambda: silent.status() is None, "the silent one is let go")
            assert await stable() == [False, True]
            go_on.set()
            await asyncio.to_thread(dripping.join, 60)
            assert await asyncio.to_thread(caller.status) == 0
            await asyncio.to_thread(caller.__exit__)
            await until_async(lambda: all_stable(house), "its own study is stable once it ends")
            assert await kept(house) == Counter(digest(one.data) for one in [slow, others[1], others[2], *renamed])
            told = [row.event.text() for row in await events.after(0) if row.name == "association-failed"]
            assert len(told) == 1 and "it said nothing for 5 s in the middle of an instance" in told[0]
            assert accepted(receiver.port, MR)
    tried(
        "slow and silent senders",
        injected="one byte a second; another silent in the middle of an instance",
        happened="others are served and their study is stable at once, the slow one's not early; the silent one is let go",
    )


async def test_ten_slow_associations_among_fifty_hold_up_none_of_the_others(tmp_path: Path, phantom: PhantomStudy) -> None:
    """Faults row 10: forty finish while ten are in the middle of an instance; one more is turned away for now."""
    first, *others = instances_of(phantom, 11)
    shares = [list(variants(first, 3, 3 * number)) for number in range(40)]
    with Receiver(tmp_path / "home", Section(quiet_seconds=1, maximum_associations=50)) as receiver:
        slow = [Caller(receiver.port, contexts_of(others), patience=60) for _ in others]
        unsent = [bytearray(message(one, caller.context_of(one))) for caller, one in zip(slow, others, strict=True)]
        fast = [Caller(receiver.port, contexts_of([first]), patience=60) for _ in shares]
        assert all(one.established for one in (*slow, *fast))
        assert Sender(receiver.port, contexts_of([first])).rejection == (2, 3, 2)
        answers: list[list[int | None]] = []
        for caller, share in zip(fast, shares, strict=True):
            in_background(lambda caller=caller, share=share: answers.append([caller.store(one) for one in share]))  # type: ignore[misc]

        def all_answered() -> bool:
            for caller, rest in zip(slow, unsent, strict=True):
                caller.wire.sendall(rest[:1])
                del rest[:1]
            return len(answers) == len(fast)

        await asyncio.to_thread(until, all_answered, "forty are served while ten dawdle", 60)
        assert answers == [[0, 0, 0]] * 40
        assert all(unsent), "the slow ones have not come to their end by themselves"
        for caller, rest in zip(slow, unsent, strict=True):
            caller.wire.sendall(rest)
        assert [caller.status() for caller in slow] == [0] * 10
        for caller in (*slow, *fast):
            caller.__exit__()
        await nothing_lost(receiver.home, [*others, *(one for share in shares for one in share)])
    tried(
        "ten slow associations among fifty",
        injected="fifty at once, the most allowed; ten send one byte at a time; one more calls",
        happened="forty are served while ten dawdle, the one too many is turned away for now; in the end all is kept",
    )


async def test_settings_change_under_open_associations(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-14, faults row 26: list, limits and pause act on new associations; the open one goes on to its end."""
    instances = instances_of(phantom, 6)
    with Receiver(tmp_path / "home", Section(quiet_seconds=1)) as receiver:
        with Sender(receiver.port, contexts_of(instances)) as sender:
            assert [sender.store(one) for one in instances[:3]] == [0] * 3
            receiver.configure(Section(quiet_seconds=1, paused=True, allowed_callers=("NOBODY",), maximum_associations=1))
            await asyncio.to_thread(until, lambda: not accepted(receiver.port, MR), "new associations are turned away")
            refused = Sender(receiver.port, contexts_of(instances))
            assert refused.rejection == (2, 3, 2)
            assert [sender.store(one) for one in instances[3:]] == [0] * 3
        receiver.configure(Section(quiet_seconds=1))
        await asyncio.to_thread(until, lambda: accepted(receiver.port, MR), "resumed")
        await nothing_lost(receiver.home, instances)
    tried(
        "settings change and pause while an association is open",
        injected="pause, another list of callers and a lower limit, saved during a transfer",
        happened="new associations are turned away for now, the open one is finished, resuming lets senders in again",
    )


async def test_one_series_on_two_associations_is_one_study(tmp_path: Path, phantom: PhantomStudy) -> None:
    """Faults row 13: both at once, each with half and some of the other's; stored once, stable once."""
    instances = instances_of(phantom, 16)
    with Receiver(tmp_path / "home", Section(quiet_seconds=1)) as receiver:
        answers: list[list[int | None]] = []
        halves = (instances[:10], instances[6:])
        threads = [in_background(lambda part=part: answers.append(send(receiver.port, part))) for part in halves]  # type: ignore[misc]
        for one in threads:
            await asyncio.to_thread(one.join, 60)
        assert answers == [[0] * 10, [0] * 10]
        async with opened(receiver.home) as house:
            await until_async(lambda: all_stable(house), "the study is stable")
            assert await kept(house) == Counter(digest(one.data) for one in instances)
            (study,) = await every_study(house)
            assert (study.version, study.instances, study.conflicts) == (1, 16, 0)
            assert [row.name for row in await events.after(0)].count("study-stable") == 1
            assert await studies.activities() == []
    tried(
        "one series over two associations at once",
        injected="two senders with overlapping halves of a series",
        happened="one study, each instance once, stable once",
    )


def test_every_storage_class_of_the_standard_is_accepted(tmp_path: Path) -> None:
    """REC-01: offered with the encoding that every sender knows, as many at once as one request can hold."""
    classes = sorted({str(one.abstract_syntax) for one in AllStoragePresentationContexts})
    assert len(classes) > 150
    with Receiver(tmp_path / "home") as receiver:
        for share in (classes[at : at + 128] for at in range(0, len(classes), 128)):
            with Caller(receiver.port, [(one, "1.2.840.10008.1.2") for one in share]) as caller:
                assert caller.established
                assert caller.results() == [0] * len(share)


def test_private_classes_are_stored_where_the_settings_name_them(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-01: Siemens CSA Non-Image Storage is refused without and stored with its UID in the settings."""
    private = "1.3.12.2.1107.5.9.1"
    instance = instances_of(phantom, 1)[0]
    siemens = Sent(
        private,
        instance.sop_instance,
        instance.transfer_syntax,
        instance.data.replace(MR.encode() + b"\0", private.encode() + b"\0" * (len(MR) + 1 - len(private))),
    )
    with Receiver(tmp_path / "home", Section(private_classes=(private,))) as receiver:
        assert send(receiver.port, [siemens]) == [0]
