"""A DICOM sender made of bytes: everything is encoded before it is sent, nothing is polled, and anything can be sent wrongly.

Used where pynetdicom's own sender is too slow, too polite, or would be the thing under test.
"""

import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Sequence

from tests.senders import CALLED, Sent
from tests.servers import HOST

PDU = 128 * 1024


def association_request(contexts: Sequence[tuple[str, str]], *, calling: str = "MODALITY", called: str = CALLED) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 section 9.3.2); context IDs are 1, 3, 5 ... in this order."""
    proposed = (context_item(2 * number + 1, *one) for number, one in enumerate(contexts))
    return request_of(APPLICATION + b"".join(proposed) + user_item(), calling=calling.encode(), called=called.encode())


def request_of(items: bytes, *, calling: bytes = b"MODALITY", called: bytes = CALLED.encode()) -> bytes:
    """An A-ASSOCIATE-RQ of these items, whatever they are, with titles padded by spaces."""
    return pdu(0x01, struct.pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + bytes(32) + items)


def context_item(number: int, sop_class: str, syntax: str) -> bytes:
    """A presentation context; only odd numbers are allowed, which is not looked at here."""
    inner = item(0x30, sop_class.encode()) + item(0x40, syntax.encode())
    return item(0x20, bytes([number % 256, 0, 0, 0]) + inner)


def user_item(*more: bytes, longest: int = PDU, implementation: bytes = b"2.25.4711") -> bytes:
    """The user information: the longest PDU, whose implementation, and more items."""
    return item(0x50, item(0x51, struct.pack(">L", longest)) + item(0x52, implementation) + b"".join(more))


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
"""The application context item."""


def pdu(kind: int, body: bytes) -> bytes:
    """One PDU."""
    return struct.pack(">BBL", kind, 0, len(body)) + body


def pdv(context: int, control: int, data: bytes) -> bytes:
    """One PDV: control 1 is a command, 2 is the last of its kind."""
    return struct.pack(">LBB", len(data) + 2, context, control) + data


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, element, len(value)) + value


def _even(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def store_command(sent: Sent, message: int = 1) -> bytes:
    """A C-STORE-RQ command set (PS3.7 Table 9.3-1)."""
    body = _element(0x0002, _even(sent.sop_class)) + _element(0x0100, b"\1\0")
    body += _element(0x0110, struct.pack("<H", message)) + _element(0x0700, b"\0\0")
    body += _element(0x0800, b"\0\0") + _element(0x1000, _even(sent.sop_instance))
    return _element(0, struct.pack("<L", len(body))) + body


def echo_command(message: int = 1) -> bytes:
    """A C-ECHO-RQ command set."""
    body = _element(0x0002, _even("1.2.840.10008.1.1")) + _element(0x0100, b"\x30\0")
    body += _element(0x0110, struct.pack("<H", message)) + _element(0x0800, b"\1\1")
    return _element(0, struct.pack("<L", len(body))) + body


def message(sent: Sent, context: int = 1, number: int = 1, size: int = PDU) -> bytes:
    """A whole C-STORE request as it goes over the wire."""
    parts = [pdu(0x04, pdv(context, 0x03, store_command(sent, number)))]
    step = size - 6
    for start in range(0, max(1, len(sent.data)), step):
        last = 0x02 if start + step >= len(sent.data) else 0x00
        parts.append(pdu(0x04, pdv(context, last, sent.data[start : start + step])))
    return b"".join(parts)


class Caller:
    """One association over a raw socket; `with` opens and releases it."""

    def __init__(
        self,
        port: int,
        contexts: Sequence[tuple[str, str]],
        *,
        calling: str = "MODALITY",
        called: str = CALLED,
        patience: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.contexts = list(dict.fromkeys(contexts))
        self.wire = socket.create_connection((HOST, port), timeout=patience)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.wire = tls.wrap_socket(self.wire)
        self.wire.sendall(association_request(self.contexts, calling=calling, called=called))
        self.answer = self.read()

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wire.sendall(pdu(0x05, bytes(4)))
            while self.read()[0] not in (0x06, 0x07):
                pass
        except (OSError, EOFError):
            pass
        self.wire.close()

    @property
    def established(self) -> bool:
        """Whether the answer was an A-ASSOCIATE-AC."""
        return self.answer[0] == 0x02

    def read(self) -> tuple[int, bytes]:
        """Type and body of the next PDU; raises `EOFError` at the end of the connection."""
        head = self._exactly(6)
        return head[0], self._exactly(struct.unpack(">L", head[2:])[0])

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.wire.recv(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def results(self) -> list[int]:
        """What became of each proposed context, 0 for accepted (PS3.8 Table 9-18); the answer's items follow 68 bytes."""
        found, at, body = [], 68, self.answer[1]
        while at + 4 <= len(body):
            kind, _, length = struct.unpack_from(">BBH", body, at)
            if kind == 0x21:
                found.append(body[at + 6])
            at += 4 + length
        return found

    @property
    def longest(self) -> int:
        """The bytes of a P-DATA-TF that the peer takes (PS3.8 section D.1)."""
        at = self.answer[1].find(b"\x51\0\0\4")
        return int.from_bytes(self.answer[1][at + 4 : at + 8], "big") or PDU

    def context_of(self, sent: Sent) -> int:
        """The presentation context of an instance."""
        return 2 * self.contexts.index((sent.sop_class, sent.transfer_syntax)) + 1

    def status(self) -> int | None:
        """The status of the next answer; None when the association was aborted or the connection ended."""
        try:
            kind, body = self.read()
        except (EOFError, OSError):
            return None
        return status_of(body) if kind == 0x04 else None

    def store(self, sent: Sent, *, size: int = PDU) -> int | None:
        """Sends one instance and waits for its answer."""
        try:
            self.wire.sendall(message(sent, self.context_of(sent), size=min(size, self.longest)))
        except OSError:
            return None
        return self.status()


def status_of(body: bytes) -> int:
    """The status in the command set of a response (one PDV)."""
    at, command = 0, body[6:]
    while at < len(command):
        _, element, length = struct.unpack_from("<HHL", command, at)
        if element == 0x0900:
            return int.from_bytes(command[at + 8 : at + 8 + length], "little")
        at += 8 + length
    raise ValueError("no status")


def variants(sent: Sent, count: int, offset: int = 0) -> Iterator[Sent]:
    """Instances like this one, each with a SOP Instance UID of its own in the data set as in the command."""
    old = sent.sop_instance.encode()
    for number in range(offset, offset + count):
        uid = f"2.25.7{number:0>{len(old) - 6}}"
        yield Sent(sent.sop_class, uid, sent.transfer_syntax, sent.data.replace(old, uid.encode(), 1))


def contexts_of(instances: Iterable[Sent]) -> list[tuple[str, str]]:
    """The presentation contexts that these need."""
    return list(dict.fromkeys((one.sop_class, one.transfer_syntax) for one in instances))
