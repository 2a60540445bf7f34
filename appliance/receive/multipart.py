"""The parts of a multipart/related body (RFC 2387, RFC 2046 section 5.1) as they come, never held as a whole."""

from collections.abc import Iterator
from typing import Literal

import msgspec

MOST_HEAD = 8_192
MOST_BOUNDARY = 256


class NotMultipart(ValueError):
    """The body does not keep to the form."""


class Begin(msgspec.Struct, frozen=True):
    """A part begins; its header fields by small-letter names."""

    fields: dict[str, str]


class Piece(msgspec.Struct, frozen=True):
    """Bytes of the part."""

    data: bytes


class End(msgspec.Struct, frozen=True):
    """The part is complete."""


Told = Begin | Piece | End


class Parts:
    """Reads a body that is fed in pieces; `complete` once the closing boundary was seen."""

    def __init__(self, boundary: str) -> None:
        if not 0 < len(boundary) <= MOST_BOUNDARY or not boundary.isascii():
            raise NotMultipart("no boundary")
        self._mark = b"\r\n--" + boundary.encode("ascii")
        # A body may begin with the boundary: then the line end before it is only thought.
        self._kept = b"\r\n"
        self._place: Literal["before", "boundary", "head", "body", "behind"] = "before"

    @property
    def complete(self) -> bool:
        """Whether the body has ended as it should."""
        return self._place == "behind"

    def feed(self, data: bytes) -> Iterator[Told]:
        """What these bytes bring; raises `NotMultipart`."""
        held = self._kept + data
        self._kept = b""
        while True:
            if self._place in ("before", "body"):
                found = held.find(self._mark)
                if found < 0:
                    safe = max(0, len(held) - len(self._mark))
                    if self._place == "body" and safe:
                        yield Piece(held[:safe])
                    self._kept = held[safe:]
                    return
                if self._place == "body":
                    if found:
                        yield Piece(held[:found])
                    yield End()
                held, self._place = held[found + len(self._mark) :], "boundary"
            elif self._place == "boundary":
                if len(held) < 2:
                    self._kept = held
                    return
                if held[:2] == b"--":
                    self._place = "behind"
                    return
                line = held.find(b"\r\n")
                if line < 0 and len(held) < MOST_BOUNDARY:
                    self._kept = held
                    return
                if line < 0 or held[:line].strip(b" \t"):
                    raise NotMultipart("something stands behind a boundary")
                # The line end stays: a head may be empty.
                held, self._place = held[line:], "head"
            elif self._place == "head":
                end = held.find(b"\r\n\r\n")
                if end < 0:
                    if len(held) > MOST_HEAD:
                        raise NotMultipart("the head of a part is too long")
                    self._kept = held
                    return
                yield Begin(_fields(held[:end]))
                held, self._place = held[end + 4 :], "body"
            else:
                return


def _fields(head: bytes) -> dict[str, str]:
    found = {}
    for line in head.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found
