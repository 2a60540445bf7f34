"""The live stream: server-sent events with resume, as a sequence of things that happened.

Format: WHATWG HTML, section 9.2 (server-sent events): fields `id`, `event`, `data`, a blank line ends an event, a line that
begins with a colon is a comment and only says that the connection lives.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from tui.client import Client
from tui.contract import LiveEvent
from tui.trouble import Problem, Unreachable

WAITS_S = (1.0, 2.0, 3.0, 5.0, 10.0, 15.0)


@dataclass(frozen=True)
class Beat:
    """The stream is connected and alive."""

    resumed: bool
    """Whether nothing was missed since the connection before."""


@dataclass(frozen=True)
class Lost:
    """The stream broke and is opened again after `seconds`."""

    reason: str
    seconds: float


@dataclass(frozen=True)
class SignedOut:
    """The session has ended; the stream stops."""


Happening = Beat | Lost | SignedOut | LiveEvent


@dataclass
class EventParser:
    """Lines in, events out."""

    last_id: str = ""
    _data: list[str] = field(default_factory=list)
    _id: str = ""

    def line(self, line: str) -> LiveEvent | None:
        """Takes one line; gives the event that it completes."""
        if not line:
            return self._finish()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def drop(self) -> None:
        """Forgets an event that was cut in the middle."""
        self._data.clear()
        self._id = self.last_id

    def _finish(self) -> LiveEvent | None:
        self.last_id = self._id
        data = "\n".join(self._data)
        self._data.clear()
        if not data:
            return None
        try:
            return msgspec.json.decode(data, type=LiveEvent, strict=False)
        except msgspec.MsgspecError:
            # An event of a newer API that cannot be read still means that something changed.
            return LiveEvent(name="unknown")


async def follow(client: Client, pause: Callable[[float], Awaitable[None]]) -> AsyncIterator[Happening]:
    """Follows the stream for as long as the session lasts; resumes after the last event that came."""
    parser = EventParser()
    failures = 0
    while True:
        headers = {"Accept": "text/event-stream"}
        if parser.last_id:
            headers["Last-Event-ID"] = parser.last_id
        try:
            heard = False
            async for line in client.lines("/api/events", headers):
                if not heard or line.startswith(":"):
                    yield Beat(resumed=heard or bool(parser.last_id))
                    heard, failures = True, 0
                found = parser.line(line)
                if found is not None:
                    yield found
            reason = "The stream ended."
        except Problem as problem:
            if problem.signed_out:
                yield SignedOut()
                return
            reason = problem.what
        except Unreachable as unreachable:
            reason = unreachable.why
        parser.drop()
        wait = WAITS_S[min(failures, len(WAITS_S) - 1)]
        failures += 1
        yield Lost(reason=reason, seconds=wait)
        await pause(wait)
