"""Runs a stage on a Dask cluster: the task starts the same child process with the same limits on a worker's machine.

Only the records know how often a stage was tried: the scheduler is to run with `allowed-failures: 0`, so that a worker that
dies is told to us instead of being made good for by the cluster. The task looks whether somebody still wants it: when its order
is cancelled, or the process that asked is gone, the stage's processes are ended.
"""

import asyncio
import contextlib
import importlib
import uuid
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from appliance.compute.local import (
    CRASHES,
    Limits,
    Progress,
    StageCancelled,
    StageDied,
    StageEnded,
    StageError,
    run_encoded,
)
from appliance.errors import Misconfigured, Waits

ON_CLUSTER = frozenset({"product"})
"""Stages that may leave this machine: those that see the de-identified copy only."""
CONNECT_S = 10
LOOK_EVERY_S = 0.25
ENDED_WITHIN_S = 3.0
QUEUED_WITHIN_S = 0.5
"""A task that had not begun may have begun a moment ago: so long word of that is on its way."""
LONELY_S = 5.0
"""A cluster that has had no worker for so long keeps nobody waiting: the order goes back to the queue."""
WITHOUT_WORKER_AFTER_S = 10.0


class ClusterNotInstalled(Misconfigured):
    """The settings name a cluster, and the package that speaks with it is not installed."""

    code = "cluster-not-installed"
    next_step = "Run `./init.sh --extra cluster`, or take the cluster's address out of Settings, Processing."


class SchedulerAway(Waits):
    """The cluster's scheduler at {address} does not answer."""

    code = "scheduler-away"
    next_step = "It is tried again; check that the scheduler runs, and the address and certificates in Settings, Processing."


class NoClusterWorker(Waits):
    """The cluster at {address} has no worker."""

    code = "cluster-without-worker"
    next_step = "It goes on by itself when one has come: start a worker, and see whether the scheduler knows it."


WAITING = frozenset({SchedulerAway.code, NoClusterWorker.code})
"""Codes of an order that waits for the cluster."""


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Where the scheduler is, and the files that prove who is who."""

    address: str
    ca: str = ""
    certificate: str = ""
    key: str = ""


class _Outcome(msgspec.Struct, kw_only=True):
    """How a stage ended on a worker's machine; exceptions do not survive the way between two machines."""

    answer: bytes | None = None
    error: StageError | None = None
    crash: str = ""
    facts: dict[str, Any] = {}
    cancelled: bool = False


class _Line:
    """One connection to one scheduler, and who waits for word of which task."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.topic = f"ranvier-{uuid.uuid4().hex}"
        self.listeners: dict[str, Callable[[float, str], Awaitable[None]]] = {}
        self.ended: dict[str, asyncio.Event] = {}
        self.begun: dict[str, asyncio.Event] = {}
        client.subscribe_topic(self.topic, self._heard)

    async def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        _, said = event
        key = said["key"]
        if "begun" in said:
            if key in self.begun:
                self.begun[key].set()
        elif "ended" in said:
            if key in self.ended:
                self.ended[key].set()
        elif key in self.listeners:
            await self.listeners[key](said["fraction"], said["step"])


_lines: dict[tuple[asyncio.AbstractEventLoop, Cluster], _Line] = {}
_connecting: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def run_on_cluster(
    cluster: Cluster,
    name: str,
    request: msgspec.Struct,
    limits: Limits,
    *,
    progress: Progress,
    stop: asyncio.Event | None = None,
    out_folder: Path | None = None,
    began: Callable[[], None] = lambda: None,
) -> bytes:
    """Runs one stage on some worker and gives its answer as JSON.

    `began` is called when a worker has taken it up. Raises what `run_stage` raises, `SchedulerAway`, and `NoClusterWorker` when
    it waits and nobody is there.
    """
    while True:
        line = await _line(cluster)
        key = f"ranvier-{name}-{uuid.uuid4().hex}"
        asked = _Asked(line, key, cluster)
        line.listeners[key] = progress
        task = (name, msgspec.json.encode(request), msgspec.json.encode(limits), str(out_folder or ""), version("ranvier"))
        try:
            await progress(0.0, "in the queue of the cluster")
            future = line.client.submit(_on_worker, *task, line.topic, key, key=key, pure=False, retries=0)
            raw = await asked.result(future, name, stop, began)
        except StageDied:
            if asked.begun.is_set():
                raise
            # It waited behind another task of a worker that died: no attempt was made, and none is counted.
            continue
        finally:
            for listed in (line.listeners, line.ended, line.begun):
                listed.pop(key, None)
        return _unpacked(msgspec.msgpack.decode(raw, type=_Outcome))


async def close() -> None:
    """Ends the connections of the running loop."""
    loop = asyncio.get_running_loop()
    for place in [one for one in _lines if one[0] is loop]:
        await _lines.pop(place).client.close()


async def _line(cluster: Cluster) -> _Line:
    place = (asyncio.get_running_loop(), cluster)
    async with _connecting.setdefault(place[0], asyncio.Lock()):
        found = _lines.get(place)
        if found is not None and found.client.status == "running":
            return found
        if found is not None:
            await _lines.pop(place).client.close()
        _lines[place] = _Line(await _client(cluster))
        return _lines[place]


async def _client(cluster: Cluster) -> Any:
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as fault:
        raise ClusterNotInstalled(field="compute.scheduler") from fault
    files = {"tls_ca_file": cluster.ca, "tls_client_cert": cluster.certificate, "tls_client_key": cluster.key}
    encrypted = cluster.address.startswith("tls://")
    security = distributed.Security(**files, require_encryption=True) if encrypted else distributed.Security()
    client = distributed.Client(cluster.address, security=security, asynchronous=True, timeout=CONNECT_S, set_as_default=False)
    try:
        await client
    except (OSError, TimeoutError, ValueError) as fault:
        with contextlib.suppress(OSError, TimeoutError):
            await client.close(timeout=1)
        raise SchedulerAway(after=10.0, address=cluster.address) from fault
    return client


class _Asked:
    """One task that the scheduler has."""

    def __init__(self, line: _Line, key: str, cluster: Cluster) -> None:
        self._line, self._cluster = line, cluster
        self.begun = line.begun[key] = asyncio.Event()
        self._ended = line.ended[key] = asyncio.Event()

    async def result(self, future: Any, name: str, stop: asyncio.Event | None, began: Callable[[], None]) -> bytes:
        """What the task gave, unless `stop` is set before, or nobody is there to take it up."""
        from distributed import CancelledError, KilledWorker

        waiting = asyncio.ensure_future(future.result())
        stopping = asyncio.ensure_future(stop.wait() if stop else asyncio.Event().wait())
        watching = asyncio.ensure_future(self._lonely(began))
        try:
            await asyncio.wait({waiting, stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                await self._call_off(future)
                raise StageCancelled() if stopping.done() else self._alone()
            return bytes(waiting.result())
        except KilledWorker:
            raise StageDied(stage=name, how="its worker of the cluster died") from None
        except CancelledError:
            if waiting.done():
                raise SchedulerAway(after=10.0, address=self._cluster.address) from None
            await self._call_off(future)
            raise
        finally:
            for task in (waiting, stopping, watching):
                task.cancel()
            await asyncio.gather(waiting, stopping, watching, return_exceptions=True)

    def _alone(self) -> NoClusterWorker:
        return NoClusterWorker(after=WITHOUT_WORKER_AFTER_S, address=self._cluster.address)

    async def _lonely(self, began: Callable[[], None]) -> None:
        """Ends when the task waits and the cluster has had no worker for a while; never once the task has begun."""
        loop = asyncio.get_running_loop()
        seen_at = loop.time()
        while loop.time() - seen_at < LONELY_S:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.begun.wait(), LOOK_EVERY_S)
                began()
                await asyncio.Event().wait()
            # A scheduler that is gone cancels the task, which is met elsewhere.
            with contextlib.suppress(OSError):
                if await self._line.client.nthreads():
                    seen_at = loop.time()

    async def _call_off(self, future: Any) -> None:
        """Takes a task back, and waits for word that its processes are gone."""
        await future.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), ENDED_WITHIN_S if self.begun.is_set() else QUEUED_WITHIN_S)


def _unpacked(outcome: _Outcome) -> bytes:
    if outcome.error is not None:
        raise StageEnded(outcome.error)
    if outcome.cancelled:
        raise StageCancelled()
    if outcome.crash:
        kinds = {kind.code: kind for kind in CRASHES}
        raise kinds[outcome.crash](**outcome.facts)
    return outcome.answer or b""


def _on_worker(name: str, request: bytes, limits: bytes, out_folder: str, asked_by: str, topic: str, key: str) -> bytes:
    """The task, in a thread of a worker of the cluster."""
    from distributed import get_worker

    worker = get_worker()
    worker.log_event(topic, {"key": key, "begun": True})
    found = version("ranvier")
    if found != asked_by:
        what = f"The cluster has Ranvier {found}, this appliance {asked_by}."
        error = StageError(kind="misconfigured", code="cluster-version", what=what, advice="Install the same version on both.")
        return msgspec.msgpack.encode(_Outcome(error=error))

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state in ("executing", "long-running")

    async def progress(fraction: float, step: str) -> None:
        worker.log_event(topic, {"key": key, "fraction": fraction, "step": step})

    try:
        place = Path(out_folder) if out_folder else None
        outcome = asyncio.run(_run(name, request, msgspec.json.decode(limits, type=Limits), place, progress, wanted))
    finally:
        worker.log_event(topic, {"key": key, "ended": True})
    return msgspec.msgpack.encode(outcome)


async def _run(
    name: str, request: bytes, limits: Limits, out_folder: Path | None, progress: Progress, wanted: Callable[[], bool]
) -> _Outcome:
    stop = asyncio.Event()

    async def look() -> None:
        while wanted():
            await asyncio.sleep(LOOK_EVERY_S)
        stop.set()

    looking = asyncio.create_task(look())
    try:
        answer = await run_encoded(name, request, limits, progress=progress, stop=stop, out_folder=out_folder)
        return _Outcome(answer=answer)
    except StageEnded as ended:
        return _Outcome(error=ended.error)
    except StageDied as died:
        return _Outcome(crash=died.code, facts=died.facts)
    except StageCancelled:
        return _Outcome(cancelled=True)
    finally:
        looking.cancel()
