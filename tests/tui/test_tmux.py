"""The console in a real terminal (tmux) against a real server, where glyph and box widths are the terminal's own."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import program
from tests.tui.facts import PASSWORD, PATIENT, USER
from tests.tui.serving import served
from tests.tui.world import World

ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """One tmux session with its own server, so that nothing of the user's is touched."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux.sock")

    def tmux(self, *words: str) -> str:
        """Runs one tmux command."""
        run = subprocess.run(
            [program("tmux", "tmux"), "-S", self._socket, "-f", "/dev/null", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        return run.stdout

    def start(self, command: str, size: tuple[int, int]) -> None:
        """Starts a command in a terminal of this size."""
        self.tmux("new-session", "-d", "-s", "t", "-x", str(size[0]), "-y", str(size[1]), command)

    def keys(self, *keys: str) -> None:
        """Presses keys by tmux's names."""
        self.tmux("send-keys", "-t", "t", *keys)

    def screen(self) -> str:
        """What the terminal shows."""
        return self.tmux("capture-pane", "-t", "t", "-p")

    def see(self, text: str, seconds: float = 30.0) -> str:
        """Waits until a text is on the terminal; gives the whole screen."""
        return self.until(lambda shown: text in shown, repr(text), seconds)

    def until(self, condition: Callable[[str], bool], what: str, seconds: float = 30.0) -> str:
        """Waits until the screen is as wanted."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while not condition(shown := self.screen()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come; the terminal shows:\n{shown}")
            pause.wait(0.05)
        return shown


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal that is gone after the test."""
    found = Terminal(tmp_path)
    yield found
    found.tmux("kill-server")


@pytest.mark.parametrize("size", [(80, 24), (100, 30)], ids=["80x24", "100x30"])
@pytest.mark.parametrize("term", ["tmux-256color", "linux"])
def test_the_console_works_in_a_real_terminal(
    terminal: Terminal, world: World, tmp_path: Path, size: tuple[int, int], term: str
) -> None:
    """APP-03, UI-01: sign in, see studies hidden, reveal one, open it, quit, in tmux."""
    with served(world) as url:
        path = os.environ["PATH"]
        environment = f"env -i PATH={path} HOME={tmp_path} LANG=C.UTF-8 TERM={term} SSH_TTY=/dev/pts/0 RANVIER_URL={url}"
        terminal.start(f"cd {ROOT} && {environment} {sys.executable} -m tui console; echo left $?; read x", size)
        terminal.see("Password")
        terminal.keys(USER, "Tab", PASSWORD, "Enter")
        listed = terminal.see("Uploading 62%")
        assert PATIENT["patient_name"][:5] not in listed
        hidden = "#" if term == "linux" else "▒"
        assert hidden * 8 in listed
        # Every column stands where its title stands: the terminal's glyph widths are the console's.
        rows = [line for line in listed.splitlines() if hidden * 8 in line]
        header = next(line for line in listed.splitlines() if "Status" in line and "Recv" in line)
        assert {line.index(hidden) for line in rows} == {header.index("Patient")}
        assert all(line.rstrip()[header.index("Recv") :][2] in ":-" for line in rows)
        terminal.keys("j", "j", "r")
        terminal.see(PATIENT["patient_name"][:5])
        terminal.keys("Enter")
        detail = terminal.see("[Summary]")
        assert PATIENT["patient_name"][:5] not in detail
        terminal.keys("e")
        terminal.see("Expected")
        # After Escape the test waits: a terminal cannot tell Escape and a key from that key with Alt.
        terminal.keys("Escape")
        terminal.see("Recv")
        terminal.keys("?")
        terminal.see("Enter runs one")
        terminal.keys("Escape")
        terminal.until(lambda shown: "Enter runs one" not in shown, "the end of help")
        terminal.keys("q")
        assert "left 0" in terminal.see("left")


def test_what_is_typed_ahead_goes_into_the_filter_and_is_not_taken_for_commands(
    terminal: Terminal, world: World, tmp_path: Path
) -> None:
    with served(world) as url:
        environment = f"env -i PATH={os.environ['PATH']} HOME={tmp_path} LANG=C.UTF-8 TERM=tmux-256color RANVIER_URL={url} "
        environment += f"RANVIER_TOKEN={world.token()}"
        terminal.start(f"cd {ROOT} && {environment} {sys.executable} -m tui console", (80, 24))
        terminal.see("Uploading 62%")
        terminal.keys("-l", "/status:delivered")
        terminal.see("Filter: status:delivered")
        terminal.keys("Enter")
        terminal.until(lambda shown: "Delivered" in shown and "Uploading" not in shown, "one match")
    assert not any(path.endswith(("/cancel", "/retry", "/reveal")) for _, path in world.requests)


def test_a_terminal_that_shrinks_shows_the_notice_and_grows_back(terminal: Terminal, world: World, tmp_path: Path) -> None:
    with served(world) as url:
        path = os.environ["PATH"]
        environment = f"env -i PATH={path} HOME={tmp_path} LANG=C.UTF-8 TERM=tmux-256color RANVIER_URL={url} "
        environment += f"RANVIER_TOKEN={world.token()}"
        terminal.start(f"cd {ROOT} && {environment} {sys.executable} -m tui console", (80, 24))
        terminal.see("Uploading 62%")
        terminal.tmux("resize-window", "-t", "t", "-x", "70", "-y", "20")
        terminal.see("at least 80x24")
        terminal.tmux("resize-window", "-t", "t", "-x", "90", "-y", "26")
        terminal.see("Uploading 62%")
