"""Orders: open, look at, cancel, give metadata, let past QC, retry."""

from typing import Annotated

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody

from api.conditional import IfMatch, require_unchanged
from api.fill import order_by_id, order_view
from api.guards import declared
from api.routes.asked import Cursor, Filter, Limit, Number, Sort, asked, whole
from api.views import OrderList, OrderView
from api.visit import Visit
from appliance import pipeline
from appliance.errors import Conflict, Unknown
from appliance.records import details, lists, orders


class OrderAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Start work on a study; no products means the default ones."""

    study: str
    products: list[str] = []
    priority: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0


class MetadataGiven(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Age (`63`, `063Y`, `90+`) or sex (`F`, `M`) that the images lack."""

    age: Annotated[str, msgspec.Meta(max_length=8)] = ""
    sex: Annotated[str, msgspec.Meta(max_length=8)] = ""


class Reason(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Why an order may go on in spite of quality control."""

    reason: Annotated[str, msgspec.Meta(max_length=500)]


class BypassAsked(Reason, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The same, with the order, or the study whose newest order is meant."""

    order: str = ""
    study: str = ""


class KeyUsedElsewhere(Conflict):
    """This idempotency key was used for another study."""

    code = "idempotency-key-used"
    next_step = "Use a new key for each order."


@post("/api/orders", operation_id="openOrder", tags=["orders"], **declared("orders.create", 404, 409, 422))
async def open_order(
    visit: NamedDependency[Visit],
    data: JSONBody[OrderAsked],
    idempotency_key: Annotated[
        str, HeaderParameter(name="Idempotency-Key", max_length=128, description="The same key opens one order only.")
    ] = "",
) -> OrderView:
    """Starts work on a complete study."""
    study = await visit.id_of("study", data.study)
    # Keys of different callers never meet; the digest also fits the column.
    key = visit.house.keys.digest("idempotency", f"{visit.caller.id}/{idempotency_key}") if idempotency_key else ""
    async with visit.audited("order.open", study):
        order = await pipeline.open_order(
            visit.house,
            study,
            actor=visit.caller.name,
            now=visit.now,
            products=data.products,
            priority=data.priority,
            idempotency_key=key,
        )
        view = await order_by_id(order)
        if view.study != study:
            raise KeyUsedElsewhere()
    return view


@get("/api/orders", operation_id="listOrders", tags=["orders"], **declared("orders.read"))
async def list_orders(
    visit: NamedDependency[Visit],
    filter_text: Filter = "",
    sort: Sort = "-created",
    cursor: Cursor = "",
    limit: Limit = 200,
    page: Number = 1,
) -> OrderList:
    """A page of orders."""
    found = await lists.order_ids_page(visit.house.records, asked(filter_text, sort, cursor, limit, page), visit.now)
    items = [order_view(one) for one in await details.of_orders(found.items)]
    return OrderList(items=items, **whole(found, limit))


@get("/api/orders/{order:str}", operation_id="getOrder", tags=["orders"], **declared("orders.read", 404))
async def get_order(visit: NamedDependency[Visit], order: FromPath[str]) -> OrderView:
    """One order with its runs, reports and deliveries."""
    return await order_by_id(await visit.id_of("order", order))


async def _as_seen(visit: Visit, digits: str, if_match: str) -> str:
    """The order's identifier; raises `OrderChanged` when it is no longer as the caller saw it."""
    found = await visit.id_of("order", digits)
    if if_match:
        require_unchanged(await order_by_id(found), if_match)
    return found


@post(
    "/api/orders/{order:str}/metadata",
    operation_id="giveMetadata",
    tags=["orders"],
    status_code=200,
    **declared("orders.metadata", 404, 409, 412, 422),
)
async def give_metadata(
    visit: NamedDependency[Visit], order: FromPath[str], data: JSONBody[MetadataGiven], if_match: IfMatch = ""
) -> OrderView:
    """Takes age or sex from a person and runs QC again; the audit names the fields, not the values."""
    found = await _as_seen(visit, order, if_match)
    given = " ".join(name for name, value in (("age", data.age), ("sex", data.sex)) if value)
    async with visit.audited("order.metadata", found, given):
        await pipeline.give_metadata(visit.house, found, actor=visit.caller.name, now=visit.now, age=data.age, sex=data.sex)
    return await order_by_id(found)


@post(
    "/api/orders/{order:str}/retry",
    operation_id="retryOrder",
    tags=["orders"],
    status_code=200,
    **declared("orders.retry", 404, 409, 412),
)
async def retry_order(visit: NamedDependency[Visit], order: FromPath[str], if_match: IfMatch = "") -> OrderView:
    """Takes an ended or held order up again."""
    found = await _as_seen(visit, order, if_match)
    async with visit.audited("order.retry", found):
        await pipeline.retry(visit.house, found, actor=visit.caller.name, now=visit.now)
    return await order_by_id(found)


@post(
    "/api/orders/{order:str}/cancel",
    operation_id="cancelOrder",
    tags=["orders"],
    status_code=200,
    **declared("orders.cancel", 404, 409, 412),
)
async def cancel_order(visit: NamedDependency[Visit], order: FromPath[str], if_match: IfMatch = "") -> OrderView:
    """Ends an order at any point: one's own, or any for an administrator."""
    found = await _as_seen(visit, order, if_match)
    async with visit.audited("order.cancel", found):
        visit.require_own((await orders.get(found)).owner, "orders.cancel-any")
        await pipeline.cancel(visit.house, found, actor=visit.caller.name, now=visit.now)
    return await order_by_id(found)


async def _bypass(visit: Visit, order: str, reason: str) -> OrderView:
    async with visit.audited("order.bypass-qc", order, reason):
        await pipeline.bypass(visit.house, order, actor=visit.caller.name, reason=reason, now=visit.now)
    return await order_by_id(order)


@post(
    "/api/orders/{order:str}/bypass",
    operation_id="bypassQc",
    tags=["orders"],
    status_code=200,
    **declared("orders.bypass", 404, 409, 412, 422),
)
async def bypass_in_path(
    visit: NamedDependency[Visit], order: FromPath[str], data: JSONBody[Reason], if_match: IfMatch = ""
) -> OrderView:
    """Lets an order past a failed QC; the report says so on its first page."""
    return await _bypass(visit, await _as_seen(visit, order, if_match), data.reason)


async def _bypass_named(visit: Visit, data: BypassAsked) -> OrderView:
    if data.order:
        return await _bypass(visit, await visit.id_of("order", data.order), data.reason)
    rows = await orders.of_study(await visit.id_of("study", data.study))
    if not rows:
        raise Unknown(kind="order of this study")
    return await _bypass(visit, rows[0].id, data.reason)


@post(
    "/api/bypass-qc",
    operation_id="bypassQcByBody",
    tags=["orders"],
    status_code=200,
    **declared("orders.bypass", 404, 409, 422),
)
async def bypass_in_body(visit: NamedDependency[Visit], data: JSONBody[BypassAsked]) -> OrderView:
    """The same, with the order or its study in the body."""
    return await _bypass_named(visit, data)


@put("/api/bypass-qc", operation_id="putBypassQc", tags=["orders"], **declared("orders.bypass", 404, 409, 422))
async def put_bypass(visit: NamedDependency[Visit], data: JSONBody[BypassAsked]) -> OrderView:
    """The same, for clients that use PUT."""
    return await _bypass_named(visit, data)


HANDLERS = (
    open_order,
    list_orders,
    get_order,
    give_metadata,
    retry_order,
    cancel_order,
    bypass_in_path,
    bypass_in_body,
    put_bypass,
)
