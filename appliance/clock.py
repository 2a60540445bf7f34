"""What every working process does again and again: name, pause, function; and the schedule beside it.

These may run in several processes at once; what must not has a place in `schedule`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from appliance import certificates, cohorts, dispatch, erasure, hosting, notices, pipeline, schedule, submissions
from appliance.events import CertificateExpires
from appliance.house import House
from appliance.logs import FOLDER, index
from appliance.moments import now_ms
from appliance.records import disk, events, orders, processes, users
from appliance.worker import is_dead

DAY_MS = 86_400_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """One scheduled task."""

    name: str
    every_s: float
    function: Callable[[House, int], Awaitable[object]]


async def _open_orders(house: House, now: int) -> object:
    """Opens orders of studies that have become complete."""
    return await pipeline.open_due_orders(house, now=now)


async def _open_hub_orders(house: House, now: int) -> object:
    """Opens the orders that clients of the hub asked to run, as soon as their studies are filed."""
    return await hosting.open_waiting(house, now)


async def _close_orders(house: House, now: int) -> object:
    """Closes orders whose last delivery was recorded by a worker that then died."""
    await dispatch.close_delivered(house, now=now)
    return None


async def _free_dead_workers(house: House, now: int) -> object:
    """Gives the orders of workers that died on this machine back at once, instead of when their lease ends."""
    dead = [worker for worker in await orders.leaseholders(house.records) if is_dead(worker)]
    await orders.free_leases(house.records, dead)
    return None


async def _keep_reserve(house: House, now: int) -> object:
    """Gives the disk reserve back on a full disk; occupies it again after space was freed."""
    return await asyncio.to_thread(house.storage.tend_reserve)


async def _blank_logs(house: House, now: int) -> object:
    """Takes the identifiers of what was deleted out of the log lines."""
    return await erasure.log_lines(house)


async def _sample_disk(house: House, now: int) -> object:
    """Notes the free space, from which the days until the disk is full follow."""
    free, total = house.storage.free_bytes(), house.storage.total_bytes()
    await disk.note(house.records, disk.Sample(at=now, free=free, total=total))
    return None


async def _forget_ended(house: House, now: int) -> object:
    """Forgets processes that have not been seen for a day, and sessions that ended before that."""
    await users.forget_old_sessions(now - DAY_MS)
    for seen in await processes.everyone():
        if now - seen.seen_at > DAY_MS:
            await processes.gone(seen)
    return None


async def _watch_certificates(house: House, now: int) -> object:
    """Tells once a day of a certificate that nears its end; the one that the appliance signs itself is renewed by itself."""
    found = (await house.settings()).settings
    doors = (
        ("HTTPS", found.access.tls, found.access.tls_certificate),
        ("DICOM", found.receive.tls, found.receive.tls_certificate),
    )
    told = {one.door for one in await events.since(CertificateExpires, now - DAY_MS)}
    for door, on, certificate in doors:
        if on and certificate and door not in told:
            left = certificates.days_left(certificate, now)
            if left < certificates.WARN_DAYS:
                await events.append(CertificateExpires(door=door, days=left), now)
    return None


async def _index_logs(house: House, now: int) -> object:
    """Makes the indexes of log files that were closed."""
    return await asyncio.to_thread(index.keep, house.home / FOLDER)


TASKS: tuple[Task, ...] = (
    Task("open-orders", 0.5, _open_orders),
    Task("open-hub-orders", 0.5, _open_hub_orders),
    Task("close-orders", 5, _close_orders),
    Task("free-dead-workers", 2, _free_dead_workers),
    Task("keep-reserve", 10, _keep_reserve),
    Task("groups", 5, cohorts.tend),
    Task("notices", 1, notices.tend),
    Task("machine", 10, notices.MachineWatch()),
    Task("index-logs", 60, _index_logs),
    Task("blank-logs", 30, _blank_logs),
    Task("sample-disk", 3600, _sample_disk),
    Task("forget-ended", 3600, _forget_ended),
    Task("forget-uploads", 600, submissions.forget_idle),
    Task("watch-certificates", 3600, _watch_certificates),
)


async def run(house: House, stop: asyncio.Event) -> None:
    """Runs every task at its cadence until `stop` is set; a task that fails is logged and runs again next time."""
    async with asyncio.TaskGroup() as group:
        for task in TASKS:
            group.create_task(_repeat(house, task, stop))
        group.create_task(schedule.run(house, stop))


async def _repeat(house: House, task: Task, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await task.function(house, now_ms())
        except Exception:
            log.exception("scheduled task %s failed", task.name, extra={"code": "task-failed"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), task.every_s)
