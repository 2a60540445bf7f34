"""Deliveries: send again; send a study on."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.fill import delivery_view
from api.guards import declared
from api.views import DeliveryView
from api.visit import Visit
from appliance import pipeline, sending
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


class SendingAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where to: a study destination of the settings, by its name."""

    destination: Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["archive"])]


@post(
    "/api/orders/{order:str}/send",
    operation_id="sendStudy",
    tags=["orders"],
    status_code=202,
    **declared("deliveries.resend", 404, 409, 422),
)
async def send_study(visit: NamedDependency[Visit], order: FromPath[str], data: JSONBody[SendingAsked]) -> DeliveryView:
    """Sends the de-identified images of an order to an archive, again if they were sent before."""
    found = await visit.id_of("order", order)
    async with visit.audited("delivery.send", found, data.destination):
        row = await sending.ask(visit.house, found, data.destination, actor=visit.caller.name, now=visit.now)
    return delivery_view(row)


HANDLERS = (resend, send_study)
