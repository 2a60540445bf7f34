"""Notices: what was told to whom, what failed, what was suppressed and why (NOT-02)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.moments import new_id
from appliance.records.cohort_tables import Mark, Notice
from appliance.records.engine import Records
from appliance.records.latest import latest
from appliance.records.words import NOTICE_WORDS

READER, BEGUN = "notices", "notices-begun"


class NoticeRow(msgspec.Struct, kw_only=True, frozen=True):
    """One event on one way."""

    id: str
    seq: int
    subject: str
    severity: str
    route: str
    state: str
    """`waiting`, `sending`, `sent`, `failed` or `suppressed`."""
    reason: str
    """The other side's answer, or why it was suppressed."""
    digest: bool
    attempt: int
    worker: str
    lease_until: int
    not_before: int
    at: int
    sent_at: int | None
    topic: str
    body: str
    """What is told, as JSON; it names no patient."""


def _row(found: dict[str, Any]) -> NoticeRow:
    return msgspec.convert(found, NoticeRow, strict=False)


def identifier(seq: int, route: str, at: int) -> str:
    """The same for the same event and way: whoever reads the event twice writes one row."""
    routes = ("email", "webhook", "apprise", "none")
    return new_id(at, seq * len(routes) + routes.index(route))


async def mark() -> tuple[int, int] | None:
    """From which event on, and how far, they have been read; None when nobody has read any yet."""
    found = {str(row["name"]): int(row["seq"]) for row in await Mark.select().run()}
    return (found[BEGUN], found[READER]) if BEGUN in found else None


async def begin(records: Records, seq: int) -> None:
    """The first mark ever: what came before is told to nobody."""
    async with records.transaction():
        for name in (READER, BEGUN):
            await records.run("INSERT INTO marks (name, seq) VALUES ({}, {}) ON CONFLICT (name) DO NOTHING", name, seq)


async def set_mark(records: Records, seq: int) -> None:
    """Notes how far the events have been read; never back."""
    await records.run(
        "INSERT INTO marks (name, seq) VALUES ({}, {}) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq "
        "WHERE marks.seq < excluded.seq",
        READER,
        seq,
    )


async def add(records: Records, row: NoticeRow) -> None:
    """Stores a notice; one that is there stays as it is."""
    values = msgspec.structs.asdict(row)
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("{}" for _ in values)
    await records.run(f"INSERT INTO notices ({names}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING", *values.values())


async def last_told(records: Records, topic: str, before: int) -> int | None:
    """When the same was last told, or is about to be, by an earlier event."""
    rows = await records.run(
        "SELECT MAX(at) AS at FROM notices WHERE topic = {} AND state <> 'suppressed' AND seq < {}", topic, before
    )
    return int(rows[0]["at"]) if rows[0]["at"] is not None else None


async def claim(records: Records, *, worker: str, now: int, lease_ms: int, most: int = 200) -> list[NoticeRow]:
    """Takes what is due on one way: one notice that goes by itself, or all that go together; empty when nothing is due."""
    due = "(state = 'waiting' AND not_before <= {}) OR (state = 'sending' AND lease_until <= {})"
    first = await records.run(f"SELECT * FROM notices WHERE {due} ORDER BY not_before, id LIMIT 1", now, now)
    if not first:
        return []
    head = _row(first[0])
    together = "route = {} AND digest = {}" if head.digest else "id = {} AND digest = {}"
    rows = await records.run(
        "UPDATE notices SET state = 'sending', worker = {}, lease_until = {}, attempt = attempt + 1 WHERE id IN ("
        f"SELECT id FROM notices WHERE ({due}) AND {together} ORDER BY seq LIMIT {most}) AND ({due}) RETURNING *",
        *(worker, now + lease_ms, now, now, head.route if head.digest else head.id, head.digest, now, now),
    )
    return sorted((_row(row) for row in rows), key=lambda one: one.seq)


async def settle(
    records: Records, rows: Sequence[NoticeRow], state: str, reason: str, *, now: int, not_before: int = 0
) -> None:
    """Notes how notices were taken, where they are still ours."""
    for row in rows:
        await records.run(
            "UPDATE notices SET state = {}, reason = {}, worker = '', lease_until = 0, not_before = {}, sent_at = {} "
            "WHERE id = {} AND worker = {} AND attempt = {}",
            *(state, reason[:255], not_before or row.not_before, now if state == "sent" else None),
            *(row.id, row.worker, row.attempt),
        )


async def page(text: str = "", *, before: str = "", limit: int = 100, now: int = 0) -> tuple[list[NoticeRow], str]:
    """The newest notices that fit a filter, from one on, and the mark of the next page; raises `FilterProblem`."""
    rows, mark_of_next = await latest(Notice, NOTICE_WORDS, text=text, before=before, limit=limit, now=now)
    return [_row(row) for row in rows], mark_of_next
