"""Runs a stage in a child process of this machine: limits, progress, cancel, time-out.

The child is `python -m appliance stage NAME` in its own session. It asks the kernel to die with its parent, limits itself
before it imports anything heavy, and speaks lines of JSON. Memory is kept by a control group where systemd has delegated one,
else by RLIMIT_AS for each process and a watch over all of them together.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.compute import cgroup, outputs, watch
from appliance.compute.scratch import scratch, sweep_once
from appliance.errors import RanvierError, Retry

LINE_BYTES = 64 * 1024 * 1024
"""The longest answer that is taken; a longer one is a fault of the stage."""
MIB = 1024 * 1024
LOOK_EVERY_S = 0.2
MEASURE_EVERY_S = 1.0
LAST_WORDS_S = 2.0
"""So long what a stage said before it ended may still be on its way."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Limits(msgspec.Struct, kw_only=True, frozen=True):
    """What a stage may use; 0 sets no limit."""

    memory_mb: int = 0
    """Of all its processes together."""
    cores: int = 0
    """Threads of numerical libraries and CPU affinity."""
    timeout_s: float = 3600
    quiet_s: float = 0
    """A stage that says nothing for so long hangs."""
    out_mb: int = 0
    """Room in its out-folder."""


class StageError(msgspec.Struct, kw_only=True, frozen=True):
    """An error as the child reports it."""

    kind: str
    """`failed`, `needs-person`, `retry`, `misconfigured`, `out-of-memory` or `internal`."""
    code: str
    what: str
    advice: str = ""
    after: float = 30.0
    used_mb: int = 0


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


class StageTimedOut(StageDied):
    """The {stage} stage did not end within {seconds} s."""

    code = "stage-timed-out"
    next_step = "It is tried again; give it more time or more cores in Settings, Processing."


class StageHung(StageDied):
    """The {stage} stage gave no sign for {seconds} s and was ended."""

    code = "stage-hung"
    next_step = "It is tried again; if it hangs again, look at the product, or raise the longest silence in its manifest."


class OutOfMemory(StageDied):
    """The {stage} stage used {used_mb} MB of the {allowed_mb} MB that it may use, and was ended."""

    code = "out-of-memory"
    next_step = "It is tried again; raise the memory per order in Settings, Processing."


class MachineOutOfMemory(StageDied):
    """The kernel ended the {stage} stage because the machine has no memory left (the stage used {used_mb} MB)."""

    code = "machine-out-of-memory"
    next_step = "It is tried again; give the machine more memory, or lower orders at once or memory per order."


class StageCancelled(RanvierError):
    """The stage was stopped because its order was cancelled."""

    code = "stage-cancelled"


CRASHES: tuple[type[StageDied], ...] = (StageDied, StageTimedOut, StageHung, OutOfMemory, MachineOutOfMemory)
"""Every way a stage ends that is not its own word; a study that ends so again and again is put aside."""

Progress = Callable[[float, str], Awaitable[None]]


async def run_stage(
    name: str,
    request: msgspec.Struct,
    limits: Limits,
    *,
    progress: Progress,
    stop: asyncio.Event | None = None,
    out_folder: Path | None = None,
) -> bytes:
    """Runs one stage and gives its answer as JSON.

    Raises `StageEnded` with the child's own error or with what is wrong with its output, `StageDied` or a kind of it, or
    `StageCancelled` when `stop` was set. All processes that it started are gone when this returns or raises.
    """
    return await run_encoded(name, msgspec.json.encode(request), limits, progress=progress, stop=stop, out_folder=out_folder)


async def run_encoded(
    name: str,
    request: bytes,
    limits: Limits,
    *,
    progress: Progress,
    stop: asyncio.Event | None = None,
    out_folder: Path | None = None,
) -> bytes:
    """The same for a request that is JSON already."""
    await asyncio.to_thread(sweep_once)
    group = await asyncio.to_thread(_group, limits)
    kills_before = watch.kernel_oom_kills()
    with _cores(limits.cores) as cores, scratch() as temporary:
        child = await _started(name, limits, group, cores, temporary)
        run = _Run(name, child, limits, group, out_folder, progress)
        try:
            async with asyncio.timeout(limits.timeout_s):
                answer = await _first(run.converse(request), run.guard(), stop)
            await asyncio.to_thread(_check_outputs, out_folder, limits.out_mb)
            return answer
        except TimeoutError:
            raise StageTimedOut(stage=name, seconds=int(limits.timeout_s)) from None
        except StageDied as died:
            raise run.explained(died, kills_before) from None
        finally:
            await asyncio.shield(run.end())
            if out_folder is not None:
                await asyncio.to_thread(outputs.open_up, out_folder)


async def _started(
    name: str, limits: Limits, group: cgroup.Group | None, cores: list[int], temporary: Path
) -> asyncio.subprocess.Process:
    argv = [sys.executable, "-m", "appliance", "stage", name, "--parent", str(os.getpid())]
    # In a group the kernel counts what is used; address space, which is only reserved, then needs no limit.
    argv += ["--memory-mb", str(0 if group else limits.memory_mb)]
    argv += ["--cores", ",".join(map(str, cores))] if cores else []
    argv += ["--file-mb", str(limits.out_mb)] if limits.out_mb else []
    environment = {**os.environ, "TMPDIR": str(temporary)}
    if limits.cores:
        environment |= dict.fromkeys(_THREAD_VARIABLES, str(limits.cores))
    child = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
        limit=LINE_BYTES,
    )
    if group is not None:
        # Before its request is sent: until then it has loaded nothing.
        with contextlib.suppress(OSError):
            group.take(child.pid)
    return child


class _Run:
    """One stage while it runs."""

    def __init__(
        self,
        name: str,
        child: asyncio.subprocess.Process,
        limits: Limits,
        group: cgroup.Group | None,
        out_folder: Path | None,
        progress: Progress,
    ) -> None:
        self._name, self._child, self._limits, self._group = name, child, limits, group
        self._out_folder, self._progress = out_folder, progress
        self._family = watch.Family(child.pid)
        self._peak = 0
        self._said_at = asyncio.get_running_loop().time()

    async def converse(self, request: bytes) -> bytes:
        """Sends the request and reads lines until the answer."""
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            child.stdin.write(request + b"\n")
            await child.stdin.drain()
            child.stdin.close()
        while True:
            try:
                line = await child.stdout.readline()
            except ValueError:
                raise _refused("answer-too-long", f"The {self._name} stage's answer is longer than it may be.") from None
            if not line:
                break
            self._said_at = asyncio.get_running_loop().time()
            answer = await self._line(line)
            if answer is not None:
                return answer
        raise StageDied(stage=self._name, how=_ending(await child.wait()))

    async def _line(self, line: bytes) -> bytes | None:
        """Handles one line of the child; gives the answer when it is one. Lines that are no JSON are a library's chatter."""
        try:
            said = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            return None
        if said.error is not None:
            if said.error.kind == "out-of-memory":
                raise OutOfMemory(stage=self._name, used_mb=said.error.used_mb, allowed_mb=self._limits.memory_mb)
            raise StageEnded(said.error)
        if said.progress is not None:
            await self._progress(said.progress, said.step)
        return bytes(said.answer) or None

    async def guard(self) -> bytes:
        """Looks at memory, silence and output for as long as the stage runs; raises when a limit is passed."""
        loop = asyncio.get_running_loop()
        measured_at = loop.time()
        alive_at = loop.time()
        while True:
            if self._child.returncode is None:
                alive_at = loop.time()
            elif loop.time() - alive_at > LAST_WORDS_S:
                # It is gone, and something that it left behind holds its end of the pipe.
                raise StageDied(stage=self._name, how=_ending(self._child.returncode))
            used = await asyncio.to_thread(self._family.used_bytes, self._limits.memory_mb * MIB or 1 << 62)
            self._peak = max(self._peak, used)
            if self._limits.memory_mb and used > self._limits.memory_mb * MIB:
                raise self._out_of_memory(used)
            if self._limits.quiet_s and loop.time() - self._said_at > self._limits.quiet_s:
                raise StageHung(stage=self._name, seconds=int(self._limits.quiet_s))
            if self._out_folder and self._limits.out_mb and loop.time() - measured_at > MEASURE_EVERY_S:
                await asyncio.to_thread(_check_size, self._out_folder, self._limits.out_mb)
                measured_at = loop.time()
            await asyncio.sleep(LOOK_EVERY_S)

    def _out_of_memory(self, used: int) -> OutOfMemory:
        return OutOfMemory(stage=self._name, used_mb=used // MIB, allowed_mb=self._limits.memory_mb)

    def explained(self, died: StageDied, kills_before: int) -> StageDied:
        """A death without an answer, with its cause where the kernel tells it."""
        if type(died) is not StageDied:
            return died
        if self._group is not None and self._group.oom_kills():
            return self._out_of_memory(max(self._peak, self._group.peak_bytes()))
        if died.facts.get("how") == "signal SIGKILL" and watch.kernel_oom_kills() > kills_before:
            return MachineOutOfMemory(stage=self._name, used_mb=self._peak // MIB)
        return died

    async def end(self) -> None:
        """Ends all processes of the stage, whatever it had started."""
        await asyncio.to_thread(self._family.end)
        if self._group is not None:
            await asyncio.to_thread(self._group.end)
        await self._child.wait()


class _Line(msgspec.Struct):
    progress: float | None = None
    step: str = ""
    answer: msgspec.Raw = msgspec.Raw()
    error: StageError | None = None


async def _first(talk: Coroutine[Any, Any, bytes], guard: Coroutine[Any, Any, bytes], stop: asyncio.Event | None) -> bytes:
    """What the stage answers, unless the guard raises or `stop` is set before."""
    talking, guarding = asyncio.ensure_future(talk), asyncio.ensure_future(guard)
    stopping = asyncio.ensure_future(stop.wait() if stop else asyncio.Event().wait())
    try:
        await asyncio.wait({talking, guarding, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if talking.done():
            return talking.result()
        if guarding.done():
            return guarding.result()
        raise StageCancelled()
    finally:
        for task in (talking, guarding, stopping):
            task.cancel()
        await asyncio.gather(talking, guarding, stopping, return_exceptions=True)


def _group(limits: Limits) -> cgroup.Group | None:
    return cgroup.make(cgroup.subtree(), memory_mb=limits.memory_mb, cores=limits.cores)


_in_use: Counter[int] = Counter()


@contextlib.contextmanager
def _cores(wanted: int) -> Iterator[list[int]]:
    """The least used cores of those that this process may use; none when it may not use more than that anyway."""
    ours = sorted(os.sched_getaffinity(0), key=lambda core: (_in_use[core], core))
    taken = ours[:wanted] if 0 < wanted < len(ours) else []
    _in_use.update(taken)
    try:
        yield taken
    finally:
        _in_use.subtract(taken)


def _check_outputs(folder: Path | None, out_mb: int) -> None:
    """Raises `StageEnded` for what may not be in an out-folder."""
    if folder is None:
        return
    outputs.open_up(folder)
    _check_size(folder, out_mb)
    kinds = outputs.strangers(folder)
    if kinds:
        listed = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        raise _refused("output-not-plain", f"The output holds {listed}; only plain files and folders are taken.")


def _check_size(folder: Path, out_mb: int) -> None:
    size, entries = outputs.used(folder)
    if out_mb and size > out_mb * MIB:
        raise _refused("output-too-large", f"The output has {size // MIB} MB; {out_mb} MB are allowed.")
    if entries > outputs.MOST_FILES:
        raise _refused("output-too-large", f"The output has {entries} files; {outputs.MOST_FILES} are allowed.")


def _refused(code: str, what: str) -> StageEnded:
    return StageEnded(StageError(kind="failed", code=code, what=what, advice="Tell whoever made the product."))


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit {status}"
    return f"signal {signal.Signals(-status).name}"
