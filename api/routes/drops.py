"""What sites put into watched folders, and what became of it (REC-12)."""

from litestar import get
from litestar.di import NamedDependency

from api.guards import declared
from api.routes.asked import Few, Filter, Older
from api.views import View
from api.visit import Visit
from appliance.moments import iso
from appliance.records import drops


class DropView(View, frozen=True, kw_only=True):
    """One drop; the name it had in its folder is told there, in its receipt, and nowhere else."""

    drop: str
    folder: str
    state: str
    """TAKING, TAKEN (its receipt waits for the filing), DONE, or REFUSED."""
    stored: int
    left_out: int
    studies: list[str]
    detail: str
    created_at: str | None
    ended_at: str | None


class DropList(View, frozen=True, kw_only=True):
    """A page of drops."""

    items: list[DropView]
    next: str | None


@get("/api/drops", operation_id="listDrops", tags=["drops"], **declared("drops.read"))
async def list_drops(visit: NamedDependency[Visit], filter_text: Filter = "", before: Older = "", limit: Few = 100) -> DropList:
    """Drops, newest first."""
    rows, mark = await drops.page(filter_text, before=before, limit=limit, now=visit.now)
    found = await drops.studies_of_many(visit.house.records, [one.id for one in rows])
    return DropList(
        items=[
            DropView(
                drop=row.id,
                folder=row.folder,
                state=row.state,
                stored=row.stored,
                left_out=row.left_out,
                studies=[one for one in found.get(row.id, []) if one],
                detail=row.detail,
                created_at=iso(row.created_at),
                ended_at=iso(row.ended_at) if row.ended_at else None,
            )
            for row in rows
        ],
        next=mark or None,
    )


HANDLERS = (list_drops,)
