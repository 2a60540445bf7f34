"""The live events as a stream (server-sent events) with resumption."""

from collections.abc import AsyncIterator
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from api.guards import declared
from api.stream import Feed, frame
from api.visit import Visit
from appliance.access import sessions
from appliance.access.sessions import Caller
from appliance.moments import now_ms

BEAT_S = 15.0


@get("/api/events", operation_id="streamEvents", tags=["events"], media_type="text/event-stream", **declared("events.read"))
async def stream_events(
    visit: NamedDependency[Visit],
    study: Annotated[str, QueryParameter(description="Events of this study only.")] = "",
    last_event_id: Annotated[
        int | None,
        HeaderParameter(name="Last-Event-ID", ge=0, description="The last event seen; what came after it is sent first."),
    ] = None,
) -> Stream:
    """Events as they happen, progress among them; a comment line every 15 s tells that the stream lives."""
    wanted = await visit.id_of("study", study) if study else ""
    return Stream(
        _frames(visit.feed, visit.caller, last_event_id, wanted),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _frames(feed: Feed, caller: Caller, after: int | None, study: str) -> AsyncIterator[bytes]:
    yield b": connected\n\n"
    async for stored in feed.follow(after, BEAT_S, study):
        if stored is not None:
            yield frame(stored)
        elif caller.session and await sessions.standing(caller.session, now_ms()) is None:
            # The stream outlives the request that was let through: it ends with the session.
            return
        else:
            yield b": beat\n\n"


HANDLERS = (stream_events,)
