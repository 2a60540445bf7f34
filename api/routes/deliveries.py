"""Deliveries: send again."""

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.fill import delivery_view
from api.guards import declared
from api.views import DeliveryView
from api.visit import Visit
from appliance import pipeline
from appliance.records import deliveries


@post(
    "/api/deliveries/{delivery:str}/resend",
    operation_id="resend",
    tags=["results"],
    status_code=202,
    **declared("deliveries.resend", 404, 409),
)
async def resend(visit: NamedDependency[Visit], delivery: FromPath[str]) -> DeliveryView:
    """Sends a report to one destination again, with new attempts."""
    found = await visit.id_of("delivery", delivery)
    async with visit.audited("delivery.resend", found):
        await pipeline.resend(visit.house, found, actor=visit.caller.name, now=visit.now)
    return delivery_view(await deliveries.get(found))


HANDLERS = (resend,)
