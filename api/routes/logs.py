"""The log of all processes: searched by text, level, service, study, order and time, the newest lines first."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.guards import declared
from api.views import View
from api.visit import Visit
from appliance.logs import FOLDER
from appliance.logs.search import MOST_LINES, Level, Wanted, search

Text = Annotated[str, QueryParameter(max_length=200, description="What stands in a line; capitals count when there is one.")]
Service = Annotated[str, QueryParameter(max_length=40, description="Its process: receive, work, api ...")]
Identifier = Annotated[str, QueryParameter(pattern=r"^[0-9a-f\-]{0,36}(?!\n)$", description="Our identifier or its beginning.")]
Moment = Annotated[
    str,
    QueryParameter(
        pattern=r"^([0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9:.]{2,12}Z?)?)?)?)?(?!\n)$",
        description="UTC, as exact as you like: 2026-11-22, 2026-11-22T16:50, 2026-11-22T16:50:12.123Z.",
    ),
]


class LogLineView(View, frozen=True, kw_only=True):
    """One line of the log; it never names a patient."""

    at: str
    level: str
    service: str
    logger: str
    message: str
    study: str
    order: str
    code: str
    rest: dict[str, Any]
    """What else stands in it: where an error came from, the request."""


class LogPage(View, frozen=True, kw_only=True):
    """Lines, the newest first; `cursor` leads on and is empty at the end."""

    items: list[LogLineView]
    cursor: str


@get("/api/logs", operation_id="searchLogs", tags=["system"], **declared("logs.read", 400))
async def search_logs(
    visit: NamedDependency[Visit],
    text: Text = "",
    level: Annotated[Level, QueryParameter(description="This one and what is worse.")] = "debug",
    service: Service = "",
    study: Identifier = "",
    order: Identifier = "",
    since: Moment = "",
    until: Moment = "",
    cursor: Annotated[str, QueryParameter(max_length=60, description="Of the page before.")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_LINES, description="Lines.")] = 100,
) -> LogPage:
    """The newest lines of the log that fit."""
    wanted = Wanted(text=text, level=level, process=service, study=study, order=order, since=since, until=until)
    page = await asyncio.to_thread(search, visit.house.home / FOLDER, wanted, limit=limit, cursor=cursor)
    return LogPage(items=[_view(msgspec.structs.asdict(one)) for one in page.lines], cursor=page.cursor)


def _view(values: dict[str, Any]) -> LogLineView:
    return LogLineView(service=values.pop("process"), **values)


HANDLERS = (search_logs,)
