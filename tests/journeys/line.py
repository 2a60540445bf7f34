"""A line between two machines that a test can listen to, hold and cut: a relay of TCP connections on the loopback address."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.servers import HOST


class Line:
    """Relays to one port; keeps what went there."""

    def __init__(self, port: int, cuts: Sequence[int] = ()) -> None:
        self.sent = bytearray()
        """Everything that left, of all connections."""
        self.marker = b""
        """Bytes whose passing is told by `passed`; with `hold` they wait for it."""
        self.passed = threading.Event()
        self.hold = threading.Event()
        self.hold.set()
        self._port, self._cuts = port, list(cuts)
        self._lock = threading.Lock()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    outer.relay(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server((HOST, 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def cuts_left(self) -> int:
        """How many connections are still to be cut."""
        return len(self._cuts)

    def relay(self, here: socket.socket) -> None:
        """One connection, cut after so many bytes as is its turn; the other side's answers come back as they are."""
        with socket.create_connection((HOST, self._port)) as there:
            back = threading.Thread(target=_pour, args=(there, here), daemon=True)
            back.start()
            passed = 0
            while data := here.recv(4096):
                self._listen(data)
                with self._lock:
                    cut = bool(self._cuts) and passed + len(data) >= self._cuts[0]
                    keep = self._cuts.pop(0) - passed if cut else len(data)
                there.sendall(data[:keep])
                passed += len(data)
                if cut:
                    break
            else:
                with contextlib.suppress(OSError):
                    there.shutdown(socket.SHUT_WR)
                back.join()
            for one in (here, there):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _listen(self, data: bytes) -> None:
        with self._lock:
            self.sent += data
            told = bool(self.marker) and self.marker in data
        if told:
            self.passed.set()
            self.hold.wait(60)

    def close(self) -> None:
        """Ends the relay."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def a_line(port: int, cuts: Sequence[int] = ()) -> Iterator[Line]:
    """A relay to a port for the time of a block."""
    line = Line(port, cuts)
    try:
        yield line
    finally:
        line.close()
