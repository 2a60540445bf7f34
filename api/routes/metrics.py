"""The appliance in numbers for Prometheus, to tokens that may and to addresses of the settings (NOT-05)."""

import ipaddress
from collections.abc import Sequence

from litestar import Response, get
from litestar.di import NamedDependency

from api.guards import declared
from api.visit import Visit
from appliance.access.permissions import OPEN, NotPermitted, NotSignedIn, may
from appliance.records import deliveries, disk, durations, orders, processes, pulls, studies
from appliance.upkeep import metrics
from appliance.upkeep.forecast import days_until_full

CONTENT_TYPE = "text/plain; version=0.0.4"
DAY_MS = 86_400_000
PERMISSION = "metrics.read"


@get("/metrics", operation_id="getMetrics", tags=["status"], media_type=CONTENT_TYPE, **declared(OPEN, 401, 403))
async def get_metrics(visit: NamedDependency[Visit]) -> Response[bytes]:
    """The appliance in numbers, in Prometheus' text form; no label names a patient.

    For tokens whose role may read them, and without one for the addresses of the setting `metrics.addresses`.
    """
    found = (await visit.house.settings()).settings
    _admit(visit, found.metrics.addresses)
    records, storage = visit.house.records, visit.house.storage
    held, queue = await studies.counts(records), await durations.queue(records, workers=found.compute.workers, now=visit.now)
    numbers = metrics.Numbers(
        site=found.site.name,
        now=visit.now,
        studies={"RECEIVING": held.receiving, "STABLE": held.stable, "QUARANTINED": held.quarantined},
        orders=await orders.counts(records),
        deliveries=await deliveries.counts(records),
        waiting=queue.waiting,
        running=queue.running,
        urgent=queue.urgent,
        expected_s=queue.expected_s,
        processes=await processes.everyone(visit.now - DAY_MS),
        free_bytes=storage.free_bytes(),
        total_bytes=storage.total_bytes(),
        days_until_full=days_until_full(await disk.samples(), storage.free_bytes(), storage.reserve_size() // 4),
        paused={"processing": found.compute.paused, "receiving": found.receive.paused, "delivery": found.delivery.paused},
        unsettled_pulls=await pulls.unsettled(records),
    )
    return Response(metrics.text(numbers), media_type=CONTENT_TYPE)


def _admit(visit: Visit, addresses: Sequence[str]) -> None:
    """Raises `NotSignedIn` or `NotPermitted` unless the caller may read or calls from an address that may."""
    caller = visit.somebody
    if caller is not None and may(caller.role, PERMISSION) and (not caller.scopes or PERMISSION in caller.scopes):
        return
    if any(_inside(visit.origin, one) for one in addresses):
        return
    if caller is None:
        raise NotSignedIn()
    raise NotPermitted(permission=PERMISSION)


def _inside(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


HANDLERS = (get_metrics,)
