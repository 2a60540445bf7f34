"""Receiving from strangers: PDUs and names that are none, identifiers that are paths, bombs, connections by the thousand."""

import contextlib
import socket
import struct
import zlib
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.matrix import tried
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section, bytes_below, echoes, inbox_empty, kept, opened, resident, until_async
from tests.senders import Sent, accepted, dataset_bytes, digest, instances_of, send
from tests.servers import HOST, until
from tests.wire import (
    APPLICATION,
    Caller,
    association_request,
    context_item,
    item,
    message,
    pdu,
    pdv,
    request_of,
    store_command,
    user_item,
)

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
MB = 1 << 20
MOST_GROWTH = 10 * MB
PATIENCE = 60.0
FOR_EVER = 3600
"""Seconds that the receiver under test waits by itself: who is cut earlier is cut for what was sent."""


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver that loses patience with nobody, and knows where CT1 stands."""
    section = Section(
        quiet_seconds=1,
        negotiation_seconds=FOR_EVER,
        idle_seconds=FOR_EVER,
        caller_addresses=("CT1=192.0.2.10",),
        check_called=True,
    )
    with Receiver(tmp_path_factory.mktemp("strangers") / "home", section) as one:
        assert accepted(one.port, MR)
        yield one


def pid_of(receiver: Receiver) -> int:
    assert receiver.process is not None
    return receiver.process.pid


def until_cut(wire: socket.socket) -> bytes:
    """What the receiver says until it ends the connection; fails when it does not."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while chunk := wire.recv(1 << 16):
            said += chunk
    return said


# --- PDUs --------------------------------------------------------------------------------------------------------------

_MR = context_item(1, MR, EXPLICIT)
NO_REQUESTS = {
    "a length of 4 GiB": struct.pack(">BBL", 1, 0, 0xFFFFFFF0) + bytes(100),
    "nothing in it": pdu(0x01, b""),
    "10,000 contexts": request_of(APPLICATION + b"".join(context_item(n, MR, EXPLICIT) for n in range(10_000)) + user_item()),
    "even context IDs": request_of(APPLICATION + context_item(2, MR, EXPLICIT) + context_item(4, MR, EXPLICIT) + user_item()),
    "context ID 0": request_of(APPLICATION + context_item(0, MR, EXPLICIT) + user_item()),
    "an implementation UID of 64 kB": request_of(APPLICATION + _MR + user_item(implementation=b"1" * 65_000)),
    "64 kB of user identity": request_of(APPLICATION + _MR + user_item(item(0x58, bytes(65_000)))),
    "an item longer than the request": request_of(APPLICATION + struct.pack(">BBH", 0x20, 0, 0xFFFF) + b"x"),
    "an item longer than the one around it": request_of(item(0x20, b"\1\0\0\0" + struct.pack(">BBH", 0x30, 0, 0x7000) + b"1")),
    "an unknown item": request_of(item(0x99, b"abc") + _MR + user_item()),
}
_STORE = Sent(MR, "1.2.3.4", EXPLICIT, b"x" * 2000)
_ELEMENTS_OF_NO_COMMAND = b"\0\0\2\0\2\0\0\0ab"
NO_MESSAGES = {
    "a PDU longer than agreed": struct.pack(">BBL", 4, 0, 300 << 10) + bytes(1000),
    "a PDU of 4 GiB": struct.pack(">BBL", 4, 0, 0xFFFFFFF0) + bytes(1000),
    "a PDV of length 0": pdu(0x04, b"\0\0\0\0\1\3"),
    "a PDV of length 1": pdu(0x04, b"\0\0\0\1\1\3"),
    "a PDV longer than its PDU": pdu(0x04, b"\0\0\1\0\1\3abc"),
    "a PDV whose length overflows": pdu(0x04, b"\xff\xff\xff\xff\1\3abc"),
    "an unknown type of PDU": pdu(0x09, b"abcd"),
    "a second request": association_request([(MR, EXPLICIT)]),
    "an answer to a request": pdu(0x02, bytes(100)),
    "the answer to a release": pdu(0x06, bytes(4)),
    "data before any command": pdu(0x04, pdv(1, 2, b"data")),
    "a context that was not agreed on": message(_STORE, context=77),
    "an even context": message(_STORE, context=2),
    "an element of 4 GiB in a command": pdu(0x04, pdv(1, 3, b"\0\0\0\0\xff\xff\xff\xff")),
    "a command that is none": pdu(0x04, pdv(1, 3, _ELEMENTS_OF_NO_COMMAND)),
    "a command of another group": pdu(0x04, pdv(1, 3, b"\x08\0\5\0\0\0\0\0")),
    "a command in a command": pdu(0x04, pdv(1, 3, store_command(_STORE))) * 2,
}


def test_a_pdu_that_is_none_is_cut_for_what_it_is_and_costs_nothing(open_house: Receiver) -> None:
    """The PDU row of the bad inputs: none waits for a time-out, none stays in memory, and a good caller comes in after each."""
    before = resident(pid_of(open_house))
    for data in NO_REQUESTS.values():
        with socket.create_connection((HOST, open_house.port), timeout=PATIENCE) as wire:
            with contextlib.suppress(OSError):
                wire.sendall(data)
            said = until_cut(wire)
        assert said[:1] in (b"", b"\7"), "neither accepted nor kept waiting"
        assert accepted(open_house.port, MR)
    for data in NO_MESSAGES.values():
        caller = Caller(open_house.port, [(MR, EXPLICIT)], patience=PATIENCE)
        assert caller.established
        with contextlib.suppress(OSError):
            caller.wire.sendall(data)
        assert until_cut(caller.wire)[:1] in (b"", b"\7")
        caller.wire.close()
        assert accepted(open_house.port, MR)
    assert resident(pid_of(open_house)) - before < MOST_GROWTH
    tried(
        "PDUs that are none",
        injected="lengths of 4 GiB, 10,000 or even contexts, items and PDVs that overflow, commands in commands; 27 in all",
        happened="each connection is cut for what was sent, not by a time-out; memory stays; the next caller is let in",
    )


def test_a_request_that_is_only_unusual_is_accepted(open_house: Receiver) -> None:
    """PS3.8 section 9.3.2: 128 contexts, one ID twice, a peer that takes any length, titles that are filled with NUL."""
    many = b"".join(context_item(2 * n + 1, MR, EXPLICIT) for n in range(128))
    for request in (
        request_of(APPLICATION + many + user_item()),
        request_of(APPLICATION + _MR * 3 + user_item()),
        request_of(APPLICATION + _MR + user_item(longest=0)),
        request_of(APPLICATION + _MR + user_item(), calling=b"MR7".ljust(16, b"\0"), called=b"RANVIER_SCP".ljust(16, b"\0")),
    ):
        with socket.create_connection((HOST, open_house.port), timeout=PATIENCE) as wire:
            wire.sendall(request)
            assert wire.recv(1) == b"\2"


# --- AE titles ---------------------------------------------------------------------------------------------------------

NO_TITLES = [b"", b"\0" * 16, b"MR\0 1", b"\x1b[31mMR", b"MR\r\nadmin ok", b"MR\\1", "MÜNCHEN".encode(), b"\xff\xfe", b"\x7fMR"]
ODD_TITLES = [b"../../etc/x", b"$(id)", b"a;rm -rf /", b"[red]MR[/]", b"{{7*7}}", b"=cmd()", b"<b>MR</b>"]


def test_names_that_are_no_ae_title_are_refused_and_odd_ones_stay_inert(open_house: Receiver) -> None:
    """REC-02, the AE row of the bad inputs: reason 3 for the caller's, 7 for ours; nothing of a name acts in a log."""

    def answer(**titles: bytes) -> bytes:
        with socket.create_connection((HOST, open_house.port), timeout=PATIENCE) as wire:
            wire.sendall(request_of(APPLICATION + _MR + user_item(), **titles))
            return wire.recv(10)

    for title in NO_TITLES:
        assert answer(calling=title)[7:] == bytes([1, 1, 3]), title
        assert answer(called=title)[7:] == bytes([1, 1, 7]), title
    assert answer(called=b"ANOTHER")[7:] == bytes([1, 1, 7])
    assert answer(calling=b"CT1")[7:] == bytes([1, 1, 3]), "another address uses its name"
    for title in ODD_TITLES:
        assert answer(calling=title)[:1] == b"\2", title
    for path, content in bytes_below(open_house.home):
        assert b"\x1b[31m" not in content and b"MR\r\nadmin" not in content and b"\nadmin ok" not in content, path.name
    assert not [path for path in open_house.home.rglob("*") if "$(" in path.name or "MR" in path.name]
    tried(
        "AE titles that are none, or somebody else's",
        injected="empty, NUL, control characters, backslash, beyond ASCII; a bound title from elsewhere; a wrong called title",
        happened="rejected with reason 3 or 7 and explained; paths, commands and markup in a title are text and nothing else",
    )


# --- identifiers and bombs ---------------------------------------------------------------------------------------------


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """One element in Explicit VR Little Endian."""
    group, number = tag >> 16, tag & 0xFFFF
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        return struct.pack("<HH2sHL", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def _uid(tag: int, value: bytes) -> bytes:
    return element(tag, b"UI", value + b"\0" * (len(value) % 2))


def _head(instance: bytes) -> bytes:
    return _uid(0x00080016, MR.encode()) + _uid(0x00080018, instance)


def _tail(study: bytes = b"2.25.61", series: bytes = b"2.25.62") -> bytes:
    patient = element(0x00100010, b"PN", b"Bomb^A") + element(0x00100020, b"LO", b"BOMB")
    return patient + _uid(0x0020000D, study) + _uid(0x0020000E, series)


NO_UIDS = [b"../../etc/x", b"/etc/passwd", b"a;id", b"$(id)", b"1.2\x003", b"1" * 65, b"1..2", b"C:\\x", b"CON", b"1.2\n3", b""]


async def test_identifiers_that_are_paths_or_commands_name_nothing(open_house: Receiver, phantom: PhantomStudy) -> None:
    """The UID row of the bad inputs: refused, or kept in quarantine under a name of our own."""
    for uid in NO_UIDS:
        text = uid.decode()
        # The command set with the same: nothing of it is a reason to store.
        for announced in (text, "2.25.63"):
            (status,) = send(open_house.port, [Sent(MR, announced, EXPLICIT, _head(uid) + _tail())])
            assert status == 0xC000, uid
    async with opened(open_house.home) as house:
        aside = house.storage.root / "quarantine"
        already = len(list(aside.iterdir()))
        places = [(uid, b"2.25.62") for uid in NO_UIDS] + [(b"2.25.61", uid) for uid in NO_UIDS]
        for number, (study, series) in enumerate(places):
            instance = f"2.25.64{number:02}"
            assert send(open_house.port, [Sent(MR, instance, EXPLICIT, _head(instance.encode()) + _tail(study, series))]) == [0]
        await until_async(lambda: inbox_empty(house), "all is filed or set aside", 60)
        assert len(list(aside.iterdir())) == already + len(places)
        for path in open_house.home.rglob("*"):
            assert not any(word in path.name for word in ("passwd", "$(", ";", "CON", "\\", "2.25")), path.name
    tried(
        "UIDs that are paths or commands",
        injected="../../etc/x, /etc/passwd, a;id, $(id), NUL, 65 digits, Windows names, as SOP, study and series UID",
        happened="0xC000 for the SOP's, quarantine under a name of our own for the others; no path holds any of it",
    )


_SEQUENCE = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
INFLATED = 40
"""Megabytes that a deflated data set becomes."""
_EMPTY_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0)


def _inflating(megabytes: int, before: bytes, behind: bytes) -> bytes:
    """A deflated data set with an element of so many zeros."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = bytes(MB)
    return (
        packer.compress(before)
        + b"".join(packer.compress(zeros) for _ in range(megabytes))
        + packer.compress(behind)
        + packer.flush()
    )


def _bombs(many: int) -> Iterator[tuple[str, bytes, int]]:
    """Transfer syntax, data set, answer; the SOP Instance UID ends in the number of the bomb."""
    heads, tail = (_head(f"2.25.65{number:02}".encode()) for number in range(100)), _tail()
    large = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, INFLATED * MB)
    first = struct.pack("<HH2sHL", 0x0008, 0x0001, b"OB", 0, INFLATED * MB)
    # Inflates behind the head, and before it.
    yield DEFLATED, _inflating(INFLATED, next(heads) + tail + large, b""), 0x0000
    yield DEFLATED, _inflating(INFLATED, first, next(heads) + tail), 0xC000
    # Ten thousand sequences deep, behind the head and at the front.
    yield EXPLICIT, next(heads) + (_SEQUENCE + _ITEM) * 10_000 + tail, 0x0000
    yield EXPLICIT, (_SEQUENCE + _ITEM) * 10_000 + next(heads) + tail, 0xC000
    # Very many elements, and items without an end.
    yield EXPLICIT, next(heads) + element(0x00080060, b"CS", b"MR") * many + tail, 0x0000
    yield EXPLICIT, element(0x00080005, b"CS", b"") * many + next(heads) + tail, 0xC000
    yield EXPLICIT, next(heads) + _SEQUENCE + _EMPTY_ITEM * many + tail, 0x0000
    # 65535 x 65535 x 1,000,000 pixels; UL where US belongs; pixels longer than the data.
    sizes = element(0x00280010, b"US", b"\xff\xff") + element(0x00280011, b"US", b"\xff\xff")
    yield EXPLICIT, next(heads) + tail + element(0x00280008, b"IS", b"1000000 ") + sizes, 0x0000
    yield EXPLICIT, next(heads) + tail + element(0x00280010, b"UL", b"\xff\xff\xff\xff"), 0x0000
    yield EXPLICIT, next(heads) + tail + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 0xFFFFFFFE), 0x0000
    # A wrong group length, a representation that is none, character sets without sense.
    yield EXPLICIT, element(0x00080000, b"UL", b"\xff\xff\xff\x7f") + next(heads) + tail, 0x0000
    yield EXPLICIT, next(heads) + struct.pack("<HH2sH", 8, 0x60, b"ZZ", 2) + b"MR" + tail, 0x0000
    yield EXPLICIT, element(0x00080005, b"CS", b"\\ISO 2022 IR 87\\$(id)\\") + next(heads) + tail, 0x0000


@pytest.mark.parametrize("many", [250_000, pytest.param(1_000_000, marks=pytest.mark.long)])
async def test_bombs_are_kept_or_refused_and_hold_up_nobody(open_house: Receiver, phantom: PhantomStudy, many: int) -> None:
    """The data-set row of the bad inputs: nothing is unpacked or walked without a limit, to answer or to file."""
    process, good = psutil.Process(pid_of(open_house)), instances_of(phantom, 1)
    assert send(open_house.port, good) == [0]
    wanted, before = set(), process.memory_info().rss
    for number, (syntax, data, status) in enumerate(_bombs(many)):
        assert send(open_house.port, [Sent(MR, f"2.25.65{number:02}", syntax, data)]) == [status], number
        assert accepted(open_house.port, MR)
        if status == 0:
            wanted.add(digest(data))
    async with opened(open_house.home) as house:
        await until_async(lambda: inbox_empty(house), "all is filed or set aside", 60)
        aside = {digest(dataset_bytes(one)) for one in (house.storage.root / "quarantine").glob("*/instance.dcm")}
        assert wanted <= {*await kept(house), *aside}
    assert process.memory_info().rss - before < 64 * MB
    tried(
        "data sets that are bombs",
        injected="40 MB deflated into 40 kB, 10,000 sequences deep, a million elements, items without end, absurd dimensions",
        happened="kept bit by bit or refused with 0xC000; heads are read within limits; memory stays; others are served",
    )


# --- connections -------------------------------------------------------------------------------------------------------


def _connect(port: int, number: int) -> None:
    """One of the ways in which nobody becomes an association, from one of a hundred addresses."""
    with socket.create_connection((HOST, port), timeout=PATIENCE, source_address=(f"127.0.1.{number % 100 + 1}", 0)) as wire:
        match number % 5:
            case 0:
                # A scanner of ports: reset at once.
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case 1:
                # A load balancer's check: opened and closed.
                pass
            case 2:
                # Half open: it will say nothing more, and waits for our end.
                wire.shutdown(socket.SHUT_WR)
                until_cut(wire)
            case 3:
                wire.sendall(association_request([(MR, EXPLICIT)])[:40])
            case 4:
                wire.sendall(b"GET / HTTP/1.1\r\n\r\n")
                until_cut(wire)


def _connections(receiver: Receiver, count: int) -> tuple[int, int]:
    """Growth of memory and of the number of threads while so many connections come and go, and fifty stay silent."""
    process = psutil.Process(pid_of(receiver))
    with contextlib.ExitStack() as silent:
        for _ in range(50):
            silent.enter_context(socket.create_connection((HOST, receiver.port), timeout=PATIENCE))
        assert accepted(receiver.port, MR)
        until(lambda: echoes(receiver.port), "warm")
        memory = threads = 0
        for number in range(count):
            _connect(receiver.port, number)
            if number == count // 4:
                until(lambda: echoes(receiver.port), "warm")
                memory, threads = process.memory_info().rss, process.num_threads()
        assert accepted(receiver.port, MR)
        until(lambda: process.num_threads() <= threads, "associations that were tried have ended")
        return process.memory_info().rss - memory, process.num_threads() - threads


@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=pytest.mark.long)])
def test_connections_that_become_nothing_cost_nothing(
    open_house: Receiver, count: int, record_property: Callable[[str, object], None]
) -> None:
    """Faults row 9: half-open, scanned, checked and cut ones among fifty silent ones; memory and threads stay."""
    memory, threads = _connections(open_house, count)
    record_property("connections", count)
    record_property("memory growth, MB", round(memory / MB, 1))
    record_property("more threads", threads)
    assert memory < MOST_GROWTH
    assert threads <= 0
    tried(
        "connections that become nothing",
        injected="half-open, scanned, health checks, half requests, HTTP; fifty silent; 1,500 quickly, 100,000 in the long set",
        happened="a caller is let in at any time; memory grows by less than 10 MB, threads by none",
    )
