"""Audit rows: the newest, the next, a page, all in order. Rows are never changed or deleted here."""

import contextlib
from collections.abc import AsyncIterator

import msgspec

from appliance.records.filter import compile_filter
from appliance.records.tables import AuditRow
from appliance.records.words import AUDIT_WORDS

_LOCK = 7_263_842
_BATCH = 2000


class AuditEntry(msgspec.Struct, kw_only=True, frozen=True):
    """One row of the audit."""

    seq: int
    at: int
    actor: str
    action: str
    target: str
    origin: str
    result: str
    detail: str
    hash: str


@contextlib.asynccontextmanager
async def one_at_a_time() -> AsyncIterator[None]:
    """A transaction in which no other process can append: SQLite's own write lock, an advisory lock on PostgreSQL."""
    engine = AuditRow._meta.db
    async with engine.transaction():
        if engine.engine_type == "postgres":
            await AuditRow.raw("SELECT pg_advisory_xact_lock({})", _LOCK).run()
        yield


async def last() -> AuditEntry | None:
    """The newest row."""
    row = await AuditRow.select().order_by(AuditRow.seq, ascending=False).first().run()
    return msgspec.convert(row, AuditEntry) if row else None


async def add(entry: AuditEntry) -> None:
    """Stores a row under its own number."""
    await AuditRow.insert(AuditRow(**msgspec.structs.asdict(entry))).run()


async def page(before: int = 0, limit: int = 200, *, text: str = "", now: int = 0) -> list[AuditEntry]:
    """Rows with a lower number than `before` (0: from the newest) that fit a filter, newest first; raises `FilterProblem`."""
    fitting = compile_filter(text, AUDIT_WORDS, now)
    conditions = [one for one in (fitting.sql, "a.seq < {}" if before else "") if one]
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    values = (*fitting.values, *((before,) if before else ()), limit)
    rows = await AuditRow.raw(f"SELECT a.* FROM audit a {where}ORDER BY a.seq DESC LIMIT {{}}", *values).run()
    return [msgspec.convert(row, AuditEntry) for row in rows]


async def in_order() -> AsyncIterator[AuditEntry]:
    """Every row, oldest first, a batch in memory at a time."""
    seq = -(2**62)
    while True:
        rows = await AuditRow.select().where(AuditRow.seq > seq).order_by(AuditRow.seq).limit(_BATCH).run()
        for row in rows:
            yield msgspec.convert(row, AuditEntry)
        if len(rows) < _BATCH:
            return
        seq = rows[-1]["seq"]
