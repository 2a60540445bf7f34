"""PACS nodes: what there is, finding studies on them, pulling studies from them (query and retrieve, REC-10)."""

from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.guards import declared
from api.leaving import when_left
from api.routes.asked import Few, Filter, Older, Once
from api.views import View
from api.visit import Visit
from appliance import retrieval
from appliance.access.permissions import require
from appliance.moments import iso
from appliance.receive.section import WebNode
from appliance.records import lookup, pulls
from appliance.records.pulls import PullRow, Wanted

if TYPE_CHECKING:
    from appliance.receive.nodes.find import Query

Text64 = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\x00-\x1f\\]*(?!\n)$")]
Uid = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[0-9.]*(?!\n)$")]


class NodeView(View, frozen=True, kw_only=True):
    """One configured PACS node."""

    name: str
    host: str
    port: int
    called_ae: str
    retrieve: str
    completeness: str
    tls: bool


class FindAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is looked for; `*` and `?` are wild, a date may be a range like 20240101-20241231. `reveal` shows the patients."""

    level: Literal["PATIENT", "STUDY", "SERIES", "IMAGE"] = "STUDY"
    patient_id: Text64 = ""
    patient_name: Text64 = ""
    accession: Text64 = ""
    study_date: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{8})?(-([0-9]{8})?)?(?!\n)$")] = ""
    modality: Annotated[str, msgspec.Meta(max_length=16, pattern=r"^[A-Z0-9]*(?!\n)$")] = ""
    description: Text64 = ""
    pick: Annotated[str, msgspec.Meta(max_length=8_192)] = ""
    """Of a study: its series, or itself at the level STUDY; of a series: its instances."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=retrieval.MOST_ANSWERS)] = 50
    skip: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    reveal: bool = False


class FoundView(View, frozen=True, kw_only=True):
    """One answer; what names the patient is null unless the request asked to reveal it."""

    pick: str
    """Stands for this answer where a pull is asked for."""
    study: str | None
    """Our identifier when the study is here already."""
    modalities: str
    instances: int | None
    series: int | None
    number: str
    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    accession: str | None = None
    study_date: str | None = None
    description: str | None = None


class FoundPage(View, frozen=True, kw_only=True):
    """A page of answers; `more` says that the node has further ones."""

    items: list[FoundView]
    more: bool


class PullAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Picks of answers of this node, or Study Instance UIDs."""

    picks: Annotated[list[Annotated[str, msgspec.Meta(max_length=8_192)]], msgspec.Meta(max_length=200)] = []
    study_uids: Annotated[list[Uid], msgspec.Meta(max_length=200)] = []


class PriorsAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where to look for the patient's other studies, and of which modality (empty: all)."""

    node: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    modality: Annotated[str, msgspec.Meta(max_length=16, pattern=r"^[A-Z0-9]*(?!\n)$")] = "MR"


class PullView(View, frozen=True, kw_only=True):
    """One pull."""

    pull: str
    node: str
    state: str
    reason: str
    level: str
    study: str | None
    """Our identifier, as soon as something of the study is here."""
    remaining: int | None
    completed: int
    failed: int
    attempt: int
    detail: str
    owner: str
    created_at: str | None
    ended_at: str | None


class PullList(View, frozen=True, kw_only=True):
    """A page of pulls."""

    items: list[PullView]
    next: str | None = None


@get("/api/nodes", operation_id="listNodes", tags=["pulls"], **declared("nodes.find"))
async def list_nodes(visit: NamedDependency[Visit]) -> list[NodeView]:
    """The PACS nodes that studies can be found on."""
    section = (await visit.house.settings()).settings.nodes
    names = ("name", "host", "port", "called_ae", "retrieve", "completeness", "tls")
    return [
        *(NodeView(**{name: getattr(one, name) for name in names}) for one in section.nodes),
        *(_web(one) for one in section.web),
    ]


def _web(one: WebNode) -> NodeView:
    parts = urlsplit(one.url)
    return NodeView(
        name=one.name,
        host=parts.hostname or "",
        port=parts.port or {"https": 443}.get(parts.scheme, 80),
        called_ae=one.sender,
        retrieve="wado",
        completeness=one.completeness,
        tls=parts.scheme == "https",
    )


@post(
    "/api/nodes/{node:str}/find",
    operation_id="findOnNode",
    tags=["pulls"],
    status_code=200,
    **declared("nodes.find", 400, 404, 422, 503),
)
async def find_on_node(
    visit: NamedDependency[Visit], request: Request[Any, Any, Any], node: FromPath[str], data: JSONBody[FindAsked]
) -> FoundPage:
    """Asks a node what it holds (C-FIND, QIDO-RS); what names a patient only with `reveal`, and then it is in the audit.

    Closing the connection stops the search at the node too (C-CANCEL).
    """
    from appliance.receive.nodes.stop import Stop

    where = await retrieval.node_of(visit.house, node)
    at = retrieval.picked(visit.house.keys, where, data.pick) if data.pick else Wanted(study_uid="")
    if data.reveal:
        require(visit.caller.role, "identity.reveal")
    async with visit.audited("node.find-revealed" if data.reveal else "node.find", f"node/{where.name}", data.level):
        stop = Stop()
        async with when_left(request, stop.ask):
            query = _query(data, at)
            answers, more = await retrieval.find(visit.house, where, query, limit=data.limit, skip=data.skip, stop=stop)
    if data.pick and data.level == "STUDY":
        # A node that does not match this key would show another patient than the one asked about.
        answers = [one for one in answers if one.found.study_uid == at.study_uid]
    return FoundPage(items=[_found(one, data.reveal) for one in answers], more=more)


def _query(data: FindAsked, at: Wanted) -> "Query":
    from appliance.receive.nodes.find import Query

    given = {name: getattr(data, name) for name in ("level", "patient_id", "patient_name", "accession", "study_date")}
    return Query(
        **given,
        modality=data.modality,
        description=data.description,
        study_uid=at.study_uid,
        series_uid=at.series_uids[0] if at.series_uids else "",
    )


def _found(answer: retrieval.Answer, reveal: bool) -> FoundView:
    found = answer.found
    names = ("patient_name", "patient_id", "birth_date", "sex", "accession", "study_date", "description")
    return FoundView(
        pick=answer.pick,
        study=answer.study or None,
        modalities=found.modalities,
        instances=found.instances,
        series=found.series,
        number=found.series_number,
        **({name: getattr(found, name) for name in names} if reveal else {}),
    )


@post("/api/nodes/{node:str}/pulls", operation_id="openPulls", tags=["pulls"], **declared("pulls.create", 400, 404, 422))
async def open_pulls(
    visit: NamedDependency[Visit], node: FromPath[str], data: JSONBody[PullAsked], idempotency_key: Once = ""
) -> PullList:
    """Pulls studies, series or instances from a node; the receiver carries it out."""
    where = await retrieval.node_of(visit.house, node)
    wanted = [retrieval.picked(visit.house.keys, where, one) for one in data.picks]
    wanted += [Wanted(study_uid=one) for one in data.study_uids if one]
    # Keys of different callers never meet; the digest also fits the column.
    key = visit.house.keys.digest("idempotency", f"{visit.caller.id}/{idempotency_key}") if idempotency_key else ""
    async with visit.audited("pull.open", f"node/{where.name}", f"{len(wanted)} asked for"):
        rows = await retrieval.pull(visit.house, where, wanted, owner=visit.caller.name, now=visit.now, idempotency_key=key)
    return PullList(items=await _views(visit, rows))


@post(
    "/api/studies/{study:str}/priors",
    operation_id="pullPriors",
    tags=["pulls"],
    **declared("pulls.create", 404, 409, 422, 503),
)
async def pull_priors(
    visit: NamedDependency[Visit], study: FromPath[str], data: JSONBody[PriorsAsked], idempotency_key: Once = ""
) -> PullList:
    """Pulls the other studies of a study's patient that a node holds and that are not here."""
    found = await visit.id_of("study", study)
    where = await retrieval.node_of(visit.house, data.node)
    async with visit.audited("pull.priors", found, f"from {where.name}"):
        rows = await retrieval.pull_priors(
            visit.house,
            found,
            where,
            modality=data.modality,
            owner=visit.caller.name,
            now=visit.now,
            idempotency_key=visit.once(f"priors/{found}", idempotency_key),
        )
    return PullList(items=await _views(visit, rows))


@get("/api/pulls", operation_id="listPulls", tags=["pulls"], **declared("pulls.read"))
async def list_pulls(visit: NamedDependency[Visit], filter_text: Filter = "", before: Older = "", limit: Few = 100) -> PullList:
    """Pulls, newest first."""
    rows, mark = await pulls.page(filter_text, before=before, limit=limit, now=visit.now)
    return PullList(items=await _views(visit, rows), next=mark or None)


@get("/api/pulls/{pull:str}", operation_id="getPull", tags=["pulls"], **declared("pulls.read", 404))
async def get_pull(visit: NamedDependency[Visit], pull: FromPath[str]) -> PullView:
    """One pull and how far it is."""
    found = await lookup.full_id(visit.house.records, "pull", pull)
    return (await _views(visit, [await pulls.get(found)]))[0]


@post(
    "/api/pulls/{pull:str}/cancel",
    operation_id="cancelPull",
    tags=["pulls"],
    status_code=200,
    **declared("pulls.create", 404, 409),
)
async def cancel_pull(visit: NamedDependency[Visit], pull: FromPath[str]) -> PullView:
    """Ends a waiting pull, asks a running one to stop; what has come stays."""
    found = await lookup.full_id(visit.house.records, "pull", pull)
    async with visit.audited("pull.cancel", f"pull/{found}"):
        row = await pulls.cancel(visit.house.records, found, now=visit.now)
    return (await _views(visit, [row]))[0]


async def _views(visit: Visit, rows: list[PullRow]) -> list[PullView]:
    here = await retrieval.studies_of(visit.house, rows)
    return [
        PullView(
            pull=row.id,
            node=row.node,
            state=str(row.state),
            reason=row.reason,
            level=row.level,
            study=here.get(row.uid_key),
            remaining=row.remaining,
            completed=row.completed,
            failed=row.failed,
            attempt=row.attempt,
            detail=row.detail,
            owner=row.owner,
            created_at=iso(row.created_at),
            ended_at=iso(row.ended_at) if row.ended_at else None,
        )
        for row in rows
    ]


HANDLERS = (list_nodes, find_on_node, open_pulls, pull_priors, list_pulls, get_pull, cancel_pull)
