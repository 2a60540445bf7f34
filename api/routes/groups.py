"""Groups: list, create, put studies into them, their reports."""

import os
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter
from litestar.response import File

from api.doorstep import PIECE
from api.group_views import (
    DistributionView,
    GroupDetail,
    GroupReportView,
    GroupView,
    distribution_view,
    group_view,
    report_view,
    report_views,
)
from api.guards import declared
from api.routes.asked import After, Few, Once, cut, linked
from api.routes.reports import ReportFileMissing
from api.study_lines import study_row
from api.views import StudyRow, View
from api.visit import Visit
from appliance import cohort_reports, cohort_upload, cohorts
from appliance.access.permissions import require
from appliance.errors import Unknown
from appliance.records import groups, lists
from appliance.reports.cohort_content import EXTENSIONS, MEDIA_TYPES
from appliance.sought import unchanged

_ONE = "/api/groups/{group:str}"
Newest = Annotated[str, PathParameter(description="A report's identifier, or newest.")]


class GroupAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A new group; no products means the default ones."""

    group: Annotated[str, msgspec.Meta(max_length=64)]
    products: list[str] = []


class GroupChosen(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The group of a study; empty takes it out of its group."""

    group: Annotated[str, msgspec.Meta(max_length=64)] = ""


class ReportAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A report as the group stands now; `send` delivers it to the group destinations."""

    send: bool = False


class SentView(View, frozen=True, kw_only=True):
    """To how many destinations a report goes."""

    report: str
    destinations: int


async def _detail(visit: Visit, name: str) -> GroupDetail:
    found = await groups.lines(visit.house.records, name)
    if not found:
        raise Unknown(kind="group")
    listed = await report_views(await groups.reports(found[0].id))
    settings = (await visit.house.settings()).settings
    view = msgspec.structs.asdict(group_view(found[0], cohorts.versions(visit.house), settings, visit.now))
    return GroupDetail(**view, report_list=listed)


async def _report(group: str, report: str) -> groups.GroupReportRow:
    rows = await groups.reports((await groups.get(group)).id)
    found = rows[0] if report == "newest" and rows else next((one for one in rows if one.id == report), None)
    if found is None:
        raise Unknown(kind="report of this group")
    return found


@get("/api/groups", operation_id="listGroups", tags=["groups"], **declared("groups.read"))
async def list_groups(
    visit: NamedDependency[Visit],
    q: Annotated[str, QueryParameter(max_length=64, description="A part of the name; * stands for anything.")] = "",
    after: After = "",
    limit: Few = 1000,
) -> Response[list[GroupView]]:
    """Groups by name: all, or those that are sought."""
    installed, settings = cohorts.versions(visit.house), (await visit.house.settings()).settings
    part, mark = cut(await groups.lines(visit.house.records, part=q), lambda one: one.name, after, limit)
    return linked([group_view(one, installed, settings, visit.now) for one in part], "/api/groups", mark, limit=limit, q=q)


@post("/api/groups", operation_id="createGroup", tags=["groups"], **declared("groups.write", 409, 422))
async def create_group(visit: NamedDependency[Visit], data: JSONBody[GroupAsked], idempotency_key: Once = "") -> GroupDetail:
    """Makes a group, fixed to products in the versions that are installed."""
    async with visit.audited("group.create", data.group):
        again = visit.once("group", idempotency_key)
        await cohorts.create(visit.house, data.group, data.products, actor=visit.caller.name, now=visit.now, again=again)
    return await _detail(visit, data.group)


@get(_ONE, operation_id="getGroup", tags=["groups"], **declared("groups.read", 404))
async def get_group(visit: NamedDependency[Visit], group: FromPath[str]) -> GroupDetail:
    """One group with its reports and where they went."""
    return await _detail(visit, group)


@get(f"{_ONE}/statistics", operation_id="getGroupStatistics", tags=["groups"], **declared("groups.read", 404))
async def get_statistics(visit: NamedDependency[Visit], group: FromPath[str]) -> list[DistributionView]:
    """How every number is distributed over the studies as they stand, with those that stand out; a report has the same."""
    found = await cohort_reports.statistics(visit.house, await groups.get(group))
    return [distribution_view(one) for one in found]


@delete(_ONE, operation_id="removeGroup", tags=["groups"], **declared("groups.manage", 404, 409))
async def remove_group(visit: NamedDependency[Visit], group: FromPath[str]) -> None:
    """Takes away a group that has no studies."""
    async with visit.audited("group.remove", group):
        await cohorts.remove(visit.house, group)


@put("/api/studies/{study:str}/group", operation_id="chooseGroup", tags=["groups"], **declared("groups.write", 404, 409))
async def choose_group(visit: NamedDependency[Visit], study: FromPath[str], data: JSONBody[GroupChosen]) -> StudyRow:
    """Puts a study into a group; refused when its order used other products than the group's."""
    found = await visit.id_of("study", study)
    async with visit.audited("study.group", found, data.group):
        await cohorts.put(visit.house, found, data.group, actor=visit.caller.name, now=visit.now)
    return study_row(await lists.study_line(visit.house.records, found))


@post(
    f"{_ONE}/accept-versions",
    operation_id="acceptVersions",
    tags=["groups"],
    status_code=200,
    **declared("groups.manage", 404, 422),
)
async def accept_versions(visit: NamedDependency[Visit], group: FromPath[str]) -> GroupDetail:
    """Fixes a group to the versions of its products that are installed now."""
    async with visit.audited("group.accept-versions", group):
        await cohorts.accept_versions(visit.house, group)
    return await _detail(visit, group)


@post(f"{_ONE}/reports", operation_id="makeGroupReport", tags=["groups"], **declared("groups.read", 404, 409, 422, 503))
async def make_report(
    visit: NamedDependency[Visit], group: FromPath[str], data: JSONBody[ReportAsked], idempotency_key: Once = ""
) -> GroupReportView:
    """Makes a report of a group as it stands; sending it is for administrators."""
    async with visit.audited("group.report", group, "send" if data.send else ""):
        if data.send:
            require(visit.caller.role, "groups.manage")
        again = visit.once(f"group-report/{group}", idempotency_key)
        made = await cohorts.report(visit.house, group, now=visit.now, send=data.send, again=again)
    return await report_view(made)


@post(
    f"{_ONE}/reports/{{report:str}}/send",
    operation_id="sendGroupReport",
    tags=["groups"],
    status_code=202,
    **declared("groups.manage", 404, 409),
)
async def send_report(visit: NamedDependency[Visit], group: FromPath[str], report: Newest) -> SentView:
    """Sends a report to every group destination."""
    async with visit.audited("group.send", group):
        found = await _report(group, report)
        count = await cohort_reports.send(visit.house, found, now=visit.now)
    return SentView(report=found.id, destinations=count)


@get(
    f"{_ONE}/reports/{{report:str}}/{{format_name:str}}",
    operation_id="downloadGroupReport",
    tags=["groups"],
    **declared("groups.read", 404, 409),
)
async def download_report(
    visit: NamedDependency[Visit],
    group: FromPath[str],
    report: Newest,
    format_name: Annotated[str, PathParameter(description="csv, schema, pdf or png.")],
) -> File:
    """One format of a group's report as a file."""
    found = await _report(group, report)
    if format_name not in found.format_list:
        raise Unknown(kind="such format of this report")
    name = f"{found.stem}.{EXTENSIONS[format_name]}"
    path = visit.house.storage.absolute(found.folder) / name
    if not os.path.isfile(path):
        raise ReportFileMissing()
    await unchanged(path, found.searched, format_name)
    await visit.note("group.download", group, detail=format_name)
    return File(
        path=path,
        filename=name,
        media_type=MEDIA_TYPES[format_name],
        content_disposition_type="attachment",
        chunk_size=PIECE,
    )


@post(
    f"{_ONE}/studies",
    operation_id="uploadIntoGroup",
    request_max_body_size=None,
    include_in_schema=False,
    status_code=201,
    **declared("groups.write", 404, 409, 422),
)
async def upload_study(
    request: Request[Any, Any, Any], visit: NamedDependency[Visit], state: State, group: FromPath[str]
) -> cohort_upload.Uploaded:
    """Takes one study as a ZIP (application/zip) into a group; answered when all of it is synced to disk and filed."""
    async with visit.audited("group.upload", group):
        return await cohort_upload.take(
            visit.house,
            state.postbox,
            group,
            request.stream(),
            actor=visit.caller.name,
            address=visit.origin,
            now=visit.now,
        )


HANDLERS = (
    upload_study,
    list_groups,
    create_group,
    get_group,
    get_statistics,
    remove_group,
    choose_group,
    accept_versions,
    make_report,
    send_report,
    download_report,
)
