"""How the appliance is."""

import socket
from importlib.metadata import version

from litestar import get
from litestar.di import NamedDependency

from api.guards import declared
from api.house_views import CountsView, ProcessView, QueueView, ReceiveView, StatusView
from api.visit import Visit
from appliance.moments import iso
from appliance.receive.section import ReceiveSection
from appliance.records import durations, orders, processes, studies
from appliance.upkeep import forecast

DAY_MS = 86_400_000
_EVERY_ADDRESS = ("0.0.0.0", "::", "")


@get("/api/status", operation_id="getStatus", tags=["status"], **declared("status.read"))
async def get_status(visit: NamedDependency[Visit]) -> StatusView:
    """Site, processes, counts, queue, and where senders send to."""
    records, settings = visit.house.records, (await visit.house.settings()).settings
    storage = visit.house.storage
    by_state = await orders.counts(records)
    compute = settings.compute
    queue = await durations.queue(records, workers=compute.workers, now=visit.now)
    held = await studies.counts(records)
    return StatusView(
        site=settings.site.name,
        version=version("ranvier"),
        time_zone=settings.site.time_zone,
        home_free_bytes=storage.free_bytes(),
        home_total_bytes=storage.total_bytes(),
        days_until_full=await forecast.of_disk(storage),
        now=iso(visit.now),
        processes=[_process(one, visit.now) for one in await processes.everyone(visit.now - DAY_MS)],
        counts=CountsView(studies=held.receiving + held.stable + held.quarantined, orders=by_state),
        receive=_receive(settings.receive),
        queue=QueueView(waiting=queue.waiting, running=queue.running, urgent=queue.urgent, expected_s=queue.expected_s),
        paused=compute.paused,
        receiving_paused=settings.receive.paused,
        delivery_paused=settings.delivery.paused,
        mode=compute.mode,
        limits=compute.limits,
        workers=compute.workers,
        cluster=compute.scheduler,
    )


def _process(one: processes.Process, now: int) -> ProcessView:
    return ProcessView(
        kind=one.kind, pid=one.pid, started_at=iso(one.started_at), seen_at=iso(one.seen_at), alive=one.alive(now)
    )


def _receive(section: ReceiveSection) -> ReceiveView:
    return ReceiveView(
        ae_title=section.ae_title,
        host=section.host,
        port=section.port,
        addresses=_addresses() if section.host in _EVERY_ADDRESS else [section.host],
        open_to_everybody=not section.allowed_callers,
    )


def _addresses() -> list[str]:
    """The addresses of this machine that another one can reach."""
    import psutil

    found = [one.address for listed in psutil.net_if_addrs().values() for one in listed if one.family == socket.AF_INET]
    return [one for one in found if not one.startswith("127.")] or found


HANDLERS = (get_status,)
