"""The SDK protocol (family A) as the vendor's clients speak it: encrypted JSON as text, errors as `{"error": sentence}`.

Every path is answered with and without its last slash. Statuses are those that the clients ask for.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from litestar import HttpMethod, Request, Response, Router, get, post, put, route
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from api.cloud_routes.browsers import shared_with_pages
from api.limits import Bucket
from api.problems import TooManyRequests, status_of
from appliance import audit, hub_intake
from appliance.access.permissions import OPEN
from appliance.addresses import is_loopback
from appliance.errors import RanvierError
from appliance.hosting import Client, Host
from appliance.house import House
from appliance.hub.errors import ApiKeyUnknown, ConnectionOver, HubNeedsTls, Unreadable
from appliance.hub.session import closed, opened
from appliance.moments import now_ms
from appliance.receive.posted import Postbox

ROOT = "/cloud"
PLAIN = "text/plain"
_BLOCK = 1 << 20

log = logging.getLogger(__name__)


CALLS_AT_ONCE = 500
CALL_EVERY_MS = 50


class Counter(Host):
    """The hub's host behind HTTP: how often a key may call."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.calls = Bucket(CALLS_AT_ONCE, CALL_EVERY_MS)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a connected client."""

    house: House
    host: Host
    box: Postbox
    client: Client
    asked: dict[str, Any]
    base: str
    now: int

    def of(self, name: str) -> Any:
        """A field of the request; raises `Unreadable` when it is missing."""
        try:
            return self.asked[name]
        except KeyError:
            raise Unreadable() from None


def refused(request: Request[Any, Any, Any], error: RanvierError) -> Response[dict[str, str]]:
    """An error of the house as clients read it: the sentence and nothing else."""
    status = 401 if isinstance(error, ApiKeyUnknown | ConnectionOver) else status_of(error)
    if status >= 500:
        log.error("%s", error.what, extra={"code": error.code})
    wait = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TooManyRequests) else {}
    return Response({"error": error.what}, status_code=status, headers=wait)


def of_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, str]]:
    """An error of the web framework in the same form."""
    return Response({"error": "The request is not of the form that this address takes."}, status_code=error.status_code)


def unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    """The last handler: the log has the place."""
    log.error("unforeseen %s", type(error).__name__, exc_info=error, extra={"code": "unforeseen"})
    return Response({"error": "Something went wrong inside the hub."}, status_code=500)


async def _admitted(request: Request[Any, Any, Any], state: State) -> Counter:
    """Whoever may speak with the hub at all; raises `HubOff`, `HubNeedsTls`."""
    host: Counter = state.host
    await host.require_on()
    address = request.client.host if request.client else ""
    if request.url.scheme != "https" and not is_loopback(address):
        raise HubNeedsTls()
    return host


@get("/api/getPubKey")
async def public_key(request: Request[Any, Any, Any], state: State) -> dict[str, str]:
    """The key that session keys are encrypted for."""
    host = await _admitted(request, state)
    return {"pub_key": (await host.pair()).public_pem}


@get("/api/newJob")
async def new_job(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """A new order."""
    host, now = await _admitted(request, state), now_ms()
    client = await host.client(request.headers.get("connection-id", ""), now)
    host.calls.take(client.token, now)
    return _sealed(client, {"orderId": await host.new_order(client, now)}, 201)


@post("/api/{name:str}", status_code=200)
async def call(request: Request[Any, Any, Any], state: State, name: FromPath[str]) -> Response[Any]:
    """Every other call of the protocol."""
    host, now = await _admitted(request, state), now_ms()
    if name == "connect":
        return await _connect(request, state, host, now)
    client = await host.client(request.headers.get("connection-id", ""), now)
    host.calls.take(client.token, now)
    kind = CALLS.get(name)
    if kind is None:
        raise HTTPException(status_code=404)
    asked = opened(client.key, await request.body())
    base = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}{ROOT}"
    found = await kind.function(Call(state.house, host, state.postbox, client, asked, base, now))
    if kind.audited:
        await audit.append(client.name, f"hub.{name}", str(asked.get("orderId", ""))[:64], "done", _address(request), now)
    return _sealed(client, found, kind.status)


async def _connect(request: Request[Any, Any, Any], state: State, host: Counter, now: int) -> Response[Any]:
    state.sign_ins.take(_address(request), now)
    api_key = request.headers.get("x-api-key", "")
    try:
        session, client = await host.connect(api_key, await request.body(), now)
    except ApiKeyUnknown:
        await audit.append("", "hub.connect", "", "refused", _address(request), now)
        raise
    await audit.append(client.name, "hub.connect", "", "done", _address(request), now)
    return Response({"connectionId": session}, status_code=200)


def _address(request: Request[Any, Any, Any]) -> str:
    return request.client.host if request.client else ""


def _sealed(client: Client, found: dict[str, Any] | str | bytes, status: int) -> Response[bytes]:
    plain = json.dumps(found).encode() if isinstance(found, dict) else found.encode() if isinstance(found, str) else found
    return Response(closed(client.key, plain), status_code=status, media_type=PLAIN)


async def _begin(call: Call) -> dict[str, Any]:
    order = await hub_intake.own(call.of("orderId"), call.client.token)
    return {"uploadId": await hub_intake.begin(order, hub_intake.integer(call.of("zipIndex")), call.now)}


async def _presign(call: Call) -> dict[str, Any]:
    order = await hub_intake.own(call.of("orderId"), call.client.token)
    part = hub_intake.integer(call.of("partNumber"))
    return {"presignedUrl": call.base + await hub_intake.address(call.house, order, call.of("uploadId"), part, call.now)}


async def _complete(call: Call) -> dict[str, Any]:
    order = await hub_intake.own(call.of("orderId"), call.client.token)
    named = call.of("uploadParts")
    if not isinstance(named, list) or not all(isinstance(one, dict) for one in named):
        raise Unreadable()
    parts = [(hub_intake.integer(one.get("PartNumber")), str(one.get("ETag", "")).strip('"')) for one in named]
    final = str(call.asked.get("finalPart", "0")) == "1"
    await hub_intake.complete(call.house, call.box, order, call.of("uploadId"), parts, final=final)
    return {}


async def _run(call: Call) -> dict[str, Any]:
    await call.host.run(call.client, call.of("orderId"), call.of("productName"), call.now)
    return {}


async def _status(call: Call) -> dict[str, Any]:
    return await call.host.status(call.client, call.of("orderId"))


async def _results(call: Call) -> bytes:
    return await call.host.results(call.client, call.of("orderId"), call.of("format"))


async def _quality(call: Call) -> str:
    return await call.host.quality(call.client, call.of("orderId"), call.of("format"))


async def _usage(call: Call) -> str:
    return await call.host.usage(call.client, call.of("startDate"), call.of("endDate"), call.of("format"))


@dataclass(frozen=True, slots=True)
class Kind:
    """One call: what answers it, with which status, and whether the audit has it."""

    function: Callable[[Call], Awaitable[dict[str, Any] | str | bytes]]
    status: int = 200
    audited: bool = False


CALLS = {
    "multipartUploadRequest": Kind(_begin),
    "multipartPresignedUrl": Kind(_presign),
    "completeMultipartUpload": Kind(_complete, audited=True),
    "runJob": Kind(_run, 202, audited=True),
    "checkStatus": Kind(_status),
    "getResults": Kind(_results, audited=True),
    "qcCheck": Kind(_quality),
    "getReport": Kind(_usage),
}


@put("/objects/{order:str}/{upload:str}", status_code=200, request_max_body_size=None)
async def put_object(
    request: Request[Any, Any, Any], state: State, order: FromPath[str], upload: FromPath[str]
) -> Response[None]:
    """One part, to a presigned address: who has the address needs nothing else."""
    await _admitted(request, state)
    asked = request.query_params
    part, until = hub_intake.integer(asked.get("partNumber")), asked.get("expires", "")
    if not (until.isascii() and until.isdigit() and len(until) < 16):
        raise Unreadable()
    signed = asked.get("signature", "")
    writer = await hub_intake.writer(state.house, order, upload, part, int(until), signed, now_ms())
    try:
        waiting: list[bytes] = []
        async for piece in request.stream():
            waiting.append(piece)
            if sum(map(len, waiting)) >= _BLOCK:
                await asyncio.to_thread(writer.add, b"".join(waiting))
                waiting.clear()
        await asyncio.to_thread(writer.add, b"".join(waiting))
        etag = await asyncio.to_thread(writer.finish)
    finally:
        await asyncio.to_thread(writer.close)
    return Response(None, status_code=200, headers={"ETag": f'"{etag}"'})


@route(
    ["/api/getPubKey", "/api/newJob", "/api/{name:str}", "/objects/{order:str}/{upload:str}"],
    http_method=[HttpMethod.OPTIONS],
    status_code=204,
)
async def preflight(request: Request[Any, Any, Any], state: State) -> None:
    """What a browser asks before the script of a page may call."""
    await _admitted(request, state)


ROUTER = Router(
    ROOT,
    route_handlers=[public_key, new_job, call, put_object, preflight],
    middleware=[shared_with_pages],
    include_in_schema=False,
    opt={"permission": OPEN, "from_elsewhere": True},
    exception_handlers={RanvierError: refused, HTTPException: of_http, Exception: unforeseen},
)
