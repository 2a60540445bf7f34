"""Stages on a cluster: answers, errors, crashes, cancel, and what happens when the one who asked is gone (PRO-06)."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.compute import dask
from appliance.compute.dask import Cluster, NoClusterWorker, SchedulerAway, run_on_cluster
from appliance.compute.local import Limits, OutOfMemory, StageCancelled, StageDied, StageEnded
from appliance.products.manifest import ProductRequest, ProductResult
from tests.clusters import REPOSITORY, RunningCluster, a_cluster
from tests.servers import until
from tests.unit.pipeline.programs import alive, silent
from tests.unit.products.test_site_products import MANIFEST, a_product, images

DONE = """
import json, os
print(json.dumps({"progress": 0.5, "step": "half"}), flush=True)
open(os.environ["MERCURE_OUT_DIR"] + "/result.json", "w").write('{"answer": 42}')
"""
HANGS = """
import json, os, signal
open(os.environ["MERCURE_OUT_DIR"] + "/pid", "w").write(str(os.getpid()))
print(json.dumps({"progress": 0.1, "step": "begun"}), flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with a_cluster(tmp_path_factory.mktemp("cluster"), workers=1) as found:
        yield found


class Product:
    """A site's product on the cluster."""

    def __init__(self, folder: Path, program: str) -> None:
        product = a_product(folder / "home", program, MANIFEST)
        self.out = folder / "home" / "scratch" / "out"
        self.out.mkdir(parents=True)
        self.request = ProductRequest(
            product="own",
            in_folder=str(images(folder / "home" / "deidentified")),
            out_folder=str(self.out),
            folder=str(product),
        )

    def pid(self) -> int:
        """The command's process, once it has begun."""
        return int((self.out / "pid").read_text())


async def test_a_stage_on_the_cluster_tells_its_progress_and_answers(running: RunningCluster, tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    async def progress(fraction: float, step: str) -> None:
        told.append((fraction, step))

    product = Product(tmp_path, DONE)
    try:
        raw = await run_on_cluster(
            running.cluster, "product", product.request, Limits(timeout_s=60), progress=progress, out_folder=product.out
        )
    finally:
        await dask.close()
    assert msgspec.json.decode(raw, type=ProductResult).values[0].value == 42
    assert (0.5, "half") in told


async def test_errors_and_crashes_come_back_from_the_cluster_as_they_are_here(running: RunningCluster, tmp_path: Path) -> None:
    """PRO-04 on a cluster: the same limits, the same names."""

    async def run(name: str, program: str, limits: Limits) -> None:
        product = Product(tmp_path / name, program)
        await run_on_cluster(running.cluster, "product", product.request, limits, progress=silent, out_folder=product.out)

    hoard = "import os, signal; kept = bytearray(os.urandom(1024)) * (1024 * 150); signal.pause()"
    children = (
        "import subprocess, sys\n"
        f"for one in [subprocess.Popen([sys.executable, '-c', {hoard!r}]) for _ in range(4)]:\n"
        "    one.wait()"
    )
    try:
        with pytest.raises(StageEnded) as ended:
            await run("fails", "raise SystemExit(3)", Limits(timeout_s=60))
        assert ended.value.error.code == "product-command-failed"
        with pytest.raises(StageDied, match="SIGKILL"):
            await run("dies", "import os; os.kill(os.getppid(), 9)", Limits(timeout_s=60))
        with pytest.raises(OutOfMemory, match="of the 400 MB"):
            await run("hoards", children, Limits(timeout_s=60, memory_mb=400))
    finally:
        await dask.close()


async def test_a_cancelled_stage_is_ended_on_the_worker(running: RunningCluster, tmp_path: Path) -> None:
    """PRO-05: Dask itself does not stop running code; the task watches whether it is still wanted."""
    stop = asyncio.Event()

    async def progress(_fraction: float, step: str) -> None:
        if step == "begun":
            stop.set()

    product = Product(tmp_path, HANGS)
    try:
        with pytest.raises(StageCancelled):
            await run_on_cluster(
                running.cluster, "product", product.request, Limits(timeout_s=60), progress=progress, stop=stop
            )
        assert not alive(product.pid()), "its processes are gone before anybody is told"
    finally:
        await dask.close()


def test_a_stage_whose_asker_was_killed_is_ended_on_the_worker(running: RunningCluster, tmp_path: Path) -> None:
    """PRO-05: a killed worker process leaves no stage running that would write beside its successor."""
    product = Product(tmp_path, HANGS)
    script = (
        "import asyncio, sys, msgspec\n"
        "from appliance.compute.dask import Cluster, run_on_cluster\n"
        "from appliance.compute.local import Limits\n"
        "from appliance.products.manifest import ProductRequest\n"
        "from tests.unit.pipeline.programs import silent\n"
        "cluster = msgspec.json.decode(sys.argv[1], type=Cluster)\n"
        "request = msgspec.json.decode(sys.argv[2], type=ProductRequest)\n"
        "asyncio.run(run_on_cluster(cluster, 'product', request, Limits(timeout_s=60), progress=silent))\n"
    )
    words = [msgspec.json.encode(running.cluster).decode(), msgspec.json.encode(product.request).decode()]
    asker = subprocess.Popen([sys.executable, "-c", script, *words], env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    try:
        until(lambda: (product.out / "pid").exists() and bool((product.out / "pid").read_text()), "the command")
        assert alive(product.pid())
    finally:
        asker.kill()
        asker.wait()
    until(lambda: not alive(product.pid()), "the end of the command")


async def test_a_cluster_without_a_worker_says_so_and_the_next_worker_takes_the_stage_up(
    running: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PRO-06: nobody waits for ever, and nobody waits where a worker is only busy."""
    monkeypatch.setattr(dask, "LONELY_S", 0.5)
    told: list[str] = []

    async def progress(_fraction: float, step: str) -> None:
        told.append(step)

    product = Product(tmp_path, DONE)
    limits = Limits(timeout_s=60)
    for worker in running.workers:
        worker.kill()
        worker.wait()
    try:
        async with asyncio.timeout(60):
            with pytest.raises(NoClusterWorker) as alone:
                await run_on_cluster(running.cluster, "product", product.request, limits, progress=progress)
        assert told == ["in the queue of the cluster"]
        assert alone.value.what == f"The cluster at {running.cluster.address} has no worker."
        running.add_worker()  # from this thread: the worker lives as long as the one that started it
        began: list[bool] = []
        raw = await run_on_cluster(
            running.cluster, "product", product.request, limits, progress=progress, began=lambda: began.append(True)
        )
        assert msgspec.json.decode(raw, type=ProductResult).values[0].value == 42
        assert began == [True]
    finally:
        await dask.close()


async def test_a_stage_that_waits_behind_another_is_cancelled_at_once(running: RunningCluster, tmp_path: Path) -> None:
    """PRO-05: cancel at any point, also in the queue of the cluster."""
    first, second = Product(tmp_path / "one", HANGS), Product(tmp_path / "two", DONE)
    halt, begun, queued, stop = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hears(_fraction: float, step: str) -> None:
        if step == "begun":
            begun.set()

    async def waits(_fraction: float, _step: str) -> None:
        queued.set()

    limits = Limits(timeout_s=60)
    run = run_on_cluster
    try:
        busy = asyncio.create_task(run(running.cluster, "product", first.request, limits, progress=hears, stop=halt))
        async with asyncio.timeout(60):
            await begun.wait()
        behind = asyncio.create_task(run(running.cluster, "product", second.request, limits, progress=waits, stop=stop))
        await queued.wait()
        stop.set()
        with pytest.raises(StageCancelled):
            await behind
        assert not busy.done()
        assert not (second.out / "result.json").exists()
        halt.set()
        with pytest.raises(StageCancelled):
            await busy
    finally:
        await dask.close()


async def test_a_scheduler_that_is_away_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "CONNECT_S", 1)
    product = Product(tmp_path, DONE)
    with pytest.raises(SchedulerAway):
        await run_on_cluster(Cluster(address="tcp://127.0.0.1:9"), "product", product.request, Limits(), progress=silent)
