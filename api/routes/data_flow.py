"""Where anything leaves this appliance to, and what (UI-12)."""

from litestar import get
from litestar.di import NamedDependency

from api.guards import declared
from api.views import View, at
from api.visit import Visit
from appliance import dataflow
from appliance.dataflow import Encrypted, Identified


class FlowView(View, frozen=True, kw_only=True):
    """One outbound destination of the settings."""

    section: str
    name: str
    protocol: str
    address: str
    gets: str
    identified: Identified
    encrypted: Encrypted
    active: bool
    remark: str
    last_use: str | None
    """The last delivery that succeeded; null where nothing was sent yet, or it is not counted."""


@get("/api/data-flow", operation_id="getDataFlow", tags=["status"], **declared("data-flow.read"))
async def get_data_flow(visit: NamedDependency[Visit]) -> list[FlowView]:
    """Every outbound destination: what it gets, identified or not, encrypted or not, when it was last used."""
    return [
        FlowView(
            section=one.section,
            name=one.name,
            protocol=one.protocol,
            address=one.address,
            gets=one.gets,
            identified=one.identified,
            encrypted=one.encrypted,
            active=one.active,
            remark=one.remark,
            last_use=at(one.last_at),
        )
        for one in await dataflow.flows(visit.house)
    ]


HANDLERS = (get_data_flow,)
