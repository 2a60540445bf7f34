"""The audit: read it, and follow its hash chain."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from api.guards import declared
from api.house_views import AuditList, AuditRowView, ChainView
from api.routes.asked import Limit
from api.views import View
from api.visit import Visit
from appliance import audit
from appliance.moments import iso
from appliance.records import audit as rows

Fitting = Annotated[
    str, QueryParameter(name="q", description="Filter, such as `actor:meyer action:identity.* at<7d`; words by `filter-words`.")
]


class AnchorView(View, frozen=True, kw_only=True):
    """An anchor: number of rows and last hash, signed; `anchor` is all of it as one word."""

    anchor: str
    rows: int
    head: str
    at: str


@get("/api/audit", operation_id="listAudit", tags=["audit"], **declared("audit.read"))
async def list_audit(
    visit: NamedDependency[Visit],
    filter_text: Fitting = "",
    cursor: Annotated[int, QueryParameter(ge=0, description="`next` of the page before.")] = 0,
    limit: Limit = 200,
) -> AuditList:
    """Who did or saw what, newest first; reading the audit is in the audit."""
    found = await rows.page(cursor, limit + 1, text=filter_text, now=visit.now)
    if not cursor:
        await visit.note("audit.read", "")
    items = [AuditRowView(**{**msgspec.structs.asdict(one), "at": iso(one.at)}) for one in found[:limit]]
    return AuditList(items=items, next=str(items[-1].seq) if len(found) > limit else None)


@get("/api/audit/verify", operation_id="verifyAudit", tags=["audit"], **declared("audit.read", 422))
async def verify_audit(
    visit: NamedDependency[Visit],
    anchor: Annotated[str, QueryParameter(max_length=200, description="An anchor that was kept elsewhere.")] = "",
) -> ChainView:
    """Follows the chain from its first row; with an anchor it also finds rows that were cut off or replaced up to it."""
    found = await audit.verify(audit.read_anchor(visit.house.keys, anchor) if anchor else None)
    return ChainView(ok=found.ok, rows=found.rows, head=found.head, first_bad_seq=found.first_bad_seq)


@get("/api/audit/anchor", operation_id="getAuditAnchor", tags=["audit"], **declared("audit.read"))
async def get_anchor(visit: NamedDependency[Visit]) -> AnchorView:
    """How far the chain goes now, signed: to be kept elsewhere, and given to `verify` later."""
    found = await audit.anchor(visit.house.keys, visit.now)
    return AnchorView(anchor=found.text, rows=found.rows, head=found.head, at=iso(found.at))


@get(
    "/api/audit/export",
    operation_id="exportAudit",
    tags=["audit"],
    media_type="application/jsonl",
    **declared("audit.read"),
)
async def export_audit(visit: NamedDependency[Visit]) -> Stream:
    """The whole audit as JSON lines, hashes included, the anchor in the last line; exporting it is in the audit."""
    await visit.note("audit.export", "")
    headers = {"Content-Disposition": 'attachment; filename="ranvier-audit.jsonl"'}
    return Stream(audit.lines(visit.house.keys, visit.now), media_type="application/jsonl", headers=headers)


HANDLERS = (list_audit, verify_audit, get_anchor, export_audit)
