"""Answers that did not change are not sent again: ETag and If-None-Match (RFC 9110, sections 8.8.3 and 13.1.2).

The tag of an answer is a digest of its bytes, so that it is right for every list and filter; a route may set its own.
"""

import hashlib
from typing import TYPE_CHECKING, Annotated

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.params import HeaderParameter
from litestar.serialization import encode_json

from appliance.errors import Conflict

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from api.views import OrderView

_TAGGED = "application/json"
_BODY_HEADERS = ("content-length", "content-type")


def conditional(app: "ASGIApp") -> "ASGIApp":
    """Gives every whole JSON answer to a GET its tag, and 304 to who has it already."""

    async def answered(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "GET":
            await app(scope, receive, send)
            return
        wanted = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
        begun: list[Message] = []

        async def tagged(message: "Message") -> None:
            if message["type"] == "http.response.start" and message["status"] == 200 and _is_json(message):
                begun.append(message)
                return
            if not begun or message["type"] != "http.response.body":
                await send(message)
                return
            start = begun.pop()
            if not message.get("more_body", False):
                body = message.get("body", b"")
                if _settle(start, body, wanted):
                    message = {**message, "body": b""}
            await send(start)
            await send(message)

        await app(scope, receive, tagged)

    return answered


def _is_json(start: "Message") -> bool:
    return bool(MutableScopeHeaders.from_message(start).get("content-type", "").startswith(_TAGGED))


class OrderChanged(Conflict):
    """This order changed since it was looked at."""

    code = "order-changed"
    next_step = "Look at it again; then decide again."


IfMatch = Annotated[
    str,
    HeaderParameter(
        name="If-Match",
        max_length=1000,
        description="`ETag` of the order as it was looked at, or its `row_version` in quotes: refused with 412 if "
        "the order changed meanwhile.",
    ),
]


def require_unchanged(view: "OrderView", wanted: str) -> None:
    """Raises `OrderChanged` unless the order is as the caller saw it (RFC 9110 section 13.1.1); no If-Match is no condition."""
    if wanted and not any(matches(wanted, tag) for tag in (f'"{view.row_version}"', tag_of(encode_json(view)))):
        raise OrderChanged()


def tag_of(body: bytes) -> str:
    """The tag of an answer."""
    # Processors have instructions for this one: on a page of a list it takes half the time of others.
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def _settle(start: "Message", body: bytes, wanted: str) -> bool:
    """Sets the tag; whether the caller has these bytes already."""
    headers = MutableScopeHeaders.from_message(start)
    tag = headers.get("etag") or tag_of(body)
    headers["ETag"] = tag
    if not matches(wanted, tag):
        return False
    start["status"] = 304  # type: ignore[typeddict-unknown-key]
    for name in _BODY_HEADERS:
        if name in headers:
            del headers[name]
    return True


def matches(wanted: str, tag: str) -> bool:
    """Whether one of the tags of If-None-Match is this one; strong and weak tags compare alike here (RFC 9110, 8.8.3.2)."""
    listed = [one.strip().removeprefix("W/") for one in wanted.split(",") if one.strip()]
    return "*" in listed or tag.removeprefix("W/") in listed
