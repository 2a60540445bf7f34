"""Web pages of other origins that may use the hub, as far as the settings name them (CORS, Fetch Standard section 3.2)."""

from typing import TYPE_CHECKING

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from appliance.house import House

_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Connection-Id, Origin-Type, X-Api-Key",
    # Without it a script does not see the ETag of the part that it put.
    "Access-Control-Expose-Headers": "ETag",
    "Access-Control-Max-Age": "600",
}


def shared_with_pages(app: "ASGIApp") -> "ASGIApp":
    """Lets the pages of the setting read answers; errors too, which clients show word by word. No cookie counts here."""

    async def shared(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        origin = Headers.from_scope(scope).get("origin", "")
        house: House = scope["litestar_app"].state.house
        allowed = bool(origin) and origin in (await house.settings()).settings.hub.origins

        async def told(message: "Message") -> None:
            if message["type"] == "http.response.start" and allowed:
                headers = MutableScopeHeaders.from_message(message)
                headers["Access-Control-Allow-Origin"] = origin
                headers["Vary"] = "Origin"
                for name, value in _ALLOWED.items():
                    headers[name] = value
            await send(message)

        await app(scope, receive, told)

    return shared
