"""Who is asking, and may they: recognised once, checked on every route, denied by default.

Every route declares `permission=` (see `declared`); `create_app` fails for one that does not.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.openapi.datastructures import ResponseSpec

from api.problems import MEDIA_TYPE, ForeignOrigin, Problem
from appliance.access import sessions
from appliance.access.grants import recognise_grant
from appliance.access.permissions import OPEN, PERMISSIONS, NotPermitted, NotSignedIn, may
from appliance.access.sessions import Caller
from appliance.access.tokens import PREFIX, recognise_token
from appliance.addresses import is_within
from appliance.house import House
from appliance.moments import now_ms

COOKIE = "ranvier_session"
PORTAL_COOKIE = "ranvier_portal"
"""What whoever came with an upload code holds; browsers send it to the upload page only."""
CONSOLE_HEADER = "X-Ranvier"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Connection = ASGIConnection[Any, Any, Any, Any]


class UndeclaredPermission(RuntimeError):
    """A route without a permission of the table would be a hole in the front door: the app does not start."""


def declared(permission: str, *statuses: int, by_address: bool = False) -> dict[str, Any]:
    """What every route hands to its decorator: the permission, and the problems it may answer with.

    `by_address`: it is also open to who shows nothing and calls from an address of the setting `metrics.addresses`.
    """
    wanted = {400, 429, *statuses} | (set() if permission == OPEN else {401, 403})
    problems = {
        status: ResponseSpec(Problem, description=HTTPStatus(status).phrase, generate_examples=False, media_type=MEDIA_TYPE)
        for status in sorted(wanted)
    }
    settled: dict[str, Any] = {"opt": {"permission": permission, "by_address": by_address}, "responses": problems}
    return settled | ({"security": [{}]} if permission == OPEN else {})


class Recognition(AbstractAuthenticationMiddleware):
    """Puts the caller into `connection.user`: by cookie, by the same value as a bearer token, or by an API token."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """Nobody is a valid answer here; the guard decides whether that is enough."""
        house: House = connection.app.state.house
        now = now_ms()
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and bearer:
            if bearer.startswith(PREFIX):
                return AuthenticationResult(user=await recognise_token(house.keys, bearer, now), auth="token")
            granted = await recognise_grant(house.keys, bearer, now)
            if granted is not None:
                return AuthenticationResult(user=granted, auth="token")
            return AuthenticationResult(user=await self._person(connection, house, bearer, now), auth="bearer")
        portal = connection.cookies.get(PORTAL_COOKIE, "") if connection.scope["path"].startswith("/portal/") else ""
        uploader = sessions.of_upload_token(house.keys, portal, now) if portal else None
        if uploader is not None:
            return AuthenticationResult(user=uploader, auth="cookie")
        cookie = connection.cookies.get(COOKIE, "")
        found = await self._person(connection, house, cookie, now) if cookie else None
        if found is None and connection.route_handler.opt.get("by_address"):
            return AuthenticationResult(user=await self._monitor(connection, house), auth="address")
        return AuthenticationResult(user=found, auth="cookie")

    async def _monitor(self, connection: Connection, house: House) -> Caller | None:
        """A machine that the settings know by its address, for this one route."""
        address = connection.client.host if connection.client else ""
        if not is_within(address, (await house.settings()).settings.metrics.addresses):
            return None
        scopes = frozenset({connection.route_handler.opt["permission"]})
        return Caller(id=address, name=address, role="service", by="address", scopes=scopes, slides=False)

    async def _person(self, connection: Connection, house: House, value: str, now: int) -> Caller | None:
        caller = await sessions.recognise(house.keys, value, now)
        if caller is None or not caller.slides or now - caller.seen_at < sessions.TOUCH_MS:
            return caller
        section = (await house.settings()).settings.access
        moved = await sessions.slide(house.keys, section, caller, now)
        connection.scope["state"]["fresh_cookie"] = (moved.cookie, section.idle_hours * 3600)
        return moved.caller


async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Lets a request through to its handler, or raises `NotSignedIn`, `NotPermitted`, `ForeignOrigin`,
    `TooManyRequests`.

    It waits for nothing, but the framework would send a plain function to a thread and back for each request.
    """
    if connection.scope.get("method") == "OPTIONS":
        return
    permission = handler.opt.get("permission")
    _take_turn(connection)
    if not handler.opt.get("from_elsewhere"):
        _same_origin(connection)
    if permission == OPEN:
        return
    caller = connection.scope.get("user")
    if not isinstance(caller, Caller):
        raise NotSignedIn()
    if not permission or not may(caller.role, permission) or (caller.scopes and permission not in caller.scopes):
        raise NotPermitted(permission=permission)


def _take_turn(connection: Connection) -> None:
    """One call of whoever asks: an account or token by itself, everybody else by address."""
    caller = connection.scope.get("user")
    address = connection.client.host if connection.client else ""
    connection.app.state.calls.take(caller.id if isinstance(caller, Caller) else address, now_ms())


def _same_origin(connection: Connection) -> None:
    """Changes by cookie need a header that no foreign page can send, or an origin that is ours."""
    if connection.scope.get("method") in _SAFE:
        return
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host", ""):
        raise ForeignOrigin()
    if connection.headers.get("sec-fetch-site", "none") in ("cross-site", "same-site"):
        raise ForeignOrigin()
    if connection.scope.get("user") is None or connection.scope.get("auth") != "cookie":
        return
    if origin is None and not connection.headers.get(CONSOLE_HEADER.lower()):
        raise ForeignOrigin()


def check_routes(app: Litestar) -> None:
    """Raises `UndeclaredPermission` for a route whose permission is missing or not in the table."""
    for route in app.routes:
        handlers = getattr(route, "route_handlers", None) or [route.route_handler]  # type: ignore[union-attr]
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"OPTIONS"}:
                continue
            permission = handler.opt.get("permission")
            if permission != OPEN and permission not in PERMISSIONS:
                raise UndeclaredPermission(f"{route.path} declares {permission!r}")
