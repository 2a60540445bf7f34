"""The supervisor of all processes on one machine: development, containers, the demonstration; systemd does it in the image.

A child that ends is started again after a pause that doubles up to half a minute. SIGTERM drains: every child is asked to
end and is waited for, then killed.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.events import ProcessDied
from appliance.house import HOME_VARIABLE, open_house
from appliance.moments import now_ms
from appliance.records import events

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A child that ran so long starts again with the shortest pause."""
DRAIN_S = 25.0
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Program:
    """One process that is kept alive."""

    name: str
    argv: tuple[str, ...]


def programs() -> list[Program]:
    """The processes of one appliance."""
    python = sys.executable
    return [
        Program("receive", (python, "-m", "appliance", "receive")),
        Program("work", (python, "-m", "appliance", "work")),
        Program("api", (python, "-m", "api")),
    ]


async def run(home: Path, stop: asyncio.Event, kept: Sequence[Program] | None = None) -> None:
    """Keeps the appliance's processes alive until `stop` is set; the home must exist."""
    # Makes tables and keys once, before three processes want them at the same time.
    async with open_house(home):
        pass
    mark = home / "serve.pid"
    mark.write_text(f"{os.getpid()}\n")
    # The tables belong to one open house at a time.
    telling = asyncio.Lock()
    try:
        async with asyncio.TaskGroup() as group:
            for program in kept or programs():
                group.create_task(_keep(home, program, stop, telling))
    finally:
        mark.unlink(missing_ok=True)


async def _keep(home: Path, program: Program, stop: asyncio.Event, telling: asyncio.Lock) -> None:
    pause = FIRST_PAUSE_S
    while not stop.is_set():
        started = asyncio.get_running_loop().time()
        status = await _once(home, program, stop)
        if stop.is_set():
            return
        if asyncio.get_running_loop().time() - started > STEADY_S:
            pause = FIRST_PAUSE_S
        log.error("%s ended with %s; started again in %.1f s", program.name, status, pause, extra={"code": "process-died"})
        async with telling:
            await _tell(home, program, status, pause)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)


async def _once(home: Path, program: Program, stop: asyncio.Event) -> int:
    """One life of a child; gives its exit status."""
    child = await asyncio.create_subprocess_exec(
        *program.argv, env={**os.environ, HOME_VARIABLE: str(home)}, start_new_session=True, preexec_fn=_end_with_parent
    )
    ended = asyncio.create_task(child.wait())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ended.done():
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        done, _ = await asyncio.wait({ended}, timeout=DRAIN_S)
        if not done:
            log.error("%s did not end in %.0f s and is killed", program.name, DRAIN_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    return await ended


def _end_with_parent() -> None:
    # Runs in the child between fork and exec: a supervisor that is killed takes its children with it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


async def _tell(home: Path, program: Program, status: int, pause: float) -> None:
    try:
        async with open_house(home):
            await events.append(ProcessDied(process=program.name, status=str(status), seconds=pause), now_ms())
    except Exception:
        # The supervisor outlives the database: what it cannot record, the log has.
        log.exception("the end of %s could not be recorded", program.name)
