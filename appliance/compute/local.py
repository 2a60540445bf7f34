"""Runs a stage in a child process of this machine: limits, progress, cancel, time-out.

The child is `python -m appliance stage NAME` in its own process group. It asks the kernel to die with its parent, sets its own
memory limit before it imports anything heavy, and speaks lines of JSON.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from appliance.errors import RanvierError, Retry

LINE_BYTES = 64 * 1024 * 1024
"""The longest answer that is taken; a longer one is a fault of the stage."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Limits(msgspec.Struct, kw_only=True, frozen=True):
    """What a stage may use."""

    memory_mb: int = 0
    """Address space; 0 sets no limit."""
    cores: int = 0
    """Threads of numerical libraries and CPU affinity; 0 sets no limit."""
    timeout_s: float = 3600


class StageError(msgspec.Struct, kw_only=True, frozen=True):
    """An error as the child reports it."""

    kind: str
    """`failed`, `needs-person`, `retry`, `misconfigured` or `internal`."""
    code: str
    what: str
    advice: str = ""
    after: float = 30.0


class StageEnded(RanvierError):
    """The stage ended with an error of its own."""

    code = "stage-ended"

    def __init__(self, error: StageError) -> None:
        self.error = error
        super().__init__()


class StageDied(Retry):
    """The {stage} stage ended without an answer ({how})."""

    code = "stage-died"
    next_step = "It is tried again; if it keeps dying, the study needs more memory than it may use, or is damaged."


class StageTimedOut(Retry):
    """The {stage} stage did not end within {seconds} s."""

    code = "stage-timed-out"
    next_step = "It is tried again; give it more time or more cores in Settings, Processing."


class StageCancelled(RanvierError):
    """The stage was stopped because its order was cancelled."""

    code = "stage-cancelled"


Progress = Callable[[float, str], Awaitable[None]]


async def run_stage(
    name: str, request: msgspec.Struct, limits: Limits, *, progress: Progress, stop: asyncio.Event | None = None
) -> bytes:
    """Runs one stage and gives its answer as JSON.

    Raises `StageEnded` with the child's own error, `StageDied`, `StageTimedOut`, or `StageCancelled` when `stop` was set. The
    whole process group is gone when this returns or raises.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "appliance",
        "stage",
        name,
        "--memory-mb",
        str(limits.memory_mb),
        "--parent",
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=_environment(limits),
        start_new_session=True,
        limit=LINE_BYTES,
    )
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await _until_stopped(_converse(name, child, request, progress), stop)
    except TimeoutError:
        raise StageTimedOut(stage=name, seconds=int(limits.timeout_s)) from None
    finally:
        await _end(child)


def _environment(limits: Limits) -> dict[str, str]:
    environment = dict(os.environ)
    if limits.cores:
        environment |= dict.fromkeys(_THREAD_VARIABLES, str(limits.cores))
        environment["RANVIER_CORES"] = str(limits.cores)
    return environment


async def _until_stopped(work: Any, stop: asyncio.Event | None) -> bytes:
    if stop is None:
        return bytes(await work)
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return bytes(working.result())
        raise StageCancelled()
    finally:
        for task in (working, stopping):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RanvierError):
                await task


async def _converse(name: str, child: asyncio.subprocess.Process, request: msgspec.Struct, progress: Progress) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(msgspec.json.encode(request) + b"\n")
        await child.stdin.drain()
        child.stdin.close()
    answer: bytes | None = None
    while True:
        try:
            line = await child.stdout.readline()
        except ValueError:
            raise StageDied(stage=name, how="its answer is too long") from None
        if not line:
            break
        answer = await _read_line(line, progress) or answer
    status = await child.wait()
    if answer is None:
        raise StageDied(stage=name, how=_ending(status))
    return answer


async def _read_line(line: bytes, progress: Progress) -> bytes | None:
    """Handles one line of the child; gives the answer when it is one. Lines that are no JSON are a library's chatter."""
    try:
        said = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError:
        return None
    if said.error is not None:
        raise StageEnded(said.error)
    if said.progress is not None:
        await progress(said.progress, said.step)
    return bytes(said.answer) or None


class _Line(msgspec.Struct):
    progress: float | None = None
    step: str = ""
    answer: msgspec.Raw = msgspec.Raw()
    error: StageError | None = None


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit {status}"
    return f"signal {signal.Signals(-status).name}"


async def _end(child: asyncio.subprocess.Process) -> None:
    """Ends the child's whole group, whatever it had started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()
