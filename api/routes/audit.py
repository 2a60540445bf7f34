"""The audit: read it, and follow its hash chain."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.guards import declared
from api.house_views import AuditList, AuditRowView, ChainView
from api.routes.asked import Limit
from api.visit import Visit
from appliance import audit
from appliance.moments import iso
from appliance.records import audit as rows


@get("/api/audit", operation_id="listAudit", tags=["audit"], **declared("audit.read"))
async def list_audit(
    visit: NamedDependency[Visit],
    cursor: Annotated[int, QueryParameter(ge=0, description="`next` of the page before.")] = 0,
    limit: Limit = 200,
) -> AuditList:
    """Who did or saw what, newest first; reading the audit is in the audit."""
    found = await rows.page(cursor, limit + 1)
    if not cursor:
        await visit.note("audit.read", "")
    items = [AuditRowView(**{**msgspec.structs.asdict(one), "at": iso(one.at)}) for one in found[:limit]]
    return AuditList(items=items, next=str(items[-1].seq) if len(found) > limit else None)


@get("/api/audit/verify", operation_id="verifyAudit", tags=["audit"], **declared("audit.read"))
async def verify_audit() -> ChainView:
    """Follows the chain from its first row."""
    found = await audit.verify()
    return ChainView(ok=found.ok, rows=found.rows, head=found.head, first_bad_seq=found.first_bad_seq)


HANDLERS = (list_audit, verify_audit)
