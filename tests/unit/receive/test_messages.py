"""P-DATA however it is split, and whatever it is."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.receive.messages import LONGEST_COMMAND, Command, Messages, Violation, parse_command, store_response
from tests.senders import Sent
from tests.wire import echo_command, message, pdu, pdv, status_of, store_command

SENT = Sent("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4", "1.2.840.10008.1.2.1", bytes(range(256)) * 40)
LONGEST = 128 * 1024


class Taken:
    """A taker that keeps what it got."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.data: list[bytes] = []
        self._parts: list[bytes] = []

    def begin(self, command: Command) -> bool:
        self.commands.append(command)
        self._parts = []
        return command.sop_instance != b"1.2.0"

    def piece(self, data: memoryview) -> None:
        self._parts.append(bytes(data))

    def flush(self) -> None: ...

    def end(self) -> None:
        self.data.append(b"".join(self._parts))


class Bench:
    """Messages fed in pieces, as a socket gives them."""

    def __init__(self) -> None:
        self.taken, self.others, self._rest = Taken(), bytearray(), b""
        self.messages = Messages(self.taken, self.others.extend, LONGEST)

    def feed(self, data: bytes) -> None:
        self._rest += data
        self._rest = self._rest[self.messages.parse(memoryview(self._rest)) :]


@given(seed=st.integers(0, 2**32), together=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_request_is_understood_however_it_is_split(seed: int, together: bool) -> None:
    """Faults row 7 and the PDU row: PDVs and PDUs of any size, commands in pieces, several PDVs in a PDU, bytes one by one."""
    chance, bench = random.Random(seed), Bench()
    command, data = store_command(SENT, 7), SENT.data
    parts = []
    for content, kind in ((command, 1), (data, 0)):
        while content:
            size = chance.choice((1, 9, 100, 4000, 40_000))
            piece, content = content[:size], content[size:]
            parts.append(pdv(1, kind | (0 if content else 2), piece))
    stream = pdu(4, b"".join(parts)) if together else b"".join(pdu(4, one) for one in parts)
    while stream:
        size = chance.choice((1, 5, 700, 9000))
        bench.feed(stream[:size])
        stream = stream[size:]
    assert bench.taken.commands == [Command(1, 7, SENT.sop_class.encode(), b"1.2.3.4")]
    assert bench.taken.data == [SENT.data]
    assert not bench.others and bench.messages.at_boundary


def test_what_is_not_ours_goes_on_as_whole_pdus() -> None:
    """C-ECHO between two instances, and a request that the taker leaves to others."""
    bench, foreign = Bench(), Sent(SENT.sop_class, "1.2.0", SENT.transfer_syntax, b"x" * 300_000)
    echo = pdu(4, pdv(3, 3, echo_command()))
    bench.feed(message(SENT) + echo + message(foreign) + message(SENT, number=2) + pdu(5, bytes(4)))
    assert len(bench.taken.data) == 2
    passed = Messages(again := Taken(), bytearray().extend, 10**6)
    assert bytes(bench.others).startswith(echo)
    assert bytes(bench.others).endswith(pdu(5, bytes(4)))
    passed.parse(memoryview(bytes(bench.others[len(echo) : -10])))
    assert [one.sop_instance for one in again.commands] == [b"1.2.0"]


@pytest.mark.parametrize(
    "stream",
    [
        pdu(4, b"")[:2] + b"\xff\xff\xff\xf0",
        b"\x01\0\0\0\0\x40",
        b"\x05\0\xff\xff\xff\xff",
        b"\x09\0\0\0\0\0",
        b"GET / HTTP/1.1\r\n",
        pdu(4, b"\xff\xff\xff\xff\x01\x03"),
        pdu(4, b"\0\0\0\1\x01\x03"),
        pdu(4, b"\0\0\0\0\x01\x03"),
        pdu(4, pdv(1, 2, b"data before any command")),
        pdu(4, pdv(1, 3, store_command(SENT))) + pdu(4, pdv(1, 3, store_command(SENT))),
        pdu(4, pdv(1, 3, store_command(SENT))) + pdu(4, pdv(3, 2, b"data in another context")),
        pdu(4, pdv(1, 3, b"\0\0\0\0\xff\xff\xff\xff")),
        pdu(4, pdv(1, 3, b"\x08\0\x05\0\0\0\0\0")),
        b"".join(pdu(4, pdv(1, 1, bytes(60_000))) for _ in range(LONGEST_COMMAND // 60_000 + 2)),
    ],
)
def test_what_breaks_the_protocol_ends_the_association(stream: bytes) -> None:
    """The PDU row of the bad inputs: lengths of 4 GiB, overflows, unknown types, messages inside messages."""
    with pytest.raises(Violation):
        Bench().feed(stream)


@given(st.binary(max_size=3000))
@settings(max_examples=150, deadline=None)
def test_random_bytes_are_refused_or_wait_for_more(stream: bytes) -> None:
    try:
        Bench().feed(stream)
        Bench().feed(message(SENT)[:200] + stream)
    except Violation:
        pass


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_one_wrong_byte_anywhere_is_survived(place: int, value: int) -> None:
    stream = bytearray(message(SENT) * 2)
    stream[place % len(stream)] = value
    bench = Bench()
    try:
        bench.feed(bytes(stream))
    except Violation:
        return
    assert len(bench.taken.data) <= 2


def test_an_answer_is_what_the_standard_wants() -> None:
    """PS3.7 Table 9.3-2, read by pynetdicom's own decoder."""
    from pynetdicom.dimse_messages import C_STORE_RSP
    from pynetdicom.pdu import P_DATA_TF

    answer = store_response(Command(5, 77, b"1.2.840.10008.5.1.4.1.1.4", b"1.2.3.4"), 0xA700)
    received = P_DATA_TF()
    received.decode(answer)
    response = C_STORE_RSP()
    assert response.decode_msg(received.to_primitive())
    primitive: Any = response.message_to_primitive()
    assert (primitive.Status, primitive.MessageIDBeingRespondedTo) == (0xA700, 77)
    assert (primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID) == ("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4")
    assert status_of(answer[6:]) == 0xA700
    assert parse_command(answer[12:])[0x0100] == b"\x01\x80"
