"""One request as a handler sees it: the house, who asks, when, from where; and the audit of what they do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.datastructures import State

from api.stream import Feed
from appliance import audit
from appliance.access import sessions
from appliance.access.lockout import Strangers
from appliance.access.permissions import NotPermitted, NotSignedIn, may
from appliance.access.saml_setup import is_local
from appliance.access.sessions import Caller
from appliance.errors import RanvierError
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import lookup
from appliance.records.lookup import Kind


@dataclass(frozen=True, slots=True)
class Visit:
    """What every handler is given."""

    house: House
    feed: Feed
    strangers: Strangers
    somebody: Caller | None
    now: int
    origin: str
    """The address the request came from."""
    secure: bool
    """Whether it came over TLS."""
    forwarded: bool = False
    """Whether somebody handed it on, a proxy on this machine perhaps."""

    @property
    def caller(self) -> Caller:
        """Who asks; the guard has let nobody else through."""
        if self.somebody is None:
            raise NotSignedIn()
        return self.somebody

    @property
    def here(self) -> bool:
        """Whether the caller sits at the machine itself; nobody does who was forwarded by somebody."""
        return is_local(self.origin) and not self.forwarded

    async def sign_out(self) -> None:
        """Ends the caller's session at once."""
        await sessions.sign_out(self.caller)
        await self.note("sign-out", "")

    async def id_of(self, kind: Kind, digits: str) -> str:
        """The full identifier for the digits in a path; raises `Unknown`, `Ambiguous`."""
        return await lookup.full_id(self.house.records, kind, digits)

    def once(self, what: str, idempotency_key: str) -> str:
        """A digest for what an idempotency key makes; empty without one. Keys of different callers never meet."""
        return self.house.keys.digest("idempotency", f"{what}/{self.caller.id}/{idempotency_key}") if idempotency_key else ""

    def require_own(self, owner: str, permission: str) -> None:
        """Raise `NotPermitted` unless the caller owns it or has the permission for everybody's."""
        if owner != self.caller.name and not may(self.caller.role, permission):
            raise NotPermitted(permission=permission)

    async def note(self, action: str, target: str, result: str = "done", detail: str = "") -> None:
        """Writes into the audit that the caller did something."""
        await audit.append(self.caller.name, action, target, result, self.origin, self.now, detail)

    @asynccontextmanager
    async def audited(self, action: str, target: str, detail: str = "") -> AsyncIterator[None]:
        """Writes into the audit what is done in this block, and what was refused."""
        try:
            yield
        except RanvierError as refused:
            await self.note(action, target, refused.code, detail)
            raise
        await self.note(action, target, "done", detail)


async def provide_visit(request: Request[Any, Any, Any], state: State) -> Visit:
    """Makes the `visit` of a handler."""
    user = request.scope.get("user")
    return Visit(
        house=state.house,
        feed=state.feed,
        strangers=state.strangers,
        somebody=user if isinstance(user, Caller) else None,
        now=now_ms(),
        origin=request.client.host if request.client else "",
        secure=request.scope["scheme"] == "https",
        forwarded=any(request.headers.get(name) for name in ("forwarded", "x-forwarded-for", "via")),
    )
