"""Event rows: append, and read on from a sequence number."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from appliance.events import Event, catalogue
from appliance.records.tables import EventRow

E = TypeVar("E", bound=Event)


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it stands in the records."""

    seq: int
    at: int
    name: str
    severity: str
    study: str
    order: str
    body: msgspec.Raw

    @property
    def event(self) -> Event:
        """The typed event; unknown names (of a newer version) become a bare `Event`."""
        kind = catalogue().get(self.name, Event)
        return msgspec.json.decode(self.body, type=kind) if kind is not Event else Event(study=self.study, order=self.order)


async def append(event: Event, now: int) -> int:
    """Writes an event and gives its sequence number; joins the transaction that is open."""
    row = EventRow(
        at=now,
        name=event.name(),
        severity=event.severity,
        study=event.study,
        order=event.order,
        body=msgspec.json.encode(event).decode(),
    )
    return int((await EventRow.insert(row).run())[0]["seq"])


async def after(seq: int, limit: int = 500, study: str = "", order: str = "") -> list[Stored]:
    """Events with a higher sequence number, oldest first, of one study or order if named."""
    query = EventRow.select().where(EventRow.seq > seq)
    if study:
        query = query.where(EventRow.study == study)
    if order:
        query = query.where(EventRow.order == order)
    rows = await query.order_by(EventRow.seq).limit(limit).run()
    return [_stored(row) for row in rows]


async def since(kind: type[E], at: int) -> list[E]:
    """Events of one kind that are not older than a moment, oldest first."""
    rows = (
        await EventRow.select(EventRow.body)
        .where(EventRow.name == kind.name())
        .where(EventRow.at >= at)
        .order_by(EventRow.seq)
        .run()
    )
    return [msgspec.json.decode(str(row["body"]), type=kind) for row in rows]


async def named(names: Sequence[str], *, after: int = 0, study: str = "", limit: int = 1000) -> list[Stored]:
    """Events of some names with a higher sequence number, oldest first, of one study if named."""
    query = EventRow.select().where(EventRow.seq > after).where(EventRow.name.is_in(list(names)))
    if study:
        query = query.where(EventRow.study == study)
    return [_stored(row) for row in await query.order_by(EventRow.seq).limit(limit).run()]


async def newest(kinds: Sequence[type[Event]], limit: int, before: int = 0) -> list[Stored]:
    """The newest events of some kinds, newest first; with `before` those of a lower number."""
    names = [kind.name() for kind in kinds]
    query = EventRow.select().where(EventRow.name.is_in(names))
    query = (query.where(EventRow.seq < before) if before else query).order_by(EventRow.seq, ascending=False).limit(limit)
    return [_stored(row) for row in await query.run()]


async def newest_seq() -> int:
    """The sequence number of the last event; 0 when there is none."""
    row = await EventRow.select(EventRow.seq).order_by(EventRow.seq, ascending=False).first().run()
    return int(row["seq"]) if row else 0


def _stored(row: dict[str, object]) -> Stored:
    return msgspec.convert({**row, "order": row["order_id"], "body": msgspec.Raw(str(row["body"]).encode())}, Stored)


async def replace_progress(event: Event, now: int) -> None:
    """Writes a progress event in place of the order's last one, so that a long stage does not fill the table."""
    await EventRow.delete().where(EventRow.order == event.order).where(EventRow.name == event.name()).run()
    await append(event, now)
