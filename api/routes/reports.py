"""Reports: the list, and the files in every format that carries no identity."""

import os
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter
from litestar.response import File

from api.doorstep import PIECE
from api.fill import report_of_line, shown_formats
from api.guards import declared
from api.routes.asked import Cursor, Filter, Limit, Number, Sort, asked, whole
from api.views import ReportList
from api.visit import Visit
from appliance.errors import Conflict, Unknown
from appliance.records import lists, reports
from appliance.reports.content import MEDIA_TYPES, file_name
from appliance.sought import unchanged


class ReportFileMissing(Conflict):
    """The file of this report is no longer on disk."""

    code = "report-file-missing"
    next_step = "Run the order again, or restore the storage from a backup."


@get("/api/reports", operation_id="listReports", tags=["results"], **declared("results.read"))
async def list_reports(
    visit: NamedDependency[Visit],
    filter_text: Filter = "",
    sort: Sort = "-created",
    cursor: Cursor = "",
    limit: Limit = 200,
    page: Number = 1,
) -> ReportList:
    """A page of reports and failure reports."""
    found = await lists.results_page(visit.house.records, asked(filter_text, sort, cursor, limit, page), visit.now)
    return ReportList(items=[report_of_line(line) for line in found.items], **whole(found, limit))


@get(
    "/api/reports/{report:str}/{format_name:str}",
    operation_id="downloadReport",
    tags=["results"],
    **declared("results.read", 404, 409),
)
async def download_report(
    visit: NamedDependency[Visit],
    report: FromPath[str],
    format_name: Annotated[str, PathParameter(description="json, xml, txt, png, pdf, csv, dicom-csv or fhir.")],
) -> File:
    """One format of a report as a file."""
    found = await reports.get(await visit.id_of("report", report))
    if format_name not in shown_formats(found.formats):
        raise Unknown(kind="such format of this report, or no report")
    name = file_name(found.order, found.kind, found.version, format_name)
    path = visit.house.storage.absolute(found.folder) / name
    if not os.path.isfile(path):
        raise ReportFileMissing()
    await unchanged(path, found.searched, format_name)
    await visit.note("report.download", found.id, detail=format_name)
    kind = MEDIA_TYPES[format_name]
    return File(path=path, filename=name, media_type=kind, content_disposition_type="attachment", chunk_size=PIECE)


HANDLERS = (list_reports, download_report)
