"""The transport below an association: what of pynetdicom's internals this room relies on stands here and nowhere else.

pynetdicom keeps negotiation, release, abort and all services. The bytes of C-STORE do not pass it: the thread that would poll
the socket takes them apart itself and answers; everything else is handed on as whole PDUs. While that goes on, the thread that
would wait for messages is parked. Written against pynetdicom 3.0; a test names what is used.
"""

import contextlib
import logging
import mmap
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from copy import copy
from typing import Any, Final, Protocol

from pynetdicom import _config
from pynetdicom.timer import Timer
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from appliance.receive import endings
from appliance.receive.door import Door, Visit
from appliance.receive.endings import Tally, Trouble
from appliance.receive.messages import Messages, Taker, Violation

# The library's own handlers format every PDU and data set for a log that must not hold them.
_config.LOG_HANDLER_LEVEL = "none"

log = logging.getLogger(__name__)

BUFFER_BYTES = 1 << 20
"""Address space of an association; only what its largest instance used becomes memory."""
_WAIT_MS = 50
_RELEASE_RQ: Final = 0x05
_ABORT: Final = 0x07
_GOODBYES: Final = frozenset({_RELEASE_RQ, _ABORT})
_ESTABLISHED: Final = "Sta6"
_IDLE: Final = "Sta1"


class Storing(Taker, Protocol):
    """A taker that is told of the end."""

    def close(self) -> None:
        """Nothing more comes."""


class SteadyTimer(Timer):
    """A timer of the library on the monotonic clock: the wall clock may jump."""

    @property
    def remaining(self) -> float:
        """Seconds until it expires."""
        if self.timeout is None:
            return 1.0
        if self._start_time is None:
            return float(self.timeout)
        end = time.monotonic() if self._end_time is None else self._end_time
        return float(self.timeout - (end - self._start_time))

    def start(self) -> None:
        """Starts, or starts anew."""
        self._start_time, self._end_time = time.monotonic(), None

    def stop(self) -> None:
        """Stops."""
        self._end_time = time.monotonic()


class Wire(AssociationSocket):
    """The socket of one association: its request came with it, its C-STOREs go to a taker, the rest to pynetdicom."""

    def __init__(self, assoc: Any, visit: Visit, on_end: Callable[["Wire"], None]) -> None:
        super().__init__(assoc, client_socket=visit.socket)
        self.association = ""
        """Our identifier of the association once it is accepted."""
        self.tally = Tally()
        self.explained = False
        """Whether it was told how the association ended."""
        self._on_end = on_end
        self._trouble: Trouble | None = None
        self._said_goodbye = 0
        self._given = bytearray(visit.data)
        self._storing: Storing | None = None
        self._messages: Messages | None = None
        self._cut = self._parked = False
        self._buffer = memoryview(b"")
        self._at = self._end = 0
        self._to_say: deque[bytes] = deque()
        self._heard = time.monotonic()
        self._poll = select.poll()
        self._poll.register(visit.socket, select.POLLIN)

    def begin(self, association: str, storing: Storing | None) -> None:
        """The association is accepted: from now on C-STOREs go to `storing`; to pynetdicom like all else without one."""
        # Pages of its own, which go back to the system with the association; the allocator would keep them.
        self._buffer = memoryview(mmap.mmap(-1, BUFFER_BYTES))
        self._storing = storing
        taker = storing or _Nobody()
        self._messages = Messages(taker, self._pass_on, self.assoc.acceptor.maximum_length or 0)
        self.association = association

    @property
    def ready(self) -> bool:
        """Whether pynetdicom has a whole PDU to read. Stores what comes meanwhile, for as long as it comes."""
        if self.socket is None or not self._is_connected or self._cut:
            return False
        state = self.assoc.dul.state_machine.current_state
        if self._given:
            # In Sta1 the event that tells of the connection is not yet processed.
            return bool(state != _IDLE)
        if not self.association or state != _ESTABLISHED:
            return False
        return self._serve()

    def _serve(self) -> bool:
        dul, messages = self.assoc.dul, self._messages
        if messages is None:
            return False
        self._park()
        while not self._given:
            while self._to_say:
                self.send(self._to_say.popleft())
            if dul._kill_thread or not (dul.to_provider_queue.empty() and dul.event_queue.empty()):
                self._unpark()
                return False
            try:
                count = self._fill()
                if count:
                    self._at += messages.parse(self._buffer[self._at : self._end])
                    self._rewind()
            except Violation as fault:
                self._trouble = endings.broke_protocol(str(fault))
                return self._end_with("Evt19")
            if count == 0:
                return self._end_with("Evt17")
            if count is None and not self._poll.poll(_WAIT_MS):
                allowed = self.assoc.network_timeout or float("inf")
                if time.monotonic() - self._heard > allowed:
                    self._trouble = endings.silent(allowed, in_mid_instance=not messages.at_boundary)
                    # The parked thread sees that its timer has run out, and aborts.
                    self._unpark()
                return False
        self._unpark()
        return True

    def _pass_on(self, pdu: bytes) -> None:
        """A whole PDU that is pynetdicom's; whether the peer ends the association is remembered."""
        if pdu[0] in _GOODBYES:
            self._said_goodbye = pdu[0]
        self._given.extend(pdu)

    @property
    def trouble(self) -> Trouble | None:
        """What went wrong, once the connection has ended; None after a release of an association that lacked nothing."""
        if self._trouble is not None:
            return self._trouble
        in_mid = self._messages is not None and not self._messages.at_boundary
        if self._said_goodbye == _ABORT:
            return endings.aborted(self.tally.stored, in_mid_instance=in_mid)
        if self._said_goodbye == _RELEASE_RQ:
            return endings.refused_instances(self.tally.refused)
        if self._cut:
            return endings.lost(self.tally.stored, in_mid_instance=in_mid)
        return endings.ended_here()

    def _fill(self) -> int | None:
        """How many bytes came; 0 at the end of the connection, None when there is nothing yet."""
        if self._end == len(self._buffer):
            if self._storing is not None:
                self._storing.flush()
            rest = self._end - self._at
            self._buffer[:rest] = self._buffer[self._at : self._end]
            self._at, self._end = 0, rest
        if self.socket is None:
            return 0
        try:
            count = self.socket.recv_into(self._buffer[self._end :])
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            return 0
        self._end += count
        self._heard = time.monotonic()
        return int(count)

    def _rewind(self) -> None:
        """Small instances use the beginning of the buffer again and again."""
        if self._at == self._end and self._messages is not None and not self._messages.storing:
            self._at = self._end = 0

    def _park(self) -> None:
        """Keeps pynetdicom's other thread from waking a thousand times a second while there is nothing for it."""
        assoc = self.assoc
        # Who is to be let go for its silence is not parked again: its timer would begin anew before anybody has looked at it.
        settled = self._parked or self._trouble is not None
        if not settled and assoc.dul.to_user_queue.empty() and assoc.dimse.msg_queue.empty():
            self._parked = True
            assoc._reactor_checkpoint.clear()
            assoc.dul._idle_timer.restart()

    def _unpark(self) -> None:
        if self._parked:
            self._parked = False
            self.assoc._reactor_checkpoint.set()

    def _end_with(self, event: str) -> bool:
        """Nothing more is read; the state machine sends A-ABORT, or knows that the connection is gone."""
        self._cut = True
        self._unpark()
        self.event_queue.put(event)
        return False

    def recv(self, nr_bytes: int) -> bytearray:
        """The next bytes of PDUs that are pynetdicom's."""
        data = self._given[:nr_bytes]
        del self._given[:nr_bytes]
        return data

    def say(self, pdus: bytes) -> None:
        """From any thread: PDUs of our own, sent by the thread that owns the connection, which TLS wants to be one."""
        self._to_say.append(pdus)

    def send(self, bytestream: bytes) -> None:
        """Sends a PDU and asks the kernel again to acknowledge at once, which it forgets by itself."""
        wire = self.socket
        if wire is None:
            return
        view, deadline = memoryview(bytestream), time.monotonic() + (self.assoc.network_timeout or 60.0)
        try:
            while view:
                try:
                    view = view[wire.send(view) :]
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    _wait_writable(wire, deadline)
            acknowledge_at_once(wire)
        except OSError:
            self.event_queue.put("Evt17")

    def _shutdown_socket(self) -> None:
        """The one point that every end of a connection passes."""
        super()._shutdown_socket()
        if self.socket is not None:
            # The library leaves a socket open that its peer has already shut down.
            with contextlib.suppress(OSError):
                self.socket.close()
        storing, self._storing = self._storing, None
        if storing is not None:
            storing.close()
        # The library's objects refer to each other in circles, and the collector may not come by for hours.
        self._buffer = memoryview(b"")
        if not self.association:
            # The thread of the association waits for a request that will not come.
            waiting: Any = self.assoc.dul.to_user_queue
            waiting.put(None)
        self._on_end(self)


class _Nobody:
    """A taker for the plain way: pynetdicom gets everything."""

    def begin(self, _command: object) -> bool:
        return False

    def piece(self, data: memoryview) -> None: ...

    def flush(self) -> None: ...

    def end(self) -> None: ...


def _wait_writable(wire: socket.socket, deadline: float) -> None:
    poll = select.poll()
    poll.register(wire, select.POLLOUT)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError


def acknowledge_at_once(wire: socket.socket) -> None:
    """DCMTK's senders wait for the kernel's acknowledgement before they send the rest of an instance."""
    with contextlib.suppress(OSError, AttributeError):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class SharedContexts(list[Any]):
    """Presentation contexts that associations share: the library copies them deeply for each, for a tenth of a second."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "SharedContexts":
        return copy(self)


class Server(ThreadedAssociationServer):
    """A server behind a door: an association begins when its whole request is there."""

    request_queue_size = 128
    door: Door

    def admit(self, visit: Visit) -> None:
        """Begins an association."""
        self.finish_request(visit, visit.address)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Accepts nobody any more; waits for the accepting thread."""
        self.door.stop()
        self.server_close()


def _guard(association: Any) -> None:
    """A request that the library cannot make sense of ends its association, and not only the thread that read it."""
    machine, dul = association.dul.state_machine, association.dul
    act = machine.do_action

    def guarded(event: str) -> None:
        try:
            act(event)
        except Exception as fault:
            # The edge of the process towards a peer: whatever it sent, its place must be free again.
            log.warning("an association cannot go on: %s", type(fault).__name__, extra={"code": "association-failed"})
            dul._kill_thread = True
            dul.socket._shutdown_socket()

    machine.do_action = guarded


def handler_of(on_end: Callable[[Wire], None]) -> type[RequestHandler]:
    """A request handler whose associations begin with a visit and report their end."""

    class Handler(RequestHandler):
        def _create_association(self) -> Any:
            visit: Visit = self.request
            association = super()._create_association()
            # The first socket queued its 'connection is there' event; ours queues its own.
            association.dul.socket = None
            while not association.dul.event_queue.empty():
                association.dul.event_queue.get_nowait()
            for name in ("artim_timer", "_idle_timer"):
                setattr(association.dul, name, SteadyTimer(getattr(association.dul, name).timeout))
            _guard(association)
            # A peer that stalls must not keep the process from ending.
            association.daemon = association.dul.daemon = True
            association.set_socket(Wire(association, visit, on_end))
            return association

    return Handler
