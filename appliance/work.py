"""What `ranvier work` runs: workers, the dispatcher and the clock in one process."""

import asyncio
import contextlib
import logging

from appliance import clock, logs
from appliance.compute import dask
from appliance.compute.scratch import sweep_once
from appliance.dispatch import Dispatcher
from appliance.drops import Dropbox
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import processes
from appliance.validation import Validator
from appliance.worker import LEASE_MS, Worker

log = logging.getLogger(__name__)

BEAT_S = 5.0


async def run(house: House, stop: asyncio.Event, *, lease_ms: int = LEASE_MS) -> None:
    """Works until `stop` is set; what is in hand is finished (deliveries) or handed back (stages)."""
    # Before there is work: what a killed worker left may wait for long.
    await asyncio.to_thread(sweep_once)
    workers = (await house.settings()).settings.compute.workers
    process = processes.this_process("work", now_ms())
    async with asyncio.TaskGroup() as group:
        group.create_task(_beat(house, process, stop))
        group.create_task(clock.run(house, stop))
        for _ in range(workers):
            group.create_task(Worker(house, lease_ms=lease_ms).run(stop))
        group.create_task(Dropbox(house).run(stop))
        group.create_task(Validator(house).run(stop))
        group.create_task(Dispatcher(house, Worker(house).name).run(stop))
        log.info("working on %d orders at a time", workers)
    await dask.close()


async def _beat(house: House, process: processes.Process, stop: asyncio.Event) -> None:
    while not stop.is_set():
        logs.set_level((await house.settings()).settings.logs.level)
        await processes.beat(process, now_ms())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), BEAT_S)
    await processes.gone(process)
