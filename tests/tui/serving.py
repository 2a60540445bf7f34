"""The fake appliance behind a real socket, for commands and for the console in a real terminal."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn

from tests.tui.world import World, as_asgi


@contextlib.contextmanager
def served(world: World) -> Iterator[str]:
    """Serves the world on a free port of the loopback; gives its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(as_asgi(world), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
