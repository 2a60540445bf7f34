"""How much of the audit a syslog server has taken."""

import msgspec

from appliance.records.audit import AuditEntry
from appliance.records.tables import AuditRow, AuditSent


class Mark(msgspec.Struct, kw_only=True, frozen=True):
    """How far one destination is."""

    destination: str
    seq: int = 0
    """The last row that it has taken."""
    at: int = 0
    failing_since: int = 0
    """0: it takes what it is sent."""
    detail: str = ""


async def mark(destination: str) -> Mark:
    """How far a destination is; one that is not known has taken nothing."""
    row = await AuditSent.select().where(AuditSent.destination == destination).first().run()
    return msgspec.convert(row, Mark, strict=False) if row else Mark(destination=destination)


async def note(found: Mark) -> None:
    """Keeps how far a destination is."""
    values = msgspec.structs.asdict(found)
    changed = [getattr(AuditSent, name) for name in values if name != "destination"]
    await (
        AuditSent.insert(AuditSent(**values))
        .on_conflict(target=AuditSent.destination, action="DO UPDATE", values=changed)
        .run()
    )


async def rows_after(seq: int, limit: int) -> list[AuditEntry]:
    """Rows with a higher number, oldest first."""
    rows = await AuditRow.select().where(AuditRow.seq > seq).order_by(AuditRow.seq).limit(limit).run()
    return [msgspec.convert(row, AuditEntry) for row in rows]


async def waiting(seq: int) -> int:
    """How many rows have a higher number."""
    return int(await AuditRow.count().where(AuditRow.seq > seq).run())
