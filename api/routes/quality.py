"""Quality control of an order: what it found, its pictures, and consent to repair a gradient table."""

import os
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter
from litestar.response import File

from api.conditional import IfMatch, require_unchanged
from api.fill import order_by_id, qc_picture, qc_view
from api.guards import declared
from api.views import OrderView, QcView
from api.visit import Visit
from appliance import pipeline
from appliance.errors import Conflict
from appliance.records import orders


class PictureMissing(Conflict):
    """The picture of this check is no longer on disk."""

    code = "qc-picture-missing"
    next_step = "Run the order again, or restore the storage from a backup."


@get("/api/orders/{order:str}/qc", operation_id="getQc", tags=["orders"], **declared("orders.read", 404))
async def get_qc(visit: NamedDependency[Visit], order: FromPath[str]) -> QcView:
    """What quality control found, expected, and advises."""
    return await qc_view(await visit.id_of("order", order))


@get(
    "/api/orders/{order:str}/qc/{check:str}/picture",
    operation_id="getQcPicture",
    tags=["orders"],
    **declared("orders.read", 404, 409),
)
async def get_qc_picture(
    visit: NamedDependency[Visit],
    order: FromPath[str],
    check: Annotated[str, PathParameter(description="Name of the check, as in the findings.")],
) -> File:
    """The picture of one check as PNG."""
    row = await orders.get(await visit.id_of("order", order))
    picture = qc_picture(row, check)
    path = visit.house.storage.quality(row.study, row.study_version, row.id) / picture
    if not os.path.isfile(path):
        raise PictureMissing()
    await visit.note("order.qc-picture", row.id, detail=check)
    return File(path=path, filename=f"{row.id}_{picture}", media_type="image/png", content_disposition_type="attachment")


@post(
    "/api/orders/{order:str}/repair-gradients",
    operation_id="repairGradients",
    tags=["orders"],
    status_code=200,
    **declared("orders.repair", 404, 409, 412),
)
async def repair_gradients(visit: NamedDependency[Visit], order: FromPath[str], if_match: IfMatch = "") -> OrderView:
    """Consent to the proposed repair of the gradient tables: QC runs again and the analysis uses the repaired table.

    The images stay as they were received. An order that has its report already keeps it; the answer is then a new order.
    """
    found = await visit.id_of("order", order)
    if if_match:
        require_unchanged(await order_by_id(found), if_match)
    async with visit.audited("order.repair-gradients", found):
        carrier = await pipeline.repair_gradients(visit.house, found, actor=visit.caller.name, now=visit.now)
    return await order_by_id(carrier)


HANDLERS = (get_qc, get_qc_picture, repair_gradients)
