"""What stands in the head of every answer: the request's identifier, the security headers, a session cookie that slid on."""

import secrets
from typing import TYPE_CHECKING

from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.enums import ScopeType

from api.guards import COOKIE

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

_NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_DOCS = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_FEATURES = (
    "accelerometer",
    "autoplay",
    "camera",
    "cross-origin-isolated",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "keyboard-map",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "sync-xhr",
    "usb",
    "web-share",
    "xr-spatial-tracking",
)
_MANUAL = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_PORTAL = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_POLICIES = {"/api-docs": _DOCS.encode(), "/docs": _MANUAL.encode(), "/portal": _PORTAL.encode()}
"""Path -> what a page there may load; everywhere else nothing."""
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-DNS-Prefetch-Control": "off",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
}
"""What the OWASP Secure Headers project asks of every answer; nothing here needs a feature of a browser."""
_STANDING = {name.lower().encode(): value.encode() for name, value in _ALWAYS.items()}
_NOT_KEPT = {**_STANDING, b"cache-control": b"no-store"}
HSTS = "max-age=31536000"


def standing_headers() -> dict[str, str]:
    """The security headers of an answer that no handler gave."""
    return {**_ALWAYS, "Content-Security-Policy": _NOTHING, "Cache-Control": "no-store"}


def number_requests(app: "ASGIApp") -> "ASGIApp":
    """Gives every request an identifier, before anything can go wrong with it."""

    async def numbered(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == ScopeType.HTTP:
            scope.setdefault("state", {})["request_id"] = secrets.token_hex(8)
        await app(scope, receive, send)

    return numbered


def session_cookie(value: str, seconds: int, *, secure: bool) -> Cookie:
    """The session cookie; an empty value takes it away."""
    return Cookie(
        key=COOKIE, value=value, path="/", httponly=True, samesite="strict", secure=secure, max_age=seconds if value else 0
    )


async def before_send(message: "Message", scope: "Scope") -> None:
    """Completes the head of an answer."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    if scope.get("method") == "OPTIONS" and "allow" in headers:
        headers["Allow"] = _methods(scope)
    state, path = scope.get("state", {}), scope["path"]
    # Written once and put in as they are: each of them set by name would go through all the others.
    ours = _STANDING if path.startswith(("/api-docs/assets/", "/portal/assets/")) else _NOT_KEPT
    policies = (policy for place, policy in _POLICIES.items() if path == place or path.startswith(f"{place}/"))
    found = [one for one in headers.headers if one[0].lower() not in ours]
    found += ours.items()
    found.append((b"content-security-policy", next(policies, _NOTHING.encode())))
    found.append((b"x-request-id", str(state.get("request_id", "")).encode()))
    if scope["scheme"] == "https" and scope["litestar_app"].state.presented.hsts:
        found.append((b"strict-transport-security", HSTS.encode()))
    headers.headers[:] = found
    fresh = state.get("fresh_cookie")
    if fresh and not any(value.startswith(f"{COOKIE}=") for value in headers.getall("set-cookie", [])):
        cookie = session_cookie(*fresh, secure=scope["scheme"] == "https")
        headers.add("set-cookie", cookie.to_header(header=""))


def _methods(scope: "Scope") -> str:
    """Every method of an address: the framework names those of one of its handlers only."""
    template = scope["path_template"]
    found = {str(one) for route in scope["litestar_app"].routes if route.path_format == template for one in route.methods}
    return ", ".join(sorted(found))
