"""Results: reports with their numbers and where they went."""

from litestar import get
from litestar.di import NamedDependency

from api.fill import result_views
from api.guards import declared
from api.routes.asked import Cursor, Filter, Limit, Number, Sort, asked, whole
from api.views import ResultList
from api.visit import Visit
from appliance.records import lists


@get("/api/results", operation_id="listResults", tags=["results"], **declared("results.read"))
async def list_results(
    visit: NamedDependency[Visit],
    filter_text: Filter = "",
    sort: Sort = "-created",
    cursor: Cursor = "",
    limit: Limit = 200,
    page: Number = 1,
) -> ResultList:
    """A page of results."""
    found = await lists.results_page(visit.house.records, asked(filter_text, sort, cursor, limit, page), visit.now)
    items = await result_views(found.items)
    return ResultList(items=items, **whole(found, limit))


HANDLERS = (list_results,)
