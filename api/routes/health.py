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

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_KINDS = ("receive", "work")


@get("/health", operation_id="isAlive", tags=["status"], **declared(OPEN))
async def is_alive() -> AliveView:
    """Whether the API answers."""
    return AliveView(status="ok", version=version("ranvier"))


@get("/api/health", operation_id="getHealth", tags=["status"], **declared(OPEN))
async def get_health(visit: NamedDependency[Visit]) -> HealthView:
    """How database, receiver, worker, disk and callers are; says nothing about what is held."""
    parts = await _processes(visit)
    free = visit.house.storage.free_bytes()
    disk = "ok" if free > 4 * RESERVE_BYTES else "degraded" if free > RESERVE_BYTES else "down"
    parts.append(PartView(name="disk", status=disk, detail="" if disk == "ok" else "nearly full"))
    parts.append(await _callers(visit))
    states = {part.status for part in parts}
    return HealthView(status="down" if "down" in states else "degraded" if "degraded" in states else "ok", parts=parts)


async def _callers(visit: Visit) -> PartView:
    """REC-13: whether anybody may send, and whether receiving is paused; a warning, not a fault."""
    try:
        section = (await visit.house.settings()).settings.receive
    except (OSError, DatabaseAway):
        return PartView(name="callers", status="unknown", detail="the settings cannot be read")
    if section.paused:
        return PartView(name="callers", status="warn", detail="receiving is paused for maintenance")
    if not section.allowed_callers and section.host not in _LOOPBACK:
        return PartView(name="callers", status="warn", detail="every calling AE title may send")
    return PartView(name="callers", status="ok", detail="")


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
