"""The fast way of a C-STORE: from views into the receive buffer to a synced record and an answer, without a copy of the pixels.

Before the answer only the command set, the UIDs at the head of the data set and free space are looked at; everything else is
found when the instance is filed.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from appliance.moments import new_id
from appliance.receive.endings import Tally
from appliance.receive.header import head_uids, is_uid
from appliance.receive.journal import Entry, Journal, Writing
from appliance.receive.messages import Command, store_response
from appliance.receive.part10 import Origin, prefix
from appliance.receive.safely import status_after
from appliance.receive.statuses import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, status_against

log = logging.getLogger(__name__)

_HEAD_BYTES = 256 << 10
_FIRST_BYTES: Final = 2048
"""The UIDs stand at the very head of nearly every data set."""
_MOST_PIECES = 900


class Told(Protocol):
    """Who is told of what is durable, and of what was refused for want of space."""

    def journalled(self, entry: Entry) -> None:
        """An instance is synced and will be acknowledged."""

    def low_disk(self) -> None:
        """An instance was refused because the disk is full."""


class Storing:
    """Takes the C-STORE requests of one association."""

    def __init__(
        self,
        journal: Journal,
        contexts: Mapping[int, tuple[str, str]],
        origin: Origin,
        told: Told,
        *,
        clock: Callable[[], int],
        room: Callable[[int], None],
        answer: Callable[[bytes], None],
        tally: Tally,
        refusing: Callable[[], bool] = lambda: False,
    ) -> None:
        """`contexts` gives SOP class and transfer syntax by context ID; `room` raises `OutOfSpace` for what does not fit."""
        self._journal = journal
        self._contexts = contexts
        self._origin = origin
        self._told = told
        self._clock = clock
        self._room = room
        self._answer = answer
        self._tally = tally
        self._refusing = refusing
        self._command = Command(0, 0, b"", b"")
        self._syntax = ""
        self._status = SUCCESS
        self._pieces: list[memoryview] = []
        self._waiting = 0
        self._head = b""
        self._writing: Writing | None = None
        self._largest = 0
        self._size = 0

    def begin(self, command: Command) -> bool:
        """A request begins; one on a context that is not for its class is pynetdicom's."""
        context = self._contexts.get(command.context)
        if context is None or context[0].encode() != command.sop_class:
            return False
        self._command, self._syntax = command, context[1]
        self._status, self._writing, self._size, self._head = SUCCESS, None, 0, b""
        if not is_uid(command.sop_instance.decode("ascii", "replace")):
            self._status = CANNOT_UNDERSTAND
        elif self._refusing():
            self._status = OUT_OF_RESOURCES
        else:
            # The length is not announced: what is as large as the largest so far must fit.
            self._do(lambda: self._room(self._largest))
        return True

    def piece(self, data: memoryview) -> None:
        """A part of the data set."""
        self._size += len(data)
        if self._status == SUCCESS:
            self._pieces.append(data)
            if len(self._pieces) >= _MOST_PIECES:
                self.flush()

    def flush(self) -> None:
        """The buffer is needed: what came so far is written, and counts for nothing until the end."""
        if self._pieces and self._status == SUCCESS:
            pieces, size = self._taken(), self._size

            def write() -> None:
                if len(self._head) < _HEAD_BYTES:
                    self._head += _beginning(pieces, _HEAD_BYTES - len(self._head))
                self._room(size)
                self._begun().add(pieces)

            self._do(write)
        self._pieces = []

    def end(self) -> None:
        """The data set is complete: synced, then answered."""
        if self._status == SUCCESS:
            self._do(self._keep)
        if self._status != SUCCESS:
            self._drop()
            extra = {"sender": self._origin.sender}
            log.warning("an instance of %s was refused with 0x%04X", self._origin.sender, self._status, extra=extra)
        self._largest = max(self._largest, self._size)
        self._pieces = []
        self._tally.count(self._status)
        self._answer(store_response(self._command, self._status))

    def close(self) -> None:
        """The association has ended: what is not complete is taken back."""
        self._drop()
        self._journal.close()

    def _keep(self) -> int:
        pieces = self._taken()
        status = self._head_status(pieces)
        if status != SUCCESS:
            return status
        if self._size > self._largest:
            self._room(self._size)
        entry = self._begun().commit(pieces, self._announced())
        self._writing = None
        self._told.journalled(entry)
        return SUCCESS

    def _head_status(self, pieces: Sequence[memoryview]) -> int:
        head = self._head or _beginning(pieces, _FIRST_BYTES)
        found = head_uids(head, self._syntax, whole=len(head) == self._size)
        if not all(found) and len(head) < self._size:
            head = self._head or _beginning(pieces, _HEAD_BYTES)
            found = head_uids(head, self._syntax, whole=True)
        return status_against((self._command.sop_class.decode(), self._command.sop_instance.decode()), found)

    def _begun(self) -> Writing:
        if self._writing is None:
            now = self._clock()
            self._writing = self._journal.begin(new_id(now), now, prefix(self._announced()))
        return self._writing

    def _announced(self) -> Origin:
        return Origin(
            sop_class=self._command.sop_class.decode(),
            sop_instance=self._command.sop_instance.decode(),
            transfer_syntax=self._syntax,
            sender=self._origin.sender,
            receiver=self._origin.receiver,
            address=self._origin.address,
        )

    def _taken(self) -> list[memoryview]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _drop(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.abandon()
        self._pieces = []

    def _do(self, work: Callable[[], int | None]) -> None:
        self._status = status_after(work, low_disk=self._told.low_disk)


def _beginning(pieces: Sequence[memoryview], count: int) -> bytes:
    found: list[memoryview] = []
    for piece in pieces:
        found.append(piece[:count])
        count -= len(piece)
        if count <= 0:
            break
    return b"".join(found)
