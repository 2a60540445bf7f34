"""Whether the API answers, and whether the appliance is well; for load balancers and monitors, without sign-in."""

from importlib.metadata import version

from litestar import get
from litestar.di import NamedDependency

from api.guards import declared
from api.house_views import AliveView, HealthView, PartView
from api.visit import Visit
from appliance.access.permissions import OPEN
from appliance.records import processes
from appliance.records.engine import DatabaseAway
from appliance.storage import RESERVE_BYTES

_KINDS = ("receive", "work")


@get("/health", operation_id="isAlive", tags=["status"], **declared(OPEN))
async def is_alive() -> AliveView:
    """Whether the API answers."""
    return AliveView(status="ok", version=version("ranvier"))


@get("/api/health", operation_id="getHealth", tags=["status"], **declared(OPEN))
async def get_health(visit: NamedDependency[Visit]) -> HealthView:
    """How database, receiver, worker and disk are; says nothing about what is held."""
    parts = await _processes(visit)
    free = visit.house.storage.free_bytes()
    disk = "ok" if free > 4 * RESERVE_BYTES else "degraded" if free > RESERVE_BYTES else "down"
    parts.append(PartView(name="disk", status=disk, detail="" if disk == "ok" else "nearly full"))
    states = {part.status for part in parts}
    return HealthView(status="down" if "down" in states else "degraded" if "degraded" in states else "ok", parts=parts)


async def _processes(visit: Visit) -> list[PartView]:
    try:
        alive = {one.kind for one in await processes.everyone() if one.alive(visit.now)}
    except (OSError, DatabaseAway):
        return [PartView(name="database", status="down", detail="does not answer")]
    states = [(kind, kind in alive) for kind in _KINDS]
    return [
        PartView(name="database", status="ok", detail=""),
        *(PartView(name=kind, status="ok" if up else "down", detail="" if up else "not running") for kind, up in states),
    ]


HANDLERS = (is_alive, get_health)
