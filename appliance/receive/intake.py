"""From the listener's threads to the records: one queue, one task that files in batches.

Acknowledged instances wait in the inbox on disk; the queue only spares reading them again. When the database is locked or away
the queue stops growing at its limit, what is beyond it is read from the inbox later, and senders notice nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

import msgspec

from appliance.events import AssociationFailed, AssociationRefused, Event, LowDisk
from appliance.receive.endings import Trouble
from appliance.receive.filing import Filer
from appliance.receive.holds import Holds
from appliance.receive.inbox import Arrival, Inbox, recovered_all, recovered_entries
from appliance.receive.journal import Entry
from appliance.records import events
from appliance.records.engine import of_database
from appliance.storage import RESERVE_BYTES, OutOfSpace, Storage

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.3
"""How long the first arrival of a batch waits for others: one synced transaction serves them all. The end of an association
ends the wait."""
BATCH = 500
QUEUE = 4_000
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0
_ENOUGH_BYTES = 4 * RESERVE_BYTES


REPEAT_MS = 60_000
MOST_TROUBLES = 1_000

Audited = Callable[[str, str, str], Awaitable[None]]
"""Writes into the audit that a caller was refused: its AE title, its address, the reason."""


async def nobody(_caller: str, _address: str, _reason: str) -> None:
    """Without an audit."""


class Opened(msgspec.Struct, frozen=True):
    """In the queue before the first arrival of an association."""

    association: str
    sender: str


class Ended(msgspec.Struct, frozen=True):
    """In the queue behind the last arrival of an association."""

    association: str


Item = Arrival | Entry | Opened | Ended | Event


class Intake:
    """Takes what the listener tells, from any thread, and files it."""

    def __init__(
        self,
        storage: Storage,
        inbox: Inbox,
        filer: Filer,
        holds: Holds,
        *,
        clock: Callable[[], int],
        audited: Audited = nobody,
    ) -> None:
        self._audited = audited
        self._troubles: dict[tuple[str, ...], int] = {}
        self._storage = storage
        self._inbox = inbox
        self._filer = filer
        self._holds = holds
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Item] = deque()
        self._wake = asyncio.Event()
        self._enough = asyncio.Event()
        self._beyond = self._called = False
        self._busy = False
        self._low = False
        self._closing = False
        self._one_at_a_time = asyncio.Lock()

    def arrived(self, arrival: Arrival) -> None:
        """From any thread: an instance is on disk."""
        self._hand_over(lambda: self._put(arrival))

    def journalled(self, entry: Entry) -> None:
        """From any thread: an instance is in the journal. Of these the queue has no limit: an entry is small."""
        self._queue.append(entry)
        if not self._called:
            self._called = True
            self._hand_over(self._wake.set)
        elif len(self._queue) == BATCH:
            self._hand_over(self._enough.set)

    def opened(self, association: str, sender: str) -> None:
        """From any thread: an association was accepted."""
        self._queue.append(Opened(association, sender))
        # Left in the queue, it would look like work to do for as long as the association says nothing.
        if not self._called:
            self._called = True
            self._hand_over(self._wake.set)

    def ended(self, association: str) -> None:
        """From any thread: an association has ended and nothing more comes by it."""
        self._hand_over(lambda: self._end(association))

    def _end(self, association: str) -> None:
        self._put(Ended(association))
        self._enough.set()

    def refused(self, caller: str, address: str, trouble: Trouble) -> None:
        """From any thread: a caller was turned away."""
        event = AssociationRefused(caller=caller, address=address, reason=trouble.sentence, advice=trouble.advice)
        self._hand_over(lambda: self._say_trouble(event, ("refused", caller, address, trouble.sentence)))

    def failed(self, caller: str, address: str, trouble: Trouble) -> None:
        """From any thread: an association was aborted, broke off, or left instances unstored."""
        event = AssociationFailed(caller=caller, address=address, reason=trouble.sentence, advice=trouble.advice)
        # The sentence counts instances: the advice stands for the kind of trouble.
        self._hand_over(lambda: self._say_trouble(event, ("failed", caller, address, trouble.advice)))

    def _say_trouble(self, event: Event, alike: tuple[str, ...]) -> None:
        """Once in a while for each caller and reason: a device that tries every second must not fill the records."""
        now = self._clock()
        if abs(now - self._troubles.get(alike, now - REPEAT_MS)) < REPEAT_MS:
            return
        if len(self._troubles) >= MOST_TROUBLES:
            self._troubles.clear()
        self._troubles[alike] = now
        self._put(event)

    def low_disk(self) -> None:
        """From any thread: an instance was refused for want of space."""
        self._hand_over(self._say_low_disk)

    def _hand_over(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            # The loop has ended: the instance is safe in its inbox, and the next receiver files it.
            log.info("told after the end of the process")

    def _put(self, item: Item) -> None:
        if isinstance(item, Arrival) and len(self._queue) >= QUEUE:
            self._beyond = True
        else:
            self._queue.append(item)
        self._wake.set()

    def _say_low_disk(self) -> None:
        if not self._low:
            self._low = True
            free = self._storage.free_bytes() >> 20
            log.error("the disk is full: %d MB left", free, extra={"code": OutOfSpace.code})
            self._put(LowDisk(free_mb=free, reserve_mb=RESERVE_BYTES >> 20))

    def look_at_disk(self) -> None:
        """Notes that there is room again, and occupies the reserve anew."""
        if self._storage.free_bytes() > _ENOUGH_BYTES:
            self._low = False
        self._storage.tend_reserve()

    @property
    def idle(self) -> bool:
        """Whether everything that arrived is filed."""
        return not (self._queue or self._beyond or self._busy)

    async def run(self) -> None:
        """Files until `close` was called and nothing is left."""
        while not (self._closing and self.idle):
            await self._wake.wait()
            if not self._closing and len(self._queue) < BATCH:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._enough.wait(), GATHER_SECONDS)
            self._wake.clear()
            self._enough.clear()
            self._called = False
            self._busy = True
            try:
                await self._work_off()
            finally:
                self._busy = False
            if not self.idle:
                self._wake.set()

    def close(self) -> None:
        """Lets `run` end when all is filed."""
        self._closing = True
        self._wake.set()
        self._enough.set()

    async def _work_off(self) -> None:
        items = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        if not items and self._beyond:
            await self.file(await asyncio.to_thread(self._from_disk))
            return
        for one in items:
            if isinstance(one, Opened):
                self._holds.opened(one.association, one.sender)
        entries = [one for one in items if isinstance(one, Entry)]
        found = await asyncio.to_thread(recovered_entries, entries) if entries else []
        await self.file([*(one for one in items if isinstance(one, Arrival)), *found])
        for one in items:
            if isinstance(one, Ended):
                await self.patiently(partial(self._holds.closed, one.association))
            elif isinstance(one, Event):
                await self.patiently(partial(self._append, one))
                if isinstance(one, AssociationRefused):
                    await self.patiently(partial(self._audited, one.caller, one.address, one.reason))

    async def _append(self, event: Event) -> None:
        await events.append(event, self._clock())

    def _from_disk(self) -> list[Arrival]:
        waiting = self._inbox.waiting()
        self._beyond = len(waiting) > BATCH
        return recovered_all(waiting[:BATCH])

    async def file(self, batch: Sequence[Arrival]) -> None:
        """Files a batch however long the database or the disk is away; what cannot be filed by its own fault is set aside."""
        if not batch:
            return
        try:
            await self.patiently(partial(self._file_once, batch))
        except Exception as fault:
            # An edge of the process: one instance that nobody foresaw must not keep all others from being filed.
            log.error("filing %d instances failed: %s", len(batch), type(fault).__name__, exc_info=fault, extra=_FAILED)
            if len(batch) == 1:
                await self.patiently(partial(self._filer.quarantine, batch[0], "filing-failed", self._clock()))
            else:
                for arrival in batch:
                    await self.file([arrival])

    async def _file_once(self, batch: Sequence[Arrival]) -> None:
        async with self._one_at_a_time:
            filed = await self._filer.file(batch, self._clock(), holds=self._holds)
        log.info(
            "filed %d instances (%d resent, %d conflicts, %d set aside)",
            filed.stored,
            filed.identical,
            filed.conflicts,
            filed.quarantined,
        )

    async def patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Does a piece of work again until database and disk let it through; raises what is the work's own fault."""
        wait = FIRST_WAIT
        while True:
            try:
                return await work()
            except Exception as fault:
                if not of_environment(fault):
                    raise
                if isinstance(fault, OutOfSpace) or "full" in str(fault):
                    # The reserve was kept for this: what was acknowledged gets its rows.
                    self._storage.free_reserve()
                    self._say_low_disk()
                log.warning("filing waits %.1f s: %s", wait, type(fault).__name__, extra=_FAILED)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


_FAILED = {"code": "filing-failed"}


def of_environment(fault: Exception) -> bool:
    """Whether a fault is the database's or the disk's, so that the same work can succeed later."""
    if isinstance(fault, FileNotFoundError):
        return False
    return isinstance(fault, (OSError, OutOfSpace)) or of_database(fault)
