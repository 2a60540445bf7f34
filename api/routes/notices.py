"""Notices: what was told to whom, what failed, what was suppressed and why (NOT-02)."""

from typing import Annotated, Literal

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.guards import declared
from api.routes.asked import Few, Filter, Older, linked
from api.views import View, at
from api.visit import Visit
from appliance.notify.section import Subject
from appliance.records import notices

State = Literal["waiting", "sending", "sent", "failed", "suppressed"]


class NoticeView(View, frozen=True, kw_only=True):
    """One event on one way to people."""

    notice: str
    event: str
    severity: str
    way: str
    """`email`, `webhook`, `apprise`; `none` where no way was set."""
    state: str
    reason: str
    """The other side's answer, or why it was suppressed."""
    attempts: int
    at: str | None
    sent_at: str | None
    due_at: str | None


@get("/api/notices", operation_id="listNotices", tags=["system"], **declared("notices.read"))
async def list_notices(
    visit: NamedDependency[Visit],
    in_state: Annotated[State | None, QueryParameter(name="state", description="Only these.")] = None,
    event: Annotated[Subject | None, QueryParameter(description="Only of this event.")] = None,
    filter_text: Filter = "",
    before: Older = "",
    limit: Few = 100,
) -> Response[list[NoticeView]]:
    """Notices, newest first."""
    terms = [filter_text, f"state:{in_state}" if in_state else "", f"event:{event}" if event else ""]
    text = " ".join(one for one in terms if one)
    rows, mark = await notices.page(text, before=before, limit=limit, now=visit.now)
    return linked([_view(one) for one in rows], "/api/notices", mark, q=filter_text, state=in_state, event=event, limit=limit)


def _view(row: notices.NoticeRow) -> NoticeView:
    return NoticeView(
        notice=row.id,
        event=row.subject,
        severity=row.severity,
        way=row.route,
        state=row.state,
        reason=row.reason,
        attempts=row.attempt,
        at=at(row.at),
        sent_at=at(row.sent_at),
        due_at=at(row.not_before) if row.state == "waiting" else None,
    )


HANDLERS = (list_notices,)
