"""Deleting an order or a study; a dry run names what would go."""

from typing import Annotated

from litestar import delete
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.guards import declared
from api.views import View
from api.visit import Visit
from appliance import removal
from appliance.removal import Traces

DryRun = Annotated[bool, QueryParameter(description="Name what would go, and delete nothing.")]


class Deleted(View, frozen=True, kw_only=True):
    """What went: orders, rows by table, files and their bytes; in a dry run what would go."""

    dry_run: bool
    orders: list[str]
    rows: dict[str, int]
    files: int
    bytes: int


def _view(found: Traces, *, dry_run: bool) -> Deleted:
    return Deleted(dry_run=dry_run, orders=found.orders, rows=found.rows, files=found.files, bytes=found.bytes)


@delete(
    "/api/studies/{study:str}",
    operation_id="deleteStudy",
    tags=["studies"],
    status_code=200,
    **declared("studies.delete", 404, 409),
)
async def delete_study(visit: NamedDependency[Visit], study: FromPath[str], dry_run: DryRun = False) -> Deleted:
    """Deletes a study with its orders, reports, previews, files and identity; events and audit stay."""
    found = await visit.id_of("study", study)
    if dry_run:
        traces = await removal.delete_study(visit.house, found, actor=visit.caller.name, now=visit.now, dry_run=True)
        return _view(traces, dry_run=True)
    async with visit.audited("study.delete", found):
        traces = await removal.delete_study(visit.house, found, actor=visit.caller.name, now=visit.now)
    await visit.note("study.deleted", found, detail=traces.words)
    return _view(traces, dry_run=False)


@delete(
    "/api/orders/{order:str}",
    operation_id="deleteOrder",
    tags=["orders"],
    status_code=200,
    **declared("orders.delete", 404, 409),
)
async def delete_order(visit: NamedDependency[Visit], order: FromPath[str], dry_run: DryRun = False) -> Deleted:
    """Deletes an order with its reports, previews and files; its study stays."""
    found = await visit.id_of("order", order)
    if dry_run:
        traces = await removal.delete_order(visit.house, found, actor=visit.caller.name, now=visit.now, dry_run=True)
        return _view(traces, dry_run=True)
    async with visit.audited("order.delete", found):
        traces = await removal.delete_order(visit.house, found, actor=visit.caller.name, now=visit.now)
    await visit.note("order.deleted", found, detail=traces.words)
    return _view(traces, dry_run=False)


HANDLERS = (delete_study, delete_order)
