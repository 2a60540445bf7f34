"""Instances that come by HTTP (STOW-RS, PS3.18 section 10.5) go the way of those that come by DICOM: same journal, same filing.

A process that takes them is a receiver without a listener: it has an inbox of its own, which others adopt when it dies. The
inbox is opened by the first request and given back when none came for a while, so that a receiver that begins can be alone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress

import msgspec

from appliance.moments import new_id, now_ms
from appliance.receive import header as tags
from appliance.receive.filing import Filer
from appliance.receive.header import head_uids, read_header
from appliance.receive.holds import Holds
from appliance.receive.inbox import Inbox, Roll, on_the_roll
from appliance.receive.intake import Intake
from appliance.receive.journal import Journal, Writing
from appliance.receive.multipart import Begin, End, NotMultipart, Parts, Piece
from appliance.receive.part10 import Origin, prefix, read_prefix
from appliance.receive.safely import status_after
from appliance.receive.statuses import CANNOT_UNDERSTAND, SUCCESS, status_against
from appliance.records import studies
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.storage import Storage

log = logging.getLogger(__name__)

ANOTHER_STUDY = 0xC409
"""The instance is not of the study that the address names."""
PULSE_SECONDS = 5.0
QUIET_SECONDS = 60.0
LAST_FILING_SECONDS = 8.0
_HEAD_BYTES = 256 << 10
_ROOM_BYTES = 16 << 20


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one instance: 0 when it is synced, else a failure reason (PS3.18 Table 10.5.3-2, PS3.4 Annex B)."""

    sop_class: str
    sop_instance: str
    study: str
    series: str
    status: int


class Taking:
    """The instances of one request: fed with its body in a thread, each synced before the next one begins."""

    def __init__(self, parts: Parts | None, journal: Journal, intake: Intake, inbox: Inbox, sender: Origin, study: str) -> None:
        """`parts` None: the body is one instance. `study`: the only study that is taken; empty takes all."""
        self.outcomes: list[Outcome] = []
        self._parts, self._journal, self._intake, self._inbox, self._study = parts, journal, intake, inbox, study
        self._sender = sender
        self._reset()

    def _reset(self) -> None:
        self._head, self._size, self._status = b"", 0, SUCCESS
        self._writing: Writing | None = None
        self._origin: Origin | None = None
        self._places = ("", "")

    def feed(self, data: bytes) -> None:
        """A piece of the body; raises `NotMultipart`."""
        if self._parts is None:
            self._piece(data)
            return
        for told in self._parts.feed(data):
            if isinstance(told, Begin):
                self._reset()
                if told.fields.get("content-type", "application/dicom").partition(";")[0].strip() != "application/dicom":
                    self._status = CANNOT_UNDERSTAND
            elif isinstance(told, Piece):
                self._piece(told.data)
            elif isinstance(told, End):
                self._end()

    def finish(self) -> None:
        """The body has ended; raises `NotMultipart` when it has not ended as it should."""
        if self._parts is None:
            self._end()
        elif not self._parts.complete:
            raise NotMultipart("the body ends too early")

    def close(self) -> None:
        """Nothing more comes; what is not complete is taken back."""
        self._abandon()
        self._journal.close()

    def _piece(self, data: bytes) -> None:
        self._size += len(data)
        if self._status != SUCCESS:
            return
        if self._writing is None:
            self._head += data
            if len(self._head) >= _HEAD_BYTES:
                self._do(lambda: self._begin(whole=False))
        else:
            writing = self._writing
            self._do(lambda: writing.add([data]))

    def _end(self) -> None:
        if self._status == SUCCESS and self._writing is None:
            self._do(lambda: self._begin(whole=True))
        if self._status == SUCCESS:
            self._do(self._commit)
        if self._status != SUCCESS:
            self._abandon()
            log.warning("an instance of %s was refused with 0x%04X", self._sender.sender, self._status)
        found = self._origin or self._sender
        study, series = self._places
        self.outcomes.append(
            Outcome(sop_class=found.sop_class, sop_instance=found.sop_instance, study=study, series=series, status=self._status)
        )
        self._reset()

    def _begin(self, *, whole: bool) -> int:
        """The head is here: what it says is checked, then it goes into the journal."""
        origin, start = read_prefix(self._head)
        data = memoryview(self._head)[start:]
        found = head_uids(data, origin.transfer_syntax, whole=whole)
        if not all(found):
            found = head_uids(data, origin.transfer_syntax, whole=True)
        self._origin = msgspec.structs.replace(
            self._sender,
            sop_class=origin.sop_class or found[0],
            sop_instance=origin.sop_instance or found[1],
            transfer_syntax=origin.transfer_syntax,
        )
        header = read_header(data, origin.transfer_syntax)
        self._places = header.uid(tags.STUDY_INSTANCE), header.uid(tags.SERIES_INSTANCE)
        status = status_against((self._origin.sop_class, self._origin.sop_instance), found)
        if status == SUCCESS and self._study and self._places[0] != self._study:
            status = ANOTHER_STUDY
        if status != SUCCESS:
            return status
        self._inbox.require_space(max(self._size, _ROOM_BYTES))
        now = now_ms()
        self._writing = self._journal.begin(new_id(now), now, prefix(self._origin))
        if not whole:
            self._writing.add([bytes(data)])
            self._head = b""
        else:
            self._head = bytes(data)
        return SUCCESS

    def _commit(self) -> None:
        if self._writing is None or self._origin is None:
            return
        self._inbox.require_space(self._size)
        entry = self._writing.commit([self._head] if self._head else [], self._origin)
        self._writing = None
        self._intake.journalled(entry)

    def _abandon(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.abandon()

    def _do(self, work: Callable[[], int | None]) -> None:
        self._status = status_after(work, low_disk=self._intake.low_disk)


class Postbox:
    """What a process holds that takes instances by HTTP."""

    def __init__(self, storage: Storage, keys: Sealer, records: Records, *, clock: Callable[[], int] = now_ms) -> None:
        self._storage, self._keys, self._records, self._clock = storage, keys, records, clock
        self._turn = asyncio.Lock()
        self._desk: _Desk | None = None

    @asynccontextmanager
    async def taking(self, parts: Parts | None, *, sender: str, address: str, study: str = "") -> AsyncIterator[Taking]:
        """Takes one request's instances for the time of a block; `sender` stands for the AE title, as far as it can."""
        desk = await self._opened()
        association = new_id(self._clock())
        known = Origin(sop_class="", sop_instance="", transfer_syntax="", sender=title(sender), address=address)
        taking = Taking(parts, desk.inbox.journal(association), desk.intake, desk.inbox, known, study)
        desk.intake.opened(association, known.sender)
        desk.open += 1
        try:
            yield taking
        finally:
            await asyncio.shield(asyncio.to_thread(taking.close))
            desk.intake.ended(association)
            desk.open -= 1
            desk.quiet_since = asyncio.get_running_loop().time()

    async def settle(self) -> None:
        """Gives the inbox back when nothing came for a while."""
        async with self._turn:
            desk = self._desk
            if desk is None or desk.open or not desk.intake.idle:
                return
            if asyncio.get_running_loop().time() - desk.quiet_since > QUIET_SECONDS:
                self._desk = None
                await desk.end()

    async def close(self) -> None:
        """Files what came; what is not filed in time stays for the next receiver."""
        async with self._turn:
            desk, self._desk = self._desk, None
            if desk is not None:
                await desk.end()

    async def _opened(self) -> "_Desk":
        async with self._turn:
            if self._desk is None:
                self._desk = await _Desk.begun(self, self._storage, self._keys, self._records, self._clock)
            return self._desk


class _Desk:
    """An inbox with its filing, from the first request to the last."""

    def __init__(
        self, box: Postbox, inbox: Inbox, intake: Intake, roll: AbstractContextManager[Roll], clock: Callable[[], int]
    ) -> None:
        self.inbox, self.intake, self._roll, self._clock = inbox, intake, roll, clock
        self.open = 0
        self.quiet_since = asyncio.get_running_loop().time()
        self._filing = asyncio.create_task(intake.run())
        self._pulse = asyncio.create_task(self._beat(box))

    @classmethod
    async def begun(cls, box: Postbox, storage: Storage, keys: Sealer, records: Records, clock: Callable[[], int]) -> "_Desk":
        roll = on_the_roll(storage)
        listed = roll.__enter__()
        await asyncio.to_thread(listed.join)
        inbox = await asyncio.to_thread(Inbox, storage)
        intake = Intake(storage, inbox, Filer(storage, keys, records), Holds(inbox.id), clock=clock)
        return cls(box, inbox, intake, roll, clock)

    async def _beat(self, box: Postbox) -> None:
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            try:
                await studies.touch_activities(self.inbox.id, self._clock())
                await asyncio.to_thread(self.intake.look_at_disk)
            except Exception as fault:
                # An edge of the process: a database that is away must not end receiving.
                log.error("the postbox' pulse failed: %s", type(fault).__name__, exc_info=fault, extra={"code": "pulse-failed"})
            if not self.open:
                asyncio.get_running_loop().create_task(box.settle())

    async def end(self) -> None:
        """Files what is left and lets go of the inbox."""
        self._pulse.cancel()
        self.intake.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._filing, LAST_FILING_SECONDS)
            await studies.close_activities_of(self.inbox.id)
        self.inbox.close()
        self._roll.__exit__(None, None, None)


def title(name: str) -> str:
    """A name as an AE title (PS3.5 section 6.2): printable, without backslash, 16 letters."""
    plain = "".join(one if " " < one < "\x7f" and one != "\\" else "_" for one in name)
    return plain[:16] or "HTTP"
