"""Deliveries: send again, and test a destination before it is saved."""

import asyncio
from typing import Any

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.fill import delivery_view
from api.guards import declared
from api.views import DeliveryView, ProbeView
from api.visit import Visit
from appliance import pipeline, settings
from appliance.delivery.destinations import probe
from appliance.records import deliveries

TEST_S = 15.0


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


@post("/api/delivery/test", operation_id="testDelivery", tags=["results"], status_code=200, **declared("deliveries.test", 422))
async def test_delivery(visit: NamedDependency[Visit], data: JSONBody[dict[str, Any]]) -> ProbeView:
    """Tests a destination as it stands in the form; nothing is saved, no report is sent. Answers within 15 seconds."""
    loaded = await visit.house.settings()
    destination = settings.destination_from(loaded.settings, data)
    try:
        async with asyncio.timeout(TEST_S):
            found = await probe(destination)
    except TimeoutError:
        await visit.note("delivery.test", destination.name, "timeout")
        return ProbeView(ok=False, lines=[f"No answer within {TEST_S:.0f} s."])
    await visit.note("delivery.test", destination.name, "done" if found.ok else "failed")
    return msgspec.convert(msgspec.to_builtins(found), ProbeView)


HANDLERS = (resend, test_delivery)
