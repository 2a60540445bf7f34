"""The transport below an association: what of pynetdicom's internals this room relies on stands here and nowhere else.

Stock pynetdicom believes the length that a PDU announces and buffers that much, waits for ever for the rest of one, and lets
the kernel delay acknowledgements that DCMTK's senders wait for. Written against pynetdicom 3.0; a test names what is used.
"""

import contextlib
import select
import socket
import ssl
import struct
from collections.abc import Callable
from copy import copy
from socketserver import BaseServer
from typing import Any, Final

from pynetdicom import _config
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

# The library's own handlers format every PDU and data set for a log that must not hold them.
_config.LOG_HANDLER_LEVEL = "none"

LONGEST_REQUEST = 1 << 20
"""Bytes of an A-ASSOCIATE-RQ; 128 presentation contexts with all transfer syntaxes need a tenth."""
_P_DATA = 0x04
_KNOWN_TYPES = range(0x01, 0x08)
_CONTROL_BYTES = 4
_SLACK = 12
"""Some senders count the headers of their PDVs beside the maximum length that was agreed on."""
_NO_SUCH_TYPE: Final = b"\x00\x00\x00\x00\x00\x00"


class GuardedSocket(AssociationSocket):
    """A socket that refuses an oversized PDU before it buffers any of it, and that acknowledges at once."""

    def __init__(self, assoc: Any, client_socket: socket.socket, on_end: Callable[["GuardedSocket"], None]) -> None:
        super().__init__(assoc, client_socket=client_socket)
        self.association = ""
        """Our identifier of the association once it is accepted."""
        self._on_end = on_end
        self._in_header = True
        self._cut = False
        with contextlib.suppress(OSError):
            client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client_socket.settimeout(assoc.network_timeout)
        self._acknowledge_at_once()

    @property
    def ready(self) -> bool:
        """Whether a read would give something; never after a PDU that was refused."""
        if self.socket is None or not self._is_connected or self._cut:
            return False
        try:
            # Not select(): it fails for handles above 1023.
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            found = bool(poll.poll(0))
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False
        return found or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0)

    def recv(self, nr_bytes: int) -> bytearray:
        """The header or the rest of a PDU; raises `OSError` when the peer stalls."""
        if not self._in_header:
            self._in_header = True
            return self._read(nr_bytes)
        header = self._read(nr_bytes)
        if len(header) < 6:
            return header
        kind, _, length = struct.unpack(">BBL", header)
        if length > self._longest(kind):
            # An unknown type is what the state machine answers with A-ABORT without reading on.
            self._cut = True
            return bytearray(_NO_SUCH_TYPE)
        self._in_header = kind not in _KNOWN_TYPES
        return header

    def _longest(self, kind: int) -> int:
        if kind == _P_DATA:
            return (self.assoc.acceptor.maximum_length or 0) + _SLACK
        return LONGEST_REQUEST if kind <= 0x03 else _CONTROL_BYTES

    def _read(self, wanted: int) -> bytearray:
        if self.socket is None:
            raise OSError("the connection is closed")
        data = bytearray(wanted)
        view, got = memoryview(data), 0
        while got < wanted:
            count = self.socket.recv_into(view[got:])
            if not count:
                break
            got += count
        view.release()
        del data[got:]
        return data

    def send(self, bytestream: bytes) -> None:
        """Sends a PDU and asks the kernel again to acknowledge at once, which it forgets by itself."""
        super().send(bytestream)
        self._acknowledge_at_once()

    def _acknowledge_at_once(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError, AttributeError):
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _shutdown_socket(self) -> None:
        """The one point that every end of a connection passes."""
        super()._shutdown_socket()
        self._on_end(self)


class SharedContexts(list[Any]):
    """Presentation contexts that associations share: the library copies them deeply for each, for a tenth of a second."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "SharedContexts":
        return copy(self)


class Server(ThreadedAssociationServer):
    """A server with room for a burst of callers, that can stop without ending its associations."""

    request_queue_size = 128

    def stop(self) -> None:
        """Accepts nobody any more; waits for the accepting thread."""
        # Not the library's own shutdown(): it wants the server on a list that only its own way of starting fills.
        BaseServer.shutdown(self)
        self.server_close()


def handler_of(on_end: Callable[[GuardedSocket], None]) -> type[RequestHandler]:
    """A request handler whose associations use guarded sockets and report their end."""

    class Handler(RequestHandler):
        def _create_association(self) -> Any:
            association = super()._create_association()
            # The first socket queued its 'connection is there' event; ours queues its own.
            association.dul.socket = None
            while not association.dul.event_queue.empty():
                association.dul.event_queue.get_nowait()
            # A peer that stalls must not keep the process from ending.
            association.dul.daemon = True
            association.set_socket(GuardedSocket(association, self.request, on_end))
            return association

    return Handler
