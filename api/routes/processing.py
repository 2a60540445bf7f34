"""Processing: which products there are, pause and resume, how urgent an order is, and the bundle of one that keeps crashing."""

import asyncio
from typing import Literal

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.fill import order_by_id
from api.guards import declared
from api.house_views import ProcessingView, ProductView
from api.views import OrderView
from api.visit import Visit
from appliance import pipeline, support
from appliance.errors import Unknown
from appliance.products import catalogue, faults


class Urgency(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How urgent an order is."""

    priority: Literal["routine", "urgent"]


@get("/api/products", operation_id="listProducts", tags=["processing"], **declared("status.read"))
async def list_products(visit: NamedDependency[Visit]) -> list[ProductView]:
    """Every installed product, the site's own among them, and why one is not offered."""
    home, mode = visit.house.home, (await visit.house.settings()).settings.compute.mode
    found = [
        ProductView(
            product=one.id,
            version=one.version,
            title=one.title,
            intended_use=one.intended_use,
            own=bool(one.folder),
            offered=mode in one.runs_on,
            reason="" if mode in one.runs_on else f"It does not run in processing mode {mode}.",
            memory_mb=one.memory_mb,
            cores=one.cores,
            timeout_s=one.timeout_s,
        )
        for one in catalogue(home).values()
    ]
    wrong = [ProductView(product=name, own=True, offered=False, reason=why) for name, why in sorted(faults(home).items())]
    return [*found, *wrong]


@post(
    "/api/processing/pause",
    operation_id="pauseProcessing",
    tags=["processing"],
    status_code=200,
    **declared("settings.write", 409),
)
async def pause(visit: NamedDependency[Visit]) -> ProcessingView:
    """Starts no further stage; what runs is finished, and studies are still received."""
    return await _set(visit, True)


@post(
    "/api/processing/resume",
    operation_id="resumeProcessing",
    tags=["processing"],
    status_code=200,
    **declared("settings.write", 409),
)
async def resume(visit: NamedDependency[Visit]) -> ProcessingView:
    """Goes on with what waits."""
    return await _set(visit, False)


async def _set(visit: Visit, paused: bool) -> ProcessingView:
    async with visit.audited("processing.pause" if paused else "processing.resume", "settings/compute"):
        await pipeline.set_paused(visit.house, paused, actor=visit.caller.name, now=visit.now)
    return ProcessingView(paused=paused)


@put(
    "/api/orders/{order:str}/priority",
    operation_id="setPriority",
    tags=["orders"],
    **declared("orders.priority", 404, 409, 422),
)
async def set_priority(visit: NamedDependency[Visit], order: FromPath[str], data: JSONBody[Urgency]) -> OrderView:
    """Makes an order that has not ended urgent or routine."""
    found = await visit.id_of("order", order)
    async with visit.audited("order.priority", found, data.priority):
        number = pipeline.URGENT if data.priority == "urgent" else pipeline.ROUTINE
        await pipeline.set_priority(visit.house, found, priority=number, actor=visit.caller.name, now=visit.now)
    return await order_by_id(found)


@get(
    "/api/orders/{order:str}/support-bundle",
    operation_id="getSupportBundle",
    tags=["orders"],
    media_type="application/zip",
    **declared("orders.support", 404),
)
async def get_support_bundle(visit: NamedDependency[Visit], order: FromPath[str]) -> Response[bytes]:
    """The bundle of an order that was put aside because its stages kept crashing; it names no patient."""
    found = await visit.id_of("order", order)
    path = visit.house.storage.quarantine(found) / support.BUNDLE
    if not path.is_file():
        raise Unknown(kind="support bundle of an order")
    headers = {"Content-Disposition": f'attachment; filename="{found}-{support.BUNDLE}"'}
    return Response(await asyncio.to_thread(path.read_bytes), media_type="application/zip", headers=headers)


HANDLERS = (list_products, pause, resume, set_priority, get_support_bundle)
