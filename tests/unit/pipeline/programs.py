"""Small programs in the place of `python -m appliance stage`, so that a test can make a stage do anything."""

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


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
