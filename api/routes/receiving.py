"""Receiving: what went wrong with associations, who sends, pause and resume (REC-13, REC-14)."""

from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.guards import declared
from api.house_views import PausedView, SenderView, TroubleView
from api.routes.asked import After, Few, cut, linked
from api.visit import Visit
from appliance import pipeline
from appliance.events import AssociationFailed, AssociationRefused
from appliance.moments import iso
from appliance.pipeline import Pausable
from appliance.receive.quiet import proposal, quiet_seconds
from appliance.records import events, senders

_KINDS = (AssociationRefused, AssociationFailed)


@get("/api/associations", operation_id="listAssociations", tags=["receiving"], **declared("status.read"))
async def list_associations(
    before: Annotated[int, QueryParameter(name="cursor", ge=0, le=2**62, description="Those before this number.")] = 0,
    limit: Annotated[int, QueryParameter(description="How many at most, newest first.", ge=1, le=500)] = 50,
) -> Response[list[TroubleView]]:
    """Associations that were refused, aborted or failed: each with one sentence and what helps."""
    found = []
    rows = await events.newest(_KINDS, limit + 1, before)
    for stored in rows[:limit]:
        event = stored.event
        if isinstance(event, _KINDS):
            found.append(
                TroubleView(
                    seq=stored.seq,
                    at=iso(stored.at),
                    kind="refused" if isinstance(event, AssociationRefused) else "failed",
                    caller=event.caller,
                    address=event.address,
                    sentence=event.reason,
                    advice=event.advice,
                )
            )
    return linked(found, "/api/associations", str(rows[limit - 1].seq) if len(rows) > limit else "", limit=limit)


@get("/api/senders", operation_id="listSenders", tags=["receiving"], **declared("status.read"))
async def list_senders(visit: NamedDependency[Visit], after: After = "", limit: Few = 1000) -> Response[list[SenderView]]:
    """Everybody who has sent: whether it may, its quiet time, and the one that its own pauses ask for."""
    section = (await visit.house.settings()).settings.receive
    rows = await senders.everyone()
    learned = {one.sender: found for one in rows if (found := proposal(one)) is not None}
    part, mark = cut(rows, lambda one: one.sender, after, limit)
    views = [
        SenderView(
            ae_title=one.sender,
            address=one.address,
            studies=one.studies,
            instances=one.instances,
            allowed=not section.allowed_callers or one.sender in section.allowed_callers,
            quiet_s=quiet_seconds(section, one.sender, learned),
            proposed_quiet_s=learned.get(one.sender),
            first_at=iso(one.first_at),
            last_at=iso(one.last_at),
        )
        for one in part
    ]
    return linked(views, "/api/senders", mark, limit=limit)


_CHANGE = declared("settings.write", 409)


@post("/api/receiving/pause", operation_id="pauseReceiving", tags=["receiving"], status_code=200, **_CHANGE)
async def pause_receiving(visit: NamedDependency[Visit]) -> PausedView:
    """Turns new associations away for now; open ones finish, and senders try again by themselves."""
    return await _set(visit, "receive", True)


@post("/api/receiving/resume", operation_id="resumeReceiving", tags=["receiving"], status_code=200, **_CHANGE)
async def resume_receiving(visit: NamedDependency[Visit]) -> PausedView:
    """Lets senders in again."""
    return await _set(visit, "receive", False)


@post("/api/delivery/pause", operation_id="pauseDelivery", tags=["results"], status_code=200, **_CHANGE)
async def pause_delivery(visit: NamedDependency[Visit]) -> PausedView:
    """Begins no further delivery; reports wait and count no attempt."""
    return await _set(visit, "delivery", True)


@post("/api/delivery/resume", operation_id="resumeDelivery", tags=["results"], status_code=200, **_CHANGE)
async def resume_delivery(visit: NamedDependency[Visit]) -> PausedView:
    """Delivers what waits."""
    return await _set(visit, "delivery", False)


async def _set(visit: Visit, section: Pausable, paused: bool) -> PausedView:
    name = {"receive": "receiving", "compute": "processing", "delivery": "delivery"}[section]
    async with visit.audited(f"{name}.{'pause' if paused else 'resume'}", f"settings/{section}"):
        await pipeline.set_paused(visit.house, paused, actor=visit.caller.name, now=visit.now, section=section)
    return PausedView(paused=paused)


HANDLERS = (list_associations, list_senders, pause_receiving, resume_receiving, pause_delivery, resume_delivery)
