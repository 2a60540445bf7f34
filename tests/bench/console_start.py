"""Console start to first paint, beside an empty Textual application on the same terminal."""

import contextlib
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

from tests.bench.figures import Figure, figure, repeated

RUNS = 5
EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("first-paint")
Empty().run()
"""


def measure() -> list[Figure]:
    """Both in turn; the console shows its sign-in screen, with or without a server."""
    ours, theirs = repeated(
        RUNS,
        lambda: first_paint([sys.executable, "-m", "tui", "console"], b"Password"),
        lambda: first_paint([sys.executable, "-c", EMPTY], b"first-paint"),
    )
    return [figure("console start to first paint", ours, "an empty Textual app", theirs, "s", "lower", packages=("textual",))]


def first_paint(command: list[str], word: bytes) -> float:
    """Seconds until a program has painted a word on a terminal of 100 x 30."""
    main, side = pty.openpty()
    ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "RANVIER_URL": "http://127.0.0.1:9"}
    started = time.monotonic()
    child = subprocess.Popen(
        # Textual draws on standard error.
        command,
        stdin=side,
        stdout=side,
        stderr=side,
        env=environment,
        start_new_session=True,
    )
    os.close(side)
    seen = b""
    try:
        while word not in seen:
            if time.monotonic() - started > 60:
                raise TimeoutError(f"{command[1:]} painted no {word!r} within a minute")
            if select.select([main], [], [], 0.5)[0]:
                seen += os.read(main, 65536)
        return time.monotonic() - started
    finally:
        child.kill()
        child.wait()
        with contextlib.suppress(OSError):
            os.close(main)
