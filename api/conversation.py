"""One connection of the front door: HTTP/1.1 with limits, so that a slow or endless caller holds little and not for long.

The server's own protocol bounds neither the head of a request nor the time that one takes (slow head, slow body and slow
reading are the attacks of that name); this one does. What is refused here is a problem like every other answer.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.headers import standing_headers

HEAD_S = 15.0
"""A request's head is complete so long after its first byte, or after the connection."""
HEAD_BYTES = 32_768
HEAD_FIELDS = 100
BODY_WINDOW_S = 20.0
BODY_BYTES_PER_WINDOW = 20_000
"""What a body must bring in each window: 1 kB/s."""
READ_S = 40.0
"""So long may an answer wait for a caller that does not read."""
LINGER_S = 2.0
LINGER_BYTES = 4_000_000
"""So much of a body that was refused is still taken, so that whoever sends a little too much reads the answer; of a body that
says to be longer nothing is. The rest waits unread in the system's buffers, where it costs nobody else anything."""
UNREAD_BYTES = 65_536
"""What TLS keeps of a connection that is not read from; by itself it would keep four times as much."""


class _Parting:
    """A transport that the conversation leaves in its own way: an orderly end of TLS decrypts for seconds all that comes."""

    def __init__(self, transport: asyncio.Transport, leave: Callable[[], None]) -> None:
        self._transport = transport
        self._leave = leave
        self._leaving = False

    def close(self) -> None:
        """Nothing more is read or written, except what the caller of `leave` still wants."""
        self._leaving = True
        self._leave()

    def is_closing(self) -> bool:
        """Whether it was closed, from here or from there."""
        return self._leaving or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Conversation(HttpToolsProtocol):
    """The server's HTTP protocol with deadlines and limits."""

    def __init__(self, *arguments: Any, ended: Callable[[], None], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._ended = ended
        self._head_bytes = 0
        self._field_bytes = 0
        self._body_bytes = 0
        self._announced: int | None = None
        self._unwanted: int | None = None
        self._in_head = True
        self._in_body = False
        self._clock: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The head's time begins with the connection."""
        super().connection_made(transport)
        # Over TLS the loop would keep eight times as much for a caller that does not read.
        transport.set_write_buffer_limits(high=HIGH_WATER_LIMIT)
        if limit := getattr(transport, "set_read_buffer_limits", None):
            limit(high=UNREAD_BYTES)
        self._wire = transport
        self.transport = cast(asyncio.Transport, _Parting(transport, self._leave))
        self._arm(HEAD_S, self._head_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of this connection is left."""
        self._disarm()
        self._stop_reading_clock()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._ended()

    def data_received(self, data: bytes) -> None:
        """Counts, and hands on to the parser."""
        if self._unwanted is not None:
            self._unwanted += len(data)
            if self._unwanted > LINGER_BYTES:
                self.flow.pause_reading()
                return
        if self.transport.is_closing():
            return
        if self._in_head:
            if self._clock is None:
                self._arm(HEAD_S, self._head_late)
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self._refuse(431, "head-too-large", "The head of the request is larger than this address takes.")

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        super().on_url(url)
        if len(self.url) > HEAD_BYTES:
            raise ValueError("the address is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head."""
        super().on_header(name, value)
        self._field_bytes += len(name) + len(value)
        if name.lower() == b"content-length" and value.isdigit():
            self._announced = int(value)
        if len(self.headers) > HEAD_FIELDS or self._field_bytes > HEAD_BYTES:
            raise ValueError("too many header fields, or too long ones")

    def on_headers_complete(self) -> None:
        """The head is here; now the body has to come."""
        self._disarm()
        self._in_head, self._in_body = False, True
        self._head_bytes = self._field_bytes = self._body_bytes = 0
        self._arm(BODY_WINDOW_S, self._look_at_body)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is here as a whole."""
        self._disarm()
        self._in_head, self._in_body, self._unwanted, self._announced = True, False, None, None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is given: a caller that still sends what nobody reads is let go."""
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._linger()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for a while: who has not even taken the last answer is cut off."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """The caller does not read as fast as we write."""
        super().pause_writing()
        self._stop_reading_clock()
        self._reading = self.loop.call_later(READ_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller has read."""
        self._stop_reading_clock()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        self._refuse(400, "bad-request", "This is no HTTP request that can be read.")

    def _head_late(self) -> None:
        self._clock = None
        if self._head_bytes:
            self._refuse(408, "too-slow", "The head of the request took too long.")
        else:
            self.transport.close()

    def _look_at_body(self) -> None:
        self._clock = None
        if not self._in_body:
            return
        # Whoever waits for us is not slow.
        if self._body_bytes < BODY_BYTES_PER_WINDOW and not self.flow.read_paused:
            self._refuse(408, "too-slow", "The body of the request came too slowly.")
            return
        self._body_bytes = 0
        self._arm(BODY_WINDOW_S, self._look_at_body)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(plain_answer(status, code, detail))
        self._in_body = True
        self.transport.close()

    def _leave(self) -> None:
        """The end of the connection was asked for: at once, or after a moment where the caller may still be sending."""
        if self._in_body:
            self._linger()
            if self._wire.can_write_eof():
                self._wire.write_eof()
        else:
            self._end()

    def _linger(self) -> None:
        self._unwanted = 0
        if (self._announced or 0) > LINGER_BYTES:
            self.flow.pause_reading()
        self._arm(LINGER_S, self._end)

    def _end(self) -> None:
        if self._in_body and not self._wire.get_write_buffer_size():
            self._wire.abort()
            return
        self._wire.close()
        self._arm(READ_S, self._wire.abort)

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._clock = self.loop.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _stop_reading_clock(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    421: "Misdirected Request",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
}


def problem_body(status: int, code: str, detail: str) -> bytes:
    """A problem (RFC 9457) of the door itself, before there is a request to speak of."""
    return msgspec.json.encode(
        {
            "type": f"urn:ranvier:problem:{code}",
            "title": _REASONS[status],
            "status": status,
            "detail": detail,
            "code": code,
            "next_step": "See /api-docs for what this address takes.",
            "request_id": "",
        }
    )


def plain_answer(status: int, code: str, detail: str) -> bytes:
    """A whole answer of HTTP/1.1 with the problem and all headers."""
    body = problem_body(status, code, detail)
    head = {
        **standing_headers(),
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    return "\r\n".join(lines).encode("ascii") + body
