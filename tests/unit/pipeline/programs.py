"""Small programs in the place of `python -m appliance stage`, so that a test can make a stage do anything."""

import os
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

PRELUDE = """
import json, os, signal, subprocess, sys, time
request = json.loads(sys.stdin.readline())
def say(**line): print(json.dumps(line), flush=True)
"""


REAL_PYTHON = sys.executable
HOARD = "bytearray(os.urandom(1024)) * (1024 * {mb})"
"""An expression that takes so much memory and touches all of it."""


class Request(msgspec.Struct):
    """Anything."""

    number: int = 7


async def silent(_fraction: float, _step: str) -> None:
    return None


class Stage:
    """Puts a small program in the place of `python -m appliance`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch, self._folder = monkeypatch, folder

    def is_program(self, body: str) -> None:
        package = self._folder / "appliance.py"
        package.write_text(PRELUDE + body)
        launcher = self._folder / "python"
        launcher.write_text(f'#!/bin/sh\nshift 2\nexec {REAL_PYTHON} {package} "$@"\n')
        launcher.chmod(0o755)
        self._monkeypatch.setattr(sys, "executable", str(launcher))


class Gate:
    """Where a program waits until the test lets it on; opened n times, it lets n programs on."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"
        os.mkfifo(self.path)
        # Held open at both ends, so that neither side waits for the other to come.
        self._end = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.WAIT = f"os.read(os.open({str(self.path)!r}, os.O_RDONLY), 1)\n"

    def open(self) -> None:
        """Lets one on."""
        os.write(self._end, b"x")

    def close(self) -> None:
        """No more."""
        os.close(self._end)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
