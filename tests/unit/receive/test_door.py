"""Callers before they are an association: strangers cost nothing, and who may come in is decided here."""

import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from appliance import settings
from appliance.receive.admission import refusal
from appliance.receive.door import MOST_WAITING_PER_ADDRESS, Door, Refusal, Request, Visit
from appliance.receive.section import ReceiveSection
from appliance.settings import Settings
from tests.servers import HOST, until
from tests.wire import association_request

CONTEXTS = [("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1")]


@dataclass
class Hall:
    """A door with a list of those who came in and of those who did not."""

    section: ReceiveSection = field(default_factory=ReceiveSection)
    seconds: float = 5.0
    admitted: list[Request] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    door: Door | None = None

    def admit(self, visit: Visit) -> None:
        self.admitted.append(visit.request())
        visit.socket.close()

    def check(self, request: Request) -> Refusal | None:
        return refusal(request, self.section, [])

    def call(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=5)


@pytest.fixture
def hall() -> Iterator[Callable[..., Hall]]:
    with contextlib.ExitStack() as ends:

        def make(**values: object) -> Hall:
            found = Hall(**values)  # type: ignore[arg-type]
            listening = ends.enter_context(socket.create_server((HOST, 0)))
            found.port = listening.getsockname()[1]
            found.door = Door(
                listening,
                check=found.check,
                admit=found.admit,
                failed=lambda caller, _address, sentence, advice: found.failed.append((caller, f"{sentence}; {advice}")),
                seconds=lambda: found.seconds,
            )
            found.door.start()
            ends.callback(found.door.stop)
            return found

        yield make


def closed(wire: socket.socket) -> bool:
    with contextlib.suppress(ConnectionError):
        while wire.recv(4096):
            pass
    return True


def test_a_request_that_comes_byte_by_byte_is_admitted_when_it_is_whole(hall: Callable[..., Hall]) -> None:
    here = hall()
    with here.call() as wire:
        for byte in association_request(CONTEXTS, calling="CT1"):
            wire.sendall(bytes([byte]))
        until(lambda: bool(here.admitted), "the caller is admitted")
    assert (here.admitted[0].calling, here.admitted[0].called) == ("CT1", "RANVIER_SCP")
    assert here.failed == []


def test_silent_callers_port_scans_and_health_checks_cost_no_thread_and_keep_nobody_out(hall: Callable[..., Hall]) -> None:
    """Faults rows 9 and 10: also while as many as may wait do so, callers of other kinds come and go."""
    here, threads = hall(), threading.active_count()
    with contextlib.ExitStack() as silent:
        for _ in range(MOST_WAITING_PER_ADDRESS - 1):
            silent.enter_context(here.call())
        for _ in range(500):
            here.call().close()
        with here.call() as wire:
            wire.sendall(association_request(CONTEXTS))
            until(lambda: bool(here.admitted), "a caller among silent ones is admitted")
        assert threading.active_count() == threads
    door = here.door
    assert door is not None
    until(lambda: door.waiting() == 0, "all are forgotten")
    assert here.failed == []


def test_one_address_cannot_fill_the_hall(hall: Callable[..., Hall]) -> None:
    here = hall()
    with contextlib.ExitStack() as silent:
        for _ in range(MOST_WAITING_PER_ADDRESS):
            silent.enter_context(here.call())
        with here.call() as wire:
            assert closed(wire)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (struct.pack(">BBL", 1, 0, 0xFFFFFFF0), "its request has an impossible length"),
        (struct.pack(">BBL", 4, 0, 100), "it does not speak DICOM"),
        (b"GET / HTTP/1.1\r\n\r\n", "it speaks HTTP to the DICOM port"),
        (b"\x16\x03\x01\x02\x00\x01", "it speaks TLS and this port does not"),
        (bytes(60), "it does not speak DICOM"),
    ],
)
def test_who_is_no_dicom_device_is_cut_at_once_and_explained(hall: Callable[..., Hall], sent: bytes, told: str) -> None:
    """The PDU row of the bad inputs: nothing is buffered of what an impossible length announces."""
    here = hall()
    with here.call() as wire:
        wire.sendall(sent)
        assert closed(wire)
    assert [sentence.split(";")[0] for _, sentence in here.failed] == [told]


def test_who_says_nothing_or_only_half_is_sent_away_in_time(hall: Callable[..., Hall]) -> None:
    """Faults row 8: the time is that of negotiation, however slowly bytes come."""
    here = hall(seconds=0.3)
    with here.call() as silent, here.call() as half:
        half.sendall(association_request(CONTEXTS)[:50])
        assert closed(silent) and closed(half)
    assert [one.split(";")[0] for _, one in here.failed] == ["it did not finish its request in time"]


def test_a_refused_caller_reads_why(hall: Callable[..., Hall]) -> None:
    """REC-02: A-ASSOCIATE-RJ before any thread is made for it."""
    here = hall(section=ReceiveSection(allowed_callers=("MRI1",)))
    with here.call() as wire:
        wire.sendall(association_request(CONTEXTS, calling="STRANGER"))
        assert wire.recv(100) == bytes.fromhex("03000000000400010103")
    assert here.failed[0][0] == "STRANGER"


SECTION = ReceiveSection(
    allowed_callers=("CT1", "MR1"),
    caller_addresses=("CT1=192.0.2.10", "CT1=198.51.100.0/24", "MR1=2001:db8::/32"),
    check_called=True,
    maximum_associations=3,
    associations_per_address=2,
)


@pytest.mark.parametrize(
    ("calling", "called", "address", "present", "numbers"),
    [
        ("CT1", "RANVIER_SCP", "192.0.2.10", [], None),
        ("CT1", "RANVIER_SCP", "198.51.100.77", [], None),
        ("CT1", "RANVIER_SCP", "::ffff:192.0.2.10", [], None),
        ("MR1", "RANVIER_SCP", "2001:db8::7", [], None),
        ("CT1", "RANVIER_SCP", "192.0.2.11", [], (1, 1, 3)),
        ("CT1", "RANVIER_SCP", "no address", [], (1, 1, 3)),
        ("../../x", "RANVIER_SCP", "192.0.2.10", [], (1, 1, 3)),
        ("", "RANVIER_SCP", "192.0.2.10", [], (1, 1, 3)),
        ("CT1\x1b[2J", "RANVIER_SCP", "192.0.2.10", [], (1, 1, 3)),
        ("CT1", "", "192.0.2.10", [], (1, 1, 7)),
        ("CT1", "ANOTHER", "192.0.2.10", [], (1, 1, 7)),
        ("CT1", "RANVIER_SCP", "192.0.2.10", ["192.0.2.10"] * 2, (2, 3, 2)),
        ("CT1", "RANVIER_SCP", "192.0.2.10", ["192.0.2.1", "192.0.2.2", "192.0.2.3"], (2, 3, 2)),
    ],
)
def test_who_may_come_in(
    calling: str, called: str, address: str, present: list[str], numbers: tuple[int, int, int] | None
) -> None:
    """REC-02: list, addresses of an AE title, called AE title, limits; each with the standard's reason and with advice."""
    found = refusal(Request(calling=calling, called=called, address=address), SECTION, present)
    assert (found and (found.result, found.source, found.reason)) == numbers
    assert found is None or (found.sentence and found.advice)


CERTIFICATE = b"a certificate"
FINGERPRINT = hashlib.sha256(CERTIFICATE).hexdigest().upper()
COLONS = ":".join(FINGERPRINT[at : at + 2] for at in range(0, 64, 2))


@pytest.mark.parametrize("written", [FINGERPRINT, FINGERPRINT.lower(), COLONS])
@pytest.mark.parametrize(("shown", "told"), [(b"another", "another TLS certificate"), (b"", "no TLS certificate")])
def test_an_ae_title_can_be_bound_to_a_certificate(written: str, shown: bytes, told: str) -> None:
    """REC-02, REC-03: however the fingerprint is written; who is not bound needs none."""
    section = settings.section_from(Settings(), "receive", {"caller_certificates": [f"CT1={written}"]})
    assert isinstance(section, ReceiveSection)

    def asked(calling: str, certificate: bytes) -> Refusal | None:
        request = Request(calling=calling, called="RANVIER_SCP", address="192.0.2.1", certificate=certificate)
        return refusal(request, section, [])

    assert asked("CT1", CERTIFICATE) is None
    assert asked("MR1", b"") is None
    found = asked("CT1", shown)
    assert found is not None and (found.result, found.source, found.reason) == (1, 1, 3)
    assert told in found.sentence


def test_while_receiving_is_paused_everybody_is_turned_away_for_now() -> None:
    """REC-14: a transient rejection, so that senders keep their studies and try again."""
    found = refusal(Request(calling="CT1", called="X", address="192.0.2.1"), ReceiveSection(paused=True), [])
    assert found is not None and (found.result, found.source, found.reason) == (2, 3, 2)
    assert "paused" in found.sentence
