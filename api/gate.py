"""Where connections come in: TLS and plain HTTP on one port, told apart by the first byte, each address with its share.

A connection takes the certificate that is in force when it comes (`Presented`), and keeps it: a change ends none. With TLS on,
plain HTTP is answered to this machine itself only; other addresses are sent on to HTTPS, and what they sent is not looked at.
"""

import asyncio
import contextlib
import errno
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Sequence

from api.conversation import Conversation
from appliance.addresses import is_loopback, is_within

PER_ADDRESS = 128
ALTOGETHER = 1000
FIRST_BYTE_S = 10.0
HANDSHAKE_S = 10.0
SEND_BYTES = 131_072
"""What the system keeps of an answer, twice this; by itself it would keep megabytes for each caller that does not read."""
_AT_ONCE = 50
_TLS_HANDSHAKE = 0x16
_FULL_S = 0.5

log = logging.getLogger(__name__)


class Gate:
    """Accepts on listening sockets; has the two methods that the server ends its listeners by."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        make: Callable[[Callable[[], None], bool], Conversation],
        context: Callable[[], ssl.SSLContext | None],
        unlimited: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        """`make(ended, refuse_plain)` gives a protocol; `unlimited` names addresses that may have more than their share."""
        self._listeners = list(listeners)
        self._make, self._context, self._unlimited = make, context, unlimited
        self._open: Counter[str] = Counter()
        self._admitting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def start(self) -> None:
        """Begins to accept."""
        for listener in self._listeners:
            listener.listen(512)
            listener.setblocking(False)
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def close(self) -> None:
        """Accepts nobody any more; open connections stay."""
        if self._closed:
            return
        self._closed = True
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        for task in list(self._admitting):
            task.cancel()

    async def wait_closed(self) -> None:
        """Nobody is about to be admitted."""
        if self._admitting:
            await asyncio.wait(self._admitting)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                wire, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as fault:
                if fault.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                # No room for more: what is here goes on, and the next look is a little later.
                log.error("no connection can be accepted: %s", fault.strerror, extra={"code": "no-room"})
                self._loop.remove_reader(listener.fileno())
                self._loop.call_later(_FULL_S, self._again, listener)
                return
            self._take(wire)

    def _again(self, listener: socket.socket) -> None:
        if not self._closed:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _take(self, wire: socket.socket) -> None:
        wire.setblocking(False)
        try:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
            address = str(wire.getpeername()[0])
        except OSError:
            wire.close()
            return
        crowded = self._open[address] >= PER_ADDRESS and not is_within(address, self._unlimited())
        if crowded or self._open.total() >= ALTOGETHER:
            wire.close()
            return
        self._open[address] += 1
        task = self._loop.create_task(self._admit(wire, address))
        self._admitting.add(task)
        task.add_done_callback(self._admitting.discard)

    def _left(self, address: str) -> None:
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    async def _admit(self, wire: socket.socket, address: str) -> None:
        kept = False
        try:
            context = self._context()
            secured = context is not None and await self._speaks_tls(wire)
            refuse = context is not None and not secured and not is_here(wire, address)
            protocol = self._make(lambda: self._left(address), refuse)
            kept = True
            if secured:
                await self._loop.connect_accepted_socket(
                    lambda: protocol, wire, ssl=context, ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=5.0
                )
            else:
                await self._loop.connect_accepted_socket(lambda: protocol, wire)
        except (OSError, TimeoutError) as fault:
            # A handshake that failed, somebody who left: told apart by nobody, and no news.
            log.debug("not admitted: %s", type(fault).__name__)
            wire.close()
            if not kept or protocol.transport is None:
                self._left(address)
        except asyncio.CancelledError:
            wire.close()
            raise

    async def _speaks_tls(self, wire: socket.socket) -> bool:
        async with asyncio.timeout(FIRST_BYTE_S):
            readable = self._loop.create_future()
            self._loop.add_reader(wire.fileno(), _settle, readable)
            try:
                await readable
            finally:
                self._loop.remove_reader(wire.fileno())
        first = wire.recv(1, socket.MSG_PEEK)
        if not first:
            raise ConnectionResetError
        return first[0] == _TLS_HANDSHAKE


def _settle(readable: "asyncio.Future[None]") -> None:
    if not readable.done():
        readable.set_result(None)


def is_here(wire: socket.socket, address: str) -> bool:
    """Whether the caller is on this machine."""
    own = str(wire.getsockname()[0])
    return address == own or is_loopback(address)


def listen_on(host: str, port: int) -> list[socket.socket]:
    """Listening sockets of an address; `0.0.0.0` is IPv4, `::` both. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for kind, how, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(kind, how, protocol)
            undo.callback(listener.close)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if kind == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
            listener.bind(address)
            listeners.append(listener)
        undo.pop_all()
    return listeners


def allow_many_files() -> None:
    """Lets this process hold as many connections as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, 65_536) if soft < 65_536 else soft, hard))
