"""What is settled before a request reaches the app: by which name it called us, and whether it may come over plain HTTP."""

import asyncio
import ipaddress
import re
from typing import TYPE_CHECKING, Any

from litestar.enums import ScopeType

from api.conversation import problem_body
from api.headers import standing_headers

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from api.presented import Presented

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_SAFE = ("GET", "HEAD")
PIECE = 32_768


def check_host(app: "ASGIApp", presented: "Presented") -> "ASGIApp":
    """Refuses a request that calls us by a name that is none, or none of ours (RFC 9110 section 7.2, RFC 9112 section 3.2).

    Whoever lets a name of theirs lead here cannot make a browser speak with us under it (DNS rebinding).
    """

    async def checked(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == ScopeType.HTTP:
            named = [value for name, value in scope["headers"] if name == b"host"]
            host = _HOST.fullmatch(named[0].decode("latin-1")) if len(named) == 1 else None
            if len(named) > 1 or (named and host is None):
                await answer(send, 400, "bad-request", "The request names no host, or several.")
                return
            if presented.section.host_names and not _ours(host["name"] if host else "", presented.section.host_names):
                await answer(send, 421, "misdirected", "This appliance is not called by that name.")
                return
        await app(scope, receive, send)

    return checked


def _ours(name: str, names: tuple[str, ...]) -> bool:
    if name.lower() == "localhost" or name.lower() in (one.lower() for one in names):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def in_pieces(app: "ASGIApp") -> "ASGIApp":
    """Hands a large answer to the connection piece by piece: whoever does not read holds one piece, not the whole."""

    async def cut(scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def send_on(message: "Message") -> None:
            if message["type"] == "http.response.body" and len(body := message.get("body", b"")) > PIECE:
                last = len(body) - PIECE
                for start in range(0, len(body), PIECE):
                    more = start < last or message.get("more_body", False)
                    await send({"type": "http.response.body", "body": body[start : start + PIECE], "more_body": more})
                    # As long as the system takes what we write nothing else would have its turn.
                    await asyncio.sleep(0)
                return
            await send(message)

        await app(scope, receive, send_on)

    return cut


async def to_https(scope: "Any", receive: "Any", send: "Any") -> None:
    """The answer to plain HTTP from another machine: reading is sent on to HTTPS, everything else is refused."""
    if scope["type"] != "http":
        return
    named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if scope["method"] in _SAFE and len(named) == 1 and _HOST.fullmatch(named[0]):
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        there = b"https://" + named[0].encode("latin-1") + scope["raw_path"] + query
        await _send(send, 308, b"", [(b"location", there)])
        return
    await answer(send, 426, "https-only", "This appliance is spoken with over HTTPS; what was sent was not looked at.")


async def answer(send: "Any", status: int, code: str, detail: str) -> None:
    """A problem in place of the app's answer."""
    await _send(send, status, problem_body(status, code, detail), [(b"content-type", b"application/problem+json")])


async def _send(send: "Any", status: int, body: bytes, more: list[tuple[bytes, bytes]]) -> None:
    standing = [(name.lower().encode(), value.encode()) for name, value in standing_headers().items()]
    length = (b"content-length", str(len(body)).encode())
    closing = (b"connection", b"close")
    await send({"type": "http.response.start", "status": status, "headers": [*standing, length, closing, *more]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
