"""Results: reports with their numbers and where they went."""

from collections.abc import AsyncIterator
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from api.fill import result_views
from api.guards import declared
from api.routes.asked import Cursor, Filter, Limit, Number, Sort, asked, whole
from api.views import ResultList
from api.visit import Visit
from appliance import bulk
from appliance.errors import Rejected
from appliance.records import lists
from appliance.reports.content import REPORT_FORMATS


class FormatUnknown(Rejected):
    """One of the formats is none of a report's."""

    code = "format-unknown"
    next_step = "Name json, xml, txt, png, pdf, csv, dicom-csv or fhir, with commas between them."


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


@get(
    "/api/results/bundle",
    operation_id="downloadBundle",
    tags=["results"],
    media_type="application/zip",
    **declared("results.read"),
)
async def download_bundle(
    visit: NamedDependency[Visit],
    filter_text: Filter = "",
    formats: Annotated[str, QueryParameter(description="Formats with commas between them.", max_length=100)] = "pdf",
) -> Stream:
    """All results that fit a filter as one ZIP, streamed, with a manifest and one CSV of all their numbers."""
    wanted = list(dict.fromkeys(one.strip() for one in formats.split(",") if one.strip()))
    unknown = [one for one in wanted if one not in REPORT_FORMATS]
    if unknown or not wanted:
        raise FormatUnknown(field="formats")
    pieces = bulk.bundle(visit.house, filter_text, wanted, visit.now)
    first = await anext(pieces)
    await visit.note("results.bundle", "", detail=",".join(wanted))

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    named = {"Content-Disposition": 'attachment; filename="results.zip"'}
    return Stream(body(), media_type="application/zip", headers=named)


HANDLERS = (list_results, download_bundle)
