"""P-DATA of one association taken apart: which bytes belong to a C-STORE request of ours and which are for others.

Nothing here knows a socket, pynetdicom or a disk. Bytes stay in one buffer; a data set is told as views into it. Command sets
are implicit little endian (PS3.7 section 6.3.1), PDUs big endian (PS3.8 section 9.3).
"""

import struct
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

P_DATA: Final = 0x04
_CONTROL: Final = {0x05: 4, 0x06: 4, 0x07: 4}
"""A-RELEASE-RQ, A-RELEASE-RP, A-ABORT and the length each must have."""
SLACK = 12
"""Some senders count the headers of their PDVs beside the maximum length that was agreed on."""
LONGEST_COMMAND = 64 << 10
LONGEST_FOREIGN = 16 << 20
"""Bytes of a data set that is no C-STORE's: a storage commitment request names a million instances in less."""
_PDU = struct.Struct(">BBL").unpack_from
_PDV = struct.Struct(">LBB").unpack_from
_ELEMENT = struct.Struct("<HHL").unpack_from
_C_STORE_RQ: Final = 0x0001
_NO_DATA_SET: Final = 0x0101


_COMMAND: Final = "a command set cannot be understood"
_ORDER: Final = "parts of a message come in a wrong order"


class Violation(Exception):
    """The peer does not keep to the protocol; the association must be aborted. The text says what is wrong."""


class Command(msgspec.Struct, frozen=True):
    """A C-STORE-RQ command set (PS3.7 Table 9.3-1)."""

    context: int
    message: int
    sop_class: bytes
    sop_instance: bytes


class Taker(Protocol):
    """Who takes a C-STORE request, piece by piece."""

    def begin(self, command: Command) -> bool:
        """A request begins; false when pynetdicom shall have it."""

    def piece(self, data: memoryview) -> None:
        """A part of its data set; the view is good until `flush` or `end` returns."""

    def flush(self) -> None:
        """The views that were given become invalid."""

    def end(self) -> None:
        """The data set is complete."""


def parse_command(data: bytes | bytearray) -> dict[int, bytes]:
    """The elements of group 0000 by their element number; raises `Violation`."""
    found, at = {}, 0
    while at < len(data):
        if at + 8 > len(data):
            raise Violation(_COMMAND)
        group, element, length = _ELEMENT(data, at)
        at += 8
        if group or at + length > len(data):
            raise Violation(_COMMAND)
        found[element] = bytes(data[at : at + length])
        at += length
    return found


def store_response(command: Command, status: int) -> bytes:
    """A C-STORE-RSP in one P-DATA-TF PDU (PS3.7 Table 9.3-2); it repeats of a UID what can be one."""
    sop_instance = command.sop_instance[:64]
    body = b"".join(
        (
            _element(0x0002, command.sop_class + b"\0" * (len(command.sop_class) % 2)),
            b"\0\0\0\1\2\0\0\0\1\x80",
            b"\0\0\x20\1\2\0\0\0" + command.message.to_bytes(2, "little"),
            b"\0\0\0\x08\2\0\0\0\1\1",
            b"\0\0\0\x09\2\0\0\0" + status.to_bytes(2, "little"),
            _element(0x1000, sop_instance + b"\0" * (len(sop_instance) % 2)),
        )
    )
    command_set = b"\0\0\0\0\4\0\0\0" + len(body).to_bytes(4, "little") + body
    return p_data(command.context, 0x03, command_set)


def p_data(context: int, control: int, data: bytes | bytearray) -> bytes:
    """One PDV in a PDU of its own."""
    return struct.pack(">BBLLBB", P_DATA, 0, len(data) + 6, len(data) + 2, context, control) + data


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, element, len(value)) + value


class Messages:
    """Takes PDUs apart, however they come; what is no C-STORE for the taker goes to `others` as whole PDUs."""

    def __init__(self, taker: Taker, others: Callable[[bytes], None], longest: int) -> None:
        self._taker = taker
        self._others = others
        self._longest = longest + SLACK
        self._pdu = 0
        self._pdv = 0
        self._context = self._control = 0
        self._command = bytearray()
        self._command_context = 0
        self._part = bytearray()
        self._foreign = 0
        self._in_data = False
        self._ours = False

    @property
    def storing(self) -> bool:
        """Whether a data set for the taker is under way."""
        return self._in_data and self._ours

    @property
    def at_boundary(self) -> bool:
        """Whether everything that was begun is complete."""
        return not (self._pdu or self._pdv or self._in_data or self._command)

    def parse(self, view: memoryview) -> int:
        """Takes what can be taken and gives how much that was; raises `Violation`."""
        at, end = 0, len(view)
        while True:
            if self._pdv:
                if at == end:
                    return at
                count = min(self._pdv, end - at)
                self._piece(view[at : at + count])
                at += count
                self._pdv -= count
                if not self._pdv:
                    self._end_of_pdv()
                continue
            if end - at < 6:
                return at
            if self._pdu:
                self._open_pdv(*_PDV(view, at))
                at += 6
                continue
            kind, _, length = _PDU(view, at)
            if kind == P_DATA:
                if length > self._longest:
                    raise Violation("a PDU is longer than was agreed")
                self._pdu = length
                at += 6
            elif length != _CONTROL.get(kind):
                raise Violation("a PDU has an unknown type or a wrong length")
            elif end - at < 6 + length:
                return at
            else:
                self._others(bytes(view[at : at + 6 + length]))
                at += 6 + length

    def _open_pdv(self, length: int, context: int, control: int) -> None:
        if length < 2 or length + 4 > self._pdu:
            raise Violation("a PDV does not fit into its PDU")
        command = control & 1
        if (command and self._in_data) or (not command and not self._in_data):
            raise Violation(_ORDER)
        if (self._in_data or self._command) and context != self._command_context:
            raise Violation(_ORDER)
        self._pdu -= length + 4
        self._pdv, self._context, self._control = length - 2, context, control
        self._command_context = context
        if not self._pdv:
            self._end_of_pdv()

    def _piece(self, data: memoryview) -> None:
        if not self._in_data:
            self._command += data
            if len(self._command) > LONGEST_COMMAND:
                raise Violation(_COMMAND)
        elif self._ours:
            self._taker.piece(data)
        else:
            self._part += data

    def _end_of_pdv(self) -> None:
        last = self._control & 2
        if not self._in_data:
            if last:
                command, self._command = bytes(self._command), bytearray()
                self._decide(command)
            return
        if self._ours:
            if last:
                self._in_data = False
                self._taker.end()
            return
        self._foreign += len(self._part)
        if self._foreign > LONGEST_FOREIGN:
            raise Violation("a request that is no C-STORE is too long")
        self._others(p_data(self._context, self._control, self._part))
        self._part = bytearray()
        self._in_data = not last

    def _decide(self, command: bytes) -> None:
        elements = parse_command(command)
        self._in_data = _number(elements, 0x0800, _NO_DATA_SET) != _NO_DATA_SET
        self._foreign = 0
        self._ours = False
        if self._in_data and _number(elements, 0x0100) == _C_STORE_RQ and {0x0002, 0x0110, 0x1000} <= elements.keys():
            wanted = Command(self._context, _number(elements, 0x0110), _text(elements[0x0002]), _text(elements[0x1000]))
            self._ours = self._taker.begin(wanted)
        if not self._ours:
            for start in range(0, max(1, len(command)), 0x4000):
                more = start + 0x4000 < len(command)
                self._others(p_data(self._context, 0x01 if more else 0x03, command[start : start + 0x4000]))


def _number(elements: dict[int, bytes], element: int, missing: int = -1) -> int:
    value = elements.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else missing


def _text(value: bytes) -> bytes:
    return value.rstrip(b"\0 ")
