"""The mark of a page: sort value and identifier of the last row before it, as one word that clients pass back as it is."""

import base64
import binascii

import msgspec

from appliance.errors import Rejected


class BadCursor(Rejected):
    """This page mark does not belong to this list."""

    code = "cursor"
    next_step = "Begin again at the first page."


def mark_of(sort: str, value: int | str, identifier: str) -> str:
    """The mark of the page after a row with this sort value and identifier."""
    return base64.urlsafe_b64encode(msgspec.json.encode([sort, value, identifier])).decode().rstrip("=")


def read_mark(cursor: str, sort: str) -> tuple[int | str, str]:
    """The sort value and identifier that a page begins after; raises `BadCursor`."""
    try:
        plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        made_for, value, identifier = msgspec.json.decode(plain, type=tuple[str, int | str, str])
    except (binascii.Error, msgspec.DecodeError, ValueError):
        raise BadCursor() from None
    numeric = sort.removeprefix("-") not in ("group", "sender")
    if made_for != sort or isinstance(value, int) != numeric or not _plain(identifier) or not _plain(value):
        raise BadCursor()
    return value, identifier


def _plain(value: int | str) -> bool:
    """Whether both engines can compare with it."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return len(value) <= 64 and value.isprintable()
