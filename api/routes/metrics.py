"""The appliance in numbers for Prometheus, to tokens that may and to addresses of the settings (NOT-05)."""

from litestar import Response, get
from litestar.di import NamedDependency

from api.guards import declared
from api.visit import Visit
from appliance.records import deliveries, durations, orders, processes, pulls, studies
from appliance.upkeep import forecast, metrics

CONTENT_TYPE = "text/plain; version=0.0.4"
DAY_MS = 86_400_000


@get(
    "/metrics",
    operation_id="getMetrics",
    tags=["status"],
    media_type=CONTENT_TYPE,
    **declared("metrics.read", by_address=True),
)
async def get_metrics(visit: NamedDependency[Visit]) -> Response[bytes]:
    """The appliance in numbers, in Prometheus' text form; no label names a patient.

    For tokens whose role may read them, and without one for the addresses of the setting `metrics.addresses`.
    """
    found = (await visit.house.settings()).settings
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
        days_until_full=await forecast.of_disk(storage),
        paused={"processing": found.compute.paused, "receiving": found.receive.paused, "delivery": found.delivery.paused},
        unsettled_pulls=await pulls.unsettled(records),
    )
    return Response(metrics.text(numbers), media_type=CONTENT_TYPE)


HANDLERS = (get_metrics,)
