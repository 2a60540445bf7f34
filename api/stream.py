"""The live events: one reader of the records for all clients, each of which follows with a place of its own.

A client that comes with the number of the last event it saw gets what it missed from the records, then goes on live. The
newest events stay in memory; a client that falls behind them reads from the records again and costs no memory.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from appliance.moments import iso, now_ms
from appliance.records import events
from appliance.records.events import Stored

log = logging.getLogger(__name__)

CADENCE_S = 0.3
AFTER_FAULT_S = 3.0
KEPT = 2000
BATCH = 500
GAP_MS = 1500
"""How long a missing number is waited for on PostgreSQL, where a lower number may be committed later than a higher one."""


class EventView(msgspec.Struct, kw_only=True, frozen=True):
    """One event as clients read it."""

    seq: int
    at: str
    name: str
    severity: str
    title: str
    text: str
    study: str
    order: str
    body: msgspec.Raw


def event_view(stored: Stored) -> EventView:
    """An event with its title and sentence."""
    event = stored.event
    return EventView(
        seq=stored.seq,
        at=iso(stored.at),
        name=stored.name,
        severity=stored.severity,
        title=event.title,
        text=event.text(),
        study=stored.study,
        order=stored.order,
        body=stored.body,
    )


def frame(stored: Stored) -> bytes:
    """One event in the form of the stream (HTML Living Standard, section 9.2)."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        stored.seq,
        stored.name.encode(),
        msgspec.json.encode(event_view(stored)),
    )


def settled(rows: Sequence[Stored], last: int, now: int) -> list[Stored]:
    """The rows up to the first young gap in their numbers: what is missing there may still be committed."""
    for index, row in enumerate(rows):
        if row.seq != last + 1 and now - row.at < GAP_MS:
            return list(rows[:index])
        last = row.seq
    return list(rows)


class Feed:
    """Reads the events once for everybody."""

    def __init__(self, *, gaps: bool, cadence_s: float = CADENCE_S) -> None:
        self._gaps = gaps
        self._cadence_s = cadence_s
        self._newest: deque[Stored] = deque(maxlen=KEPT)
        self._floor = 0
        self._head = 0
        self._readers = 0
        self._news = asyncio.Event()
        self._wanted = asyncio.Event()
        self._opening = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Reads while the block lasts, as long as somebody follows."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def close(self) -> None:
        """Ends every stream, so that the server can end."""
        self._closed = True
        self._tell()

    async def follow(self, after: int | None, beat_s: float, study: str = "") -> AsyncIterator[Stored | None]:
        """Events with a higher number than `after` (None: from now on), and None after every `beat_s` without one."""
        self._readers += 1
        try:
            await self._begin()
            cursor = self._head if after is None else after
            while not self._closed:
                news = self._news
                batch = await self._since(cursor)
                for stored in batch:
                    cursor = stored.seq
                    if not study or stored.study == study:
                        yield stored
                if batch:
                    continue
                try:
                    await asyncio.wait_for(news.wait(), beat_s)
                except TimeoutError:
                    yield None
        finally:
            self._readers -= 1
            if not self._readers:
                self._wanted.clear()

    async def _begin(self) -> None:
        async with self._opening:
            if not self._wanted.is_set():
                self._newest.clear()
                self._head = self._floor = await events.newest_seq()
                self._wanted.set()

    async def _since(self, cursor: int) -> list[Stored]:
        if cursor >= self._floor:
            return [stored for stored in self._newest if stored.seq > cursor]
        head = self._head
        return [stored for stored in await events.after(cursor, BATCH) if stored.seq <= head]

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                await self._read()
                await asyncio.sleep(self._cadence_s)
            except Exception:
                # The edge of a task that nobody awaits: a database that is away must not end the stream for good.
                log.exception("the events could not be read", extra={"code": "events-unread"})
                await asyncio.sleep(AFTER_FAULT_S)

    async def _read(self) -> None:
        rows: Sequence[Stored] = await events.after(self._head, BATCH)
        if self._gaps:
            rows = settled(rows, self._head, now_ms())
        # Everybody may have left and come again while the records were read: what is behind the head is not news.
        for stored in (one for one in rows if one.seq > self._head):
            if len(self._newest) == KEPT:
                self._floor = self._newest[0].seq
            self._newest.append(stored)
            self._head = stored.seq
        if rows:
            self._tell()

    def _tell(self) -> None:
        told, self._news = self._news, asyncio.Event()
        told.set()
