"""Studies: the list, one study, the end of the wait for one."""

from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.fill import study_view
from api.guards import declared
from api.routes.asked import Cursor, Filter, Limit, Number, Sort, asked
from api.study_lines import study_list, study_row
from api.views import FilterWordView, StudyList, StudyRow, StudyView
from api.visit import Visit
from appliance.receive.stable import force_stable, release
from appliance.records import lists
from appliance.records.filter import Vocabulary
from appliance.records.words import AUDIT_WORDS, DROP_WORDS, NOTICE_WORDS, ORDER_WORDS, PULL_WORDS, RESULT_WORDS, STUDY_WORDS

_WORDS: dict[str, Vocabulary] = {
    "studies": STUDY_WORDS,
    "orders": ORDER_WORDS,
    "results": RESULT_WORDS,
    "audit": AUDIT_WORDS,
    "notices": NOTICE_WORDS,
    "pulls": PULL_WORDS,
    "drops": DROP_WORDS,
}


class StudyNamed(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A study in the body of a request."""

    study: str


@get("/api/studies", operation_id="listStudies", tags=["studies"], **declared("studies.read"))
async def list_studies(
    visit: NamedDependency[Visit],
    filter_text: Filter = "",
    sort: Sort = "-received",
    cursor: Cursor = "",
    limit: Limit = 200,
    page: Number = 1,
) -> Response[StudyList]:
    """A page of studies, each with its newest order; no patient value is part of it."""
    found = await lists.lines_page(visit.house.records, asked(filter_text, sort, cursor, limit, page), visit.now)
    return study_list(found, limit)


@get("/api/studies/{study:str}", operation_id="getStudy", tags=["studies"], **declared("studies.read", 404))
async def get_study(visit: NamedDependency[Visit], study: FromPath[str]) -> StudyView:
    """One study: series, orders, timeline, metadata, reports."""
    return await study_view(visit.house.records, await visit.id_of("study", study))


@get("/api/study-info/{study:str}", operation_id="getStudyInfo", tags=["studies"], **declared("studies.read", 404))
async def get_study_info(visit: NamedDependency[Visit], study: FromPath[str]) -> StudyView:
    """The same under the address that the guide names."""
    return await study_view(visit.house.records, await visit.id_of("study", study))


async def _force(visit: Visit, digits: str) -> Response[StudyRow]:
    study = await visit.id_of("study", digits)
    async with visit.audited("study.force-stable", study):
        await force_stable(visit.house.records, study, now=visit.now)
    return Response(study_row(await lists.study_line(visit.house.records, study)), status_code=202)


@post(
    "/api/studies/{study:str}/force-stable",
    operation_id="forceStable",
    tags=["studies"],
    status_code=202,
    **declared("studies.force-stable", 404, 409),
)
async def force_stable_in_path(visit: NamedDependency[Visit], study: FromPath[str]) -> Response[StudyRow]:
    """Ends the wait for a study: somebody says that it is complete."""
    return await _force(visit, study)


@post(
    "/api/studies/{study:str}/release",
    operation_id="releaseStudy",
    tags=["studies"],
    status_code=200,
    **declared("studies.release", 404, 409),
)
async def release_study(visit: NamedDependency[Visit], study: FromPath[str]) -> Response[StudyRow]:
    """Lets a study out of quarantine because a person has looked; it goes on after the quiet time."""
    found = await visit.id_of("study", study)
    async with visit.audited("study.release", found):
        await release(visit.house.records, found, actor=visit.caller.name, now=visit.now)
    return Response(study_row(await lists.study_line(visit.house.records, found)))


@post(
    "/api/force-stable",
    operation_id="forceStableByBody",
    tags=["studies"],
    status_code=202,
    **declared("studies.force-stable", 404, 409),
)
async def force_stable_in_body(visit: NamedDependency[Visit], data: JSONBody[StudyNamed]) -> Response[StudyRow]:
    """The same, with the study in the body."""
    return await _force(visit, data.study)


@put(
    "/api/force-stable",
    operation_id="putForceStable",
    tags=["studies"],
    status_code=202,
    **declared("studies.force-stable", 404, 409),
)
async def put_force_stable(visit: NamedDependency[Visit], data: JSONBody[StudyNamed]) -> Response[StudyRow]:
    """The same, for clients that use PUT."""
    return await _force(visit, data.study)


@get("/api/filter-words", operation_id="listFilterWords", tags=["studies"], **declared("studies.read"))
async def list_filter_words(
    of: Annotated[str, QueryParameter(pattern=f"^({'|'.join(_WORDS)})$", description="Whose words.")] = "studies",
) -> list[FilterWordView]:
    """The words of the filter language, for completion and help."""
    return [
        FilterWordView(word=name, help=word.help, example=word.example, choices=list(word.choices))
        for name, word in _WORDS[of].items()
    ]


HANDLERS = (
    list_studies,
    get_study,
    get_study_info,
    force_stable_in_path,
    release_study,
    force_stable_in_body,
    put_force_stable,
    list_filter_words,
)
