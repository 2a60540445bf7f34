"""What running a stage in a child process costs, what a Dask cluster adds, and how fast waiting orders are claimed.

Peers: the same command by a bare `subprocess.Popen`; as many bare processes that sleep; one committed update of a row by its
key on the same engine with the same number of processes. The test's PostgreSQL runs with `fsync=off`; SQLite syncs each commit.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from appliance.compute import dask
from appliance.compute.dask import Cluster, run_on_cluster
from appliance.compute.local import Limits, StageCancelled, run_stage
from appliance.moments import new_id
from appliance.products.manifest import ProductRequest
from appliance.qc.finding import QcRequest
from appliance.records.engine import Records, migrate
from appliance.records.tables import Order
from tests.bench.figures import Figure, figure
from tests.clusters import REPOSITORY, a_cluster
from tests.servers import postgres

TIMES = 7
ORDERS = 1000
SLEEPERS = 12
SLEEP_S = 2.0
LIMITS = Limits(memory_mb=4096, cores=1, timeout_s=120)
REQUEST = QcRequest(order="o", files=[], protocols={})
MANIFEST = """
id = "sleeps"
version = "1"
title = "Sleeps"
intended_use = "Measurement."
command = ["sh", "-c", "sleep {seconds}; echo '{{}}' >$MERCURE_OUT_DIR/result.json"]
"""
CLAIM = """
import asyncio, sys, time
from appliance.records import orders
from appliance.records.engine import Records
from appliance.states import OrderState

async def main(url, what, number, count):
    async with Records(url) as records:
        ids = [row["id"] for row in await records.run("SELECT id FROM orders ORDER BY id")]
        print("ready", flush=True)
        sys.stdin.readline()
        began, done = time.monotonic(), 0
        if what == "claim":
            while await orders.claim(records, worker=f"w{number}", states=[OrderState.QC], now=1, lease_ms=10**9):
                done += 1
        else:
            for one in ids[number::count]:
                await records.run("UPDATE orders SET attempt = attempt + 1 WHERE id = {} RETURNING *", one)
                done += 1
        print(done, began, time.monotonic(), flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


async def silent(_fraction: float, _step: str) -> None:
    """Drops the progress."""


def measure() -> list[Figure]:
    """All figures, each beside its peer."""
    with tempfile.TemporaryDirectory(prefix="ranvier-bench-") as name:
        folder = Path(name)
        return [*_stages(folder), _cancel(), *_throughput(folder), *_claims(folder)]


# --- one stage ---------------------------------------------------------------------------------------------------------


def _stages(folder: Path) -> list[Figure]:
    """The same stage by hand, with limits and watch, and on a cluster; in turn, so that the machine's drift meets all."""
    (folder / "one").mkdir()
    with a_cluster(folder / "one", workers=1) as running:
        return asyncio.run(_stages_with(running.cluster))


async def _stages_with(cluster: Cluster) -> list[Figure]:
    bare, here, there = [], [], []
    for _ in range(TIMES + 1):
        bare.append(await asyncio.to_thread(_bare))
        here.append(await _seconds(lambda: run_stage("qc", REQUEST, LIMITS, progress=silent)))
        there.append(await _seconds(lambda: run_on_cluster(cluster, "qc", REQUEST, LIMITS, progress=silent)))
    await dask.close()
    # The first round connects and fills the caches.
    bare, here, there = bare[1:], here[1:], there[1:]
    peer = "the same command by subprocess.Popen"
    more = [round(1000 * (ours - theirs), 1) for ours, theirs in zip(here, bare, strict=True)]
    over_dask = [round(1000 * (ours - theirs), 1) for ours, theirs in zip(there, bare, strict=True)]
    print(f"added by the child process with limits: {statistics.median(more)} ms; by Dask: {statistics.median(over_dask)} ms")
    return [
        figure("a stage of no work as child process with limits", here, peer, bare, "s", "lower"),
        figure("a stage of no work through Dask with TLS", there, peer, bare, "s", "lower", packages=("distributed",)),
    ]


def _bare() -> float:
    """By hand: start, send the request, read lines until the answer, end it; one thread, as the limits set it."""
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "appliance", "stage", "qc"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        # As a stage has it: the kernel gives each session its share of a busy machine.
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(msgspec.json.encode(REQUEST) + b"\n")
    child.stdin.close()
    if not any(b'"answer"' in line for line in iter(child.stdout.readline, b"")):
        raise RuntimeError("the stage did not answer")
    child.kill()
    child.wait()
    child.stdout.close()
    return time.monotonic() - began


async def _seconds(work: Callable[[], Awaitable[object]]) -> float:
    began = time.monotonic()
    await work()
    return time.monotonic() - began


def _cancel() -> Figure:
    """From asking a running stage to stop until its last process is gone."""
    ours, bare = [], []
    for _ in range(TIMES):
        ours.append(asyncio.run(_cancelled()))
        child = subprocess.Popen(["/bin/sleep", "600"])
        began = time.monotonic()
        child.kill()
        child.wait()
        bare.append(time.monotonic() - began)
    return figure(
        "cancel of a running stage until all its processes are gone", ours, "kill and wait of one sleep", bare, "s", "lower"
    )


async def _cancelled() -> float:
    stop = asyncio.Event()
    running = asyncio.create_task(run_stage("qc", REQUEST, LIMITS, progress=silent, stop=stop))
    await asyncio.sleep(0.1)  # it takes longer to start, so that there is something to cancel
    began = time.monotonic()
    stop.set()
    try:
        await running
    except StageCancelled:
        return time.monotonic() - began
    raise RuntimeError("the stage was done before it could be cancelled")


# --- a cluster -----------------------------------------------------------------------------------------------------------


def _throughput(folder: Path) -> list[Figure]:
    found = []
    for workers in (1, 2, 4):
        place = folder / f"workers{workers}"
        place.mkdir()
        with a_cluster(place, workers=workers) as running:
            ours = asyncio.run(_sleepers(running.cluster, place))
        ideal = workers / SLEEP_S
        name = f"stages a second that sleep {SLEEP_S:g} s, Dask with {workers} worker{'s' * (workers > 1)}"
        found.append(
            figure(
                name, [ours], f"{workers} sleeping without any overhead", [ideal], "1/s", "higher", packages=("distributed",)
            )
        )
    return found


async def _sleepers(cluster: Cluster, folder: Path) -> float:
    product = folder / "home" / "products" / "sleeps"
    product.mkdir(parents=True)
    (product / "manifest.toml").write_text(MANIFEST.format(seconds=SLEEP_S))
    (folder / "in").mkdir()

    async def one(number: int) -> None:
        out = folder / "home" / "scratch" / str(number) / "out"
        out.mkdir(parents=True)
        request = ProductRequest(product="sleeps", in_folder=str(folder / "in"), out_folder=str(out), folder=str(product))
        await run_on_cluster(cluster, "product", request, LIMITS, progress=silent, out_folder=out)

    await one(SLEEPERS)
    began = time.monotonic()
    await asyncio.gather(*(one(number) for number in range(SLEEPERS)))
    seconds = time.monotonic() - began
    await dask.close()
    return SLEEPERS / seconds


# --- claims ----------------------------------------------------------------------------------------------------------------


def _claims(folder: Path) -> list[Figure]:
    found = []
    with postgres() as create:
        for workers in (1, 2, 4):
            for engine, url in (("SQLite", f"sqlite://{folder / f'claims{workers}.db'}"), ("PostgreSQL", create())):
                asyncio.run(_fill(url))
                updates = _rate(url, "update", workers)
                claims = _rate(url, "claim", workers)
                name = f"claims a second of {ORDERS} waiting orders, {engine}, {workers} worker{'s' * (workers > 1)}"
                found.append(figure(name, [claims], "an update of one row by its key", [updates], "1/s", "higher"))
    return found


async def _fill(url: str) -> None:
    async with Records(url) as records:
        await migrate(records)
        for start in range(0, ORDERS, 100):
            rows = [
                Order(id=new_id(start + number), study="s", state="QC", products="dti", created_at=start + number, updated_at=0)
                for number in range(100)
            ]
            await Order.insert(*rows).run()


def _rate(url: str, what: str, workers: int) -> float:
    """Operations a second of so many processes together, from the first one's begin to the last one's end."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, url, what, str(number), str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for number in range(workers)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate(timeout=600)[0].split() for child in children]
    done = sum(int(answer[0]) for answer in answers)
    if done != ORDERS:
        raise RuntimeError(f"{done} instead of {ORDERS}")
    return done / (max(float(answer[2]) for answer in answers) - min(float(answer[1]) for answer in answers))
