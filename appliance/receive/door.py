"""Where callers wait until they have said who they are: one thread for all of them, whatever they do.

A caller that says nothing, a port scan, a load balancer's check or a request that comes byte by byte costs an entry in a table
and no thread, and never counts as an association. The length of a request is checked before any of it is kept.
"""

import contextlib
import logging
import selectors
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

log = logging.getLogger(__name__)

LONGEST_REQUEST = 256 << 10
"""Bytes of an A-ASSOCIATE-RQ; 128 presentation contexts with all transfer syntaxes need 200,000."""
MOST_WAITING = 400
MOST_WAITING_PER_ADDRESS = 100
_LINGER_SECONDS = 3.0
_ASSOCIATE_RQ: Final = 0x01
_ABORT: Final = b"\x07\0\0\0\0\x04\0\0\x02\x01"
"""A-ABORT by the service provider: unrecognised PDU (PS3.8 section 9.3.8)."""
_READ = 64 << 10
_CALLED, _CALLING = slice(10, 26), slice(26, 42)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What an A-ASSOCIATE-RQ says about its caller (PS3.8 section 9.3.2)."""

    calling: str
    called: str
    address: str
    certificate: bytes = b""
    """The caller's certificate (DER) where TLS asked for one."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a caller is turned away: the numbers of an A-ASSOCIATE-RJ (PS3.8 section 9.3.4), a sentence, and what helps."""

    result: int
    source: int
    reason: int
    sentence: str
    advice: str

    def pdu(self) -> bytes:
        """The A-ASSOCIATE-RJ."""
        return struct.pack(">BBLBBBB", 0x03, 0, 4, 0, self.result, self.source, self.reason)


class Visit:
    """One connection that has not become an association yet."""

    def __init__(self, wire: socket.socket, address: tuple[str, int], deadline: float) -> None:
        self.socket = wire
        self.address = address
        self.data = bytearray()
        self.deadline = deadline
        self.handshaking = isinstance(wire, ssl.SSLSocket)
        self.leaving = False

    def request(self) -> Request:
        """Who calls whom."""
        certificate = self.socket.getpeercert(binary_form=True) if isinstance(self.socket, ssl.SSLSocket) else None
        return Request(
            called=self.data[_CALLED].decode("latin-1").strip(" \0"),
            calling=self.data[_CALLING].decode("latin-1").strip(" \0"),
            address=self.address[0],
            certificate=certificate or b"",
        )

    def pad_titles(self) -> None:
        """AE titles end in spaces (PS3.8 section 9.3.2); some devices fill them with NUL, which the library cannot read."""
        for title in (_CALLED, _CALLING):
            self.data[title] = self.data[title].rstrip(b" \0").ljust(16)


class Door:
    """Accepts connections, waits for whole requests, refuses or admits."""

    def __init__(
        self,
        listening: socket.socket,
        *,
        check: Callable[[Request], Refusal | None],
        admit: Callable[[Visit], None],
        failed: Callable[[str, str, str, str], None],
        seconds: Callable[[], float],
        context: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        """`failed` is given the caller, the address, a sentence and advice for everyone who does not become an association."""
        self._listening = listening
        self._check = check
        self._admit = admit
        self._failed = failed
        self._seconds = seconds
        self._context = context
        self._selector = selectors.DefaultSelector()
        self._visits: dict[int, Visit] = {}
        self._by_address: Counter[str] = Counter()
        self._bell, self._ring = socket.socketpair()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        listening.setblocking(False)
        self._selector.register(listening, selectors.EVENT_READ, None)
        self._selector.register(self._bell, selectors.EVENT_READ, None)

    def start(self) -> None:
        """Begins to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Accepts nobody any more and sends away who waits; returns when that is done."""
        self._stopping = True
        self._ring.send(b"!")
        self._thread.join()
        for visit in list(self._visits.values()):
            self._close(visit)
        self._selector.close()
        self._bell.close()
        self._ring.close()

    def waiting(self) -> int:
        """How many have not said who they are."""
        return len(self._visits)

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(1.0 if self._visits else None):
                if key.data is not None:
                    self._safely(key.data)
                elif key.fileobj is self._listening:
                    self._accept()
            now = time.monotonic()
            for visit in [one for one in self._visits.values() if one.deadline < now]:
                if not visit.leaving and visit.data:
                    self._tell(visit, "it did not finish its request in time", "look at the network between it and here")
                self._close(visit)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                wire, address = self._listening.accept()
            except OSError:
                return
            try:
                self._welcome(wire, address)
            except OSError:
                wire.close()

    def _welcome(self, wire: socket.socket, address: tuple[str, int]) -> None:
        if len(self._visits) >= MOST_WAITING or self._by_address[address[0]] >= MOST_WAITING_PER_ADDRESS:
            wire.close()
            return
        wire.setblocking(False)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = self._context()
        if context is not None:
            # The handshake goes on as bytes come: done here, one silent caller would keep out all others.
            wire = context.wrap_socket(wire, server_side=True, do_handshake_on_connect=False)
        visit = Visit(wire, address, time.monotonic() + self._seconds())
        self._visits[wire.fileno()] = visit
        self._by_address[address[0]] += 1
        self._selector.register(wire, selectors.EVENT_READ, visit)
        self._safely(visit)

    def _safely(self, visit: Visit) -> None:
        try:
            self._hear(visit)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except ssl.SSLWantWriteError:
            self._selector.modify(visit.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, visit)
        except ssl.SSLError as fault:
            if visit.handshaking and not isinstance(fault, ssl.SSLEOFError):
                self._tell(visit, f"the TLS handshake failed ({_named(fault)})", _TLS_ADVICE)
            self._close(visit)
        except OSError:
            self._close(visit)
        except Exception as fault:
            # The edge of the process towards callers: one of them must not end the thread that hears all.
            log.error("a caller could not be heard: %s", type(fault).__name__, exc_info=fault, extra={"code": "door-failed"})
            self._close(visit)

    def _hear(self, visit: Visit) -> None:
        if visit.handshaking and isinstance(visit.socket, ssl.SSLSocket):
            visit.socket.do_handshake()
            visit.handshaking = False
            self._selector.modify(visit.socket, selectors.EVENT_READ, visit)
        while True:
            wanted = 6 if len(visit.data) < 6 else 6 + struct.unpack_from(">L", visit.data, 2)[0]
            chunk = visit.socket.recv(_READ if visit.leaving else min(_READ, wanted - len(visit.data)))
            if not chunk:
                self._close(visit)
                return
            if visit.leaving:
                continue
            visit.data += chunk
            if len(visit.data) >= 6 and not self._may_go_on(visit):
                return
            if len(visit.data) > 6 and len(visit.data) == 6 + struct.unpack_from(">L", visit.data, 2)[0]:
                self._decide(visit)
                return

    def _may_go_on(self, visit: Visit) -> bool:
        """Whether the first bytes are those of a request of a sane length."""
        kind, length = visit.data[0], struct.unpack_from(">L", visit.data, 2)[0]
        if kind == _ASSOCIATE_RQ and 68 <= length <= LONGEST_REQUEST:
            return True
        self._tell(visit, *_strange(bytes(visit.data[:6])))
        self._send_away(visit, _ABORT)
        return False

    def _decide(self, visit: Visit) -> None:
        request = visit.request()
        refusal = self._check(request)
        if refusal is not None:
            self._failed(request.calling, request.address, refusal.sentence, refusal.advice)
            self._send_away(visit, refusal.pdu())
            return
        self._forget(visit)
        visit.pad_titles()
        self._admit(visit)

    def _send_away(self, visit: Visit, pdu: bytes) -> None:
        """Answers, and waits a moment for the peer to close: closing first would overtake the answer."""
        visit.leaving = True
        visit.deadline = time.monotonic() + _LINGER_SECONDS
        with contextlib.suppress(OSError):
            visit.socket.send(pdu)
        if pdu is _ABORT:
            self._close(visit)

    def _tell(self, visit: Visit, sentence: str, advice: str) -> None:
        self._failed("", visit.address[0], sentence, advice)

    def _forget(self, visit: Visit) -> None:
        self._selector.unregister(visit.socket)
        del self._visits[visit.socket.fileno()]
        self._by_address -= Counter({visit.address[0]: 1})

    def _close(self, visit: Visit) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._forget(visit)
        with contextlib.suppress(OSError):
            visit.socket.close()


_TLS_ADVICE: Final = "check that it uses TLS 1.2 or newer, and that each side trusts the certificate of the other"


def _named(fault: ssl.SSLError) -> str:
    return (fault.reason or "unknown").replace("_", " ").lower()


def _strange(head: bytes) -> tuple[str, str]:
    """What somebody wanted who did not begin with an A-ASSOCIATE-RQ, and what helps."""
    if head[:3] == b"\x16\x03\x01" or head[:2] == b"\x16\x03":
        return "it speaks TLS and this port does not", "switch TLS off at the sender, or on in the settings of receiving"
    if head[:4] in (b"GET ", b"POST", b"HEAD", b"OPTI", b"PUT "):
        return "it speaks HTTP to the DICOM port", "use the port of the console for it"
    if head[0] == _ASSOCIATE_RQ:
        return "its request has an impossible length", "it is no DICOM device or a broken one; look at what runs at its address"
    return "it does not speak DICOM", "it is no DICOM device; look at what runs at its address"
