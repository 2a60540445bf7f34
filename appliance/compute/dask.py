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
from appliance.errors import Misconfigured, Retry

ON_CLUSTER = frozenset({"product"})
"""Stages that may leave this machine: those that see the de-identified copy only."""
CONNECT_S = 10
LOOK_EVERY_S = 0.25
ENDED_WITHIN_S = 3.0


class ClusterNotInstalled(Misconfigured):
    """The settings name a cluster, and the package that speaks with it is not installed."""

    code = "cluster-not-installed"
    next_step = "Install Ranvier with its extra `cluster`, or take the cluster's address out of Settings, Processing."


class SchedulerAway(Retry):
    """The cluster's scheduler at {address} does not answer."""

    code = "scheduler-away"
    next_step = "It is tried again; check that the scheduler runs, and the address and certificates in Settings, Processing."


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
        self.begun: set[str] = set()
        client.subscribe_topic(self.topic, self._heard)

    async def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        _, said = event
        key = said["key"]
        if "begun" in said:
            if key in self.ended:
                self.begun.add(key)
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
) -> bytes:
    """Runs one stage on some worker and gives its answer as JSON; raises what `run_stage` raises, and `SchedulerAway`."""
    while True:
        line = await _line(cluster)
        key = f"ranvier-{name}-{uuid.uuid4().hex}"
        ended = line.ended[key] = asyncio.Event()
        line.listeners[key] = progress
        task = (name, msgspec.json.encode(request), msgspec.json.encode(limits), str(out_folder or ""), version("ranvier"))
        try:
            future = line.client.submit(_on_worker, *task, line.topic, key, key=key, pure=False, retries=0)
            raw = await _result(future, name, cluster, ended, stop)
        except StageDied:
            if key in line.begun:
                raise
            # It waited behind another task of a worker that died: no attempt was made, and none is counted.
            continue
        finally:
            line.listeners.pop(key, None)
            line.ended.pop(key, None)
            line.begun.discard(key)
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


async def _result(future: Any, name: str, cluster: Cluster, ended: asyncio.Event, stop: asyncio.Event | None) -> bytes:
    from distributed import CancelledError, KilledWorker

    waiting = asyncio.ensure_future(future.result())
    stopping = asyncio.ensure_future(stop.wait() if stop else asyncio.Event().wait())
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            await _call_off(future, ended)
            raise StageCancelled()
        return bytes(waiting.result())
    except KilledWorker:
        raise StageDied(stage=name, how="its worker of the cluster died") from None
    except CancelledError:
        if waiting.done():
            raise SchedulerAway(after=10.0, address=cluster.address) from None
        await _call_off(future, ended)
        raise
    finally:
        for task in (waiting, stopping):
            task.cancel()
        await asyncio.gather(waiting, stopping, return_exceptions=True)


async def _call_off(future: Any, ended: asyncio.Event) -> None:
    """Takes a task back, and waits for word that its processes are gone."""
    await future.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), ENDED_WITHIN_S)


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
