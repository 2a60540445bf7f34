"""Receiving what is nearly right: mutated requests, messages and data sets, over the wire and straight into the parsers."""

import contextlib
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.receive.endings import Tally
from appliance.receive.header import read_header
from appliance.receive.journal import Entry, Journal
from appliance.receive.messages import Messages, Violation
from appliance.receive.part10 import Origin
from appliance.receive.takes import Storing
from appliance.receive.unfiled import Unfiled
from tests.matrix import tried
from tests.mutations import mutated
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section, echoes, resident
from tests.senders import Sent, instances_of, send
from tests.servers import HOST, until
from tests.wire import association_request, contexts_of, message

MB = 1 << 20
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")


def seeds(phantom: PhantomStudy) -> list[Sent]:
    """Good instances, and the malformed files of other people where there are some."""
    found = instances_of(phantom, 3)
    folder = Path(os.environ.get("RANVIER_DATA", "")) / "malformed"
    if os.environ.get("RANVIER_DATA") and folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and 200 < path.stat().st_size < 200_000:
                with contextlib.suppress(Exception):
                    found.append(Sent.of(path))
    return found


# --- over the wire -----------------------------------------------------------------------------------------------------


def _input(chance: random.Random, sent: Sent) -> bytes:
    """One connection's bytes: a mutated request, a good one with a mutated message, or one with a mutated data set."""
    request = association_request(contexts_of([sent]))
    match chance.randrange(4):
        case 0:
            return mutated(chance, request)
        case 1:
            return chance.randbytes(chance.randrange(1, 400))
        case 2:
            return request + mutated(chance, message(sent))
    changed = Sent(sent.sop_class, sent.sop_instance, sent.transfer_syntax, mutated(chance, sent.data))
    return request + message(changed)


def _meet(port: int, data: bytes) -> float:
    """Sends all of it, says that nothing more comes, and gives the seconds until the receiver has closed."""
    with socket.create_connection((HOST, port), timeout=30) as wire:
        with contextlib.suppress(OSError):
            wire.sendall(data)
            wire.shutdown(socket.SHUT_WR)
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while wire.recv(1 << 16):
                pass
        return time.monotonic() - begin


def _over_the_wire(home: Path, phantom: PhantomStudy, count: int) -> tuple[float, int]:
    """The longest wait and the growth of memory; the receiver is well afterwards."""
    chance, found = random.Random(11), seeds(phantom)
    # So few at once that an association which does not end is missed.
    with Receiver(home, Section(quiet_seconds=1, maximum_associations=8)) as receiver:
        assert receiver.process is not None
        longest, warm = 0.0, 0
        for number in range(count):
            longest = max(longest, _meet(receiver.port, _input(chance, chance.choice(found))))
            if number == count // 4:
                # Until then caches fill: presentation contexts, decoders, the pages of the database.
                warm = resident(receiver.process.pid)
        growth = resident(receiver.process.pid) - warm
        assert not receiver.died()
        until(lambda: echoes(receiver.port), "every association has ended", 10)
        assert send(receiver.port, instances_of(phantom, 1)) == [0]
    return longest, growth


def test_nearly_right_connections_are_survived(tmp_path: Path, phantom: PhantomStudy) -> None:
    """Faults row 15, PDU layer and data sets: no crash, no hang; a good instance is stored afterwards."""
    longest, _ = _over_the_wire(tmp_path / "home", phantom, 200)
    assert longest < 10
    tried(
        "malformed requests, messages and data sets",
        injected="mutations by a seed, on connections of their own and straight into the parsers",
        happened="refused, aborted or quarantined; no crash, no hang; a good instance is stored afterwards",
    )


@pytest.mark.long
def test_thousands_of_nearly_right_connections_are_survived(
    tmp_path: Path, phantom: PhantomStudy, record_property: Callable[[str, object], None]
) -> None:
    """Faults row 15: 10,000 connections; together with the parsers' 90,000 that is the full count."""
    longest, growth = _over_the_wire(tmp_path / "home", phantom, 10_000)
    record_property("inputs", 10_000)
    record_property("longest wait, s", round(longest, 2))
    record_property("memory growth, MB", round(growth / MB, 1))
    assert growth < 10 * MB


# --- straight into the parsers -----------------------------------------------------------------------------------------


class _Parsers:
    """What an association's bytes go through, without a socket; the disk is real."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfiled = Unfiled()
        self._number = 0
        self.entries = 0

    def journalled(self, entry: Entry) -> None:
        self.entries += 1
        entry.segment.filed(entry.prefix_bytes + entry.data_bytes)

    def low_disk(self) -> None: ...

    def take(self, data: bytes, sent: Sent) -> None:
        """One stream of P-DATA, in two parts; what breaks the protocol ends it."""
        self._number += 1
        storing = Storing(
            Journal(self._folder, f"{self._number:036}", self._unfiled),
            {1: (sent.sop_class, sent.transfer_syntax)},
            Origin(sop_class="", sop_instance="", transfer_syntax="", sender="FUZZ"),
            self,
            clock=lambda: 1_800_000_000_000,
            room=lambda _: None,
            answer=lambda _: None,
            tally=Tally(),
        )
        buffer, others = memoryview(bytearray(data)), bytearray()
        messages = Messages(storing, others.extend, 1 << 18)
        with contextlib.suppress(Violation):
            taken = messages.parse(buffer[: len(data) // 2])
            messages.parse(buffer[taken:])
        storing.close()


def _inputs(chance: random.Random, found: list[Sent], count: int) -> Iterator[tuple[bytes, Sent, bool]]:
    for _ in range(count):
        sent = chance.choice(found)
        whole = chance.random() < 0.5
        yield (mutated(chance, message(sent)) if whole else mutated(chance, sent.data)), sent, whole


def _into_the_parsers(folder: Path, phantom: PhantomStudy, count: int) -> tuple[float, int]:
    """The longest time that one input took, and the growth of memory."""
    folder.mkdir()
    parsers, chance, found = _Parsers(folder), random.Random(12), seeds(phantom)
    longest, warm = 0.0, 0
    for number, (data, sent, whole) in enumerate(_inputs(chance, found, count)):
        begin = time.monotonic()
        if whole:
            parsers.take(data, sent)
        else:
            syntax = sent.transfer_syntax if chance.random() < 0.8 else chance.choice(SYNTAXES)
            header = read_header(data, syntax)
            assert isinstance(header.uid(0x00080018), str)
        longest = max(longest, time.monotonic() - begin)
        if number == count // 4:
            warm = resident(os.getpid())
    assert parsers.entries or count < 1000
    assert not list(folder.glob("*.journal"))
    return longest, resident(os.getpid()) - warm


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nearly_right_bytes_are_read_or_refused(tmp_path: Path, phantom: PhantomStudy) -> None:
    """Faults row 15: whatever the bytes are, the parsers give a result or say that the protocol is broken."""
    longest, _ = _into_the_parsers(tmp_path / "journals", phantom, 1500)
    assert longest < 10


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ninety_thousand_nearly_right_inputs_are_read_or_refused(
    tmp_path: Path, phantom: PhantomStudy, record_property: Callable[[str, object], None]
) -> None:
    """Faults row 15: the rest of 100,000 inputs; seeds are phantoms and other people's malformed files."""
    longest, growth = _into_the_parsers(tmp_path / "journals", phantom, 90_000)
    record_property("inputs", 90_000)
    record_property("longest, s", round(longest, 2))
    record_property("memory growth, MB", round(growth / MB, 1))
    assert growth < 10 * MB
