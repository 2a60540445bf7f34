"""Starts, finds and stops the supervisor of a home folder, for the wizard and the demonstration."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from appliance.errors import Misconfigured
from appliance.house import HOME_VARIABLE


class DidNotStart(Misconfigured):
    """The appliance did not come up within {seconds} s: {parts}"""

    code = "did-not-start"
    next_step = "Read logs/serve.log in the data folder; often another program holds one of the ports."


def running(home: Path) -> int | None:
    """The supervisor's process id; None when it is not running."""
    try:
        pid = int((home / "serve.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if b"appliance" in command and b"serve" in command else None


def start(home: Path) -> int:
    """Starts the supervisor in a session of its own and gives its process id."""
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with (home / "logs" / "serve.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "appliance", "serve"],
            env={**os.environ, HOME_VARIABLE: str(home)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return child.pid


async def stop(home: Path, seconds: float = 40) -> bool:
    """Asks the supervisor to end and waits for it; false when it was not running."""
    pid = running(home)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    async with asyncio.timeout(seconds):
        while running(home) is not None:
            await asyncio.sleep(0.1)
    return True


async def wait_healthy(url: str, seconds: float = 60) -> None:
    """Waits until every part of the appliance says it is well; raises `DidNotStart`."""
    parts = "no answer"
    try:
        async with asyncio.timeout(seconds):
            while True:
                health = await asyncio.to_thread(_health, url)
                if health.get("status") == "ok":
                    return
                parts = ", ".join(f"{one['name']} {one['status']}" for one in health.get("parts", [])) or parts
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise DidNotStart(field="serve", seconds=int(seconds), parts=parts) from None


def _health(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as answer:
        return dict(json.loads(answer.read() or b"{}"))
    except (OSError, ValueError):
        return {}
