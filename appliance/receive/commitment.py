"""Storage commitment (PS3.4 Annex J): a sender asks whether its instances are safe here before it deletes its own.

A positive answer means that every named instance was read again from where it is filed and has the hash it came with. The
request is a row before it is answered, so that no restart loses it; its result goes over the association it came by while that
is open, else over one to the address that the settings name for the sender.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from appliance.moments import new_id
from appliance.promises import PUSH_MODEL_INSTANCE
from appliance.receive.header import is_uid
from appliance.receive.part10 import NotPart10, read_prefix
from appliance.receive.section import ReceiveSection
from appliance.records import commitments
from appliance.records.commitments import CommitmentRow, Kept
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.storage import Storage

log = logging.getLogger(__name__)

SUCCESS, FAILED, NO_SUCH_INSTANCE = 0x0000, 0x0110, 0x0112
NO_SUCH_ACTION, MISSING_ARGUMENT, INVALID_ARGUMENT = 0x0123, 0x0114, 0x0115
CLASS_CONFLICT = 0x0119
"""Failure reasons: PS3.3 section C.14.1.1; answers to N-ACTION: PS3.7 section 10.1.4.1.10."""
FIRST_WAIT_MS, LONGEST_WAIT_MS, GIVE_UP_MS = 10_000, 3_600_000, 86_400_000
_PURPOSE: Final = "commitments"
_ASKING_SECONDS = 20.0
_CHUNK = 1 << 20
_HEAD = 64 << 10


class Reference(msgspec.Struct, frozen=True):
    """One instance that a sender asks about."""

    sop_class: str
    sop_instance: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request: its Transaction UID and what it names."""

    transaction: str
    references: tuple[Reference, ...]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is safe, and what is not for which reason."""

    transaction: str
    safe: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]


Outcome = Literal["taken", "later"]
Report = Callable[[CommitmentRow, Result, ReceiveSection], Outcome]
"""Sends a result from a thread of its own: over the association it was asked for by, or a new one."""


def understood(action: int | None, instance: str, information: Any) -> Asked | int:
    """The request in the action information of an N-ACTION (PS3.4 Table J.3-1), or the status that refuses it."""
    if action != 1:
        return NO_SUCH_ACTION
    if instance != PUSH_MODEL_INSTANCE:
        return NO_SUCH_INSTANCE
    transaction, items = str(information.get("TransactionUID", "")), information.get("ReferencedSOPSequence") or []
    if not transaction or not items:
        return MISSING_ARGUMENT
    found = tuple(
        Reference(str(one.get("ReferencedSOPClassUID", "")), str(one.get("ReferencedSOPInstanceUID", ""))) for one in items
    )
    if not is_uid(transaction) or not all(is_uid(one.sop_class) and is_uid(one.sop_instance) for one in found):
        return INVALID_ARGUMENT
    return Asked(transaction=transaction, references=found)


class Commitments:
    """Takes requests from the listener's threads and works them off."""

    def __init__(self, storage: Storage, keys: Sealer, records: Records, report: Report, *, clock: Callable[[], int]) -> None:
        self._storage = storage
        self._keys = keys
        self._records = records
        self._report = report
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    def ask(self, sender: str, association: str, asked: Asked) -> int:
        """From any thread: stores a request durably and gives the status of the answer; raises what the database raised."""
        asyncio.run_coroutine_threadsafe(self._store(sender, association, asked), self._loop).result(_ASKING_SECONDS)
        return SUCCESS

    async def _store(self, sender: str, association: str, asked: Asked) -> None:
        now = self._clock()
        commitment = new_id(now)
        await commitments.add(
            CommitmentRow(
                id=commitment,
                sender=sender,
                association=association,
                sealed=self._keys.seal(_PURPOSE, msgspec.json.encode(asked), commitment),
                tries=0,
                asked_at=now,
                next_at=now,
            )
        )
        log.info("%s asks for storage commitment of %d instances", sender, len(asked.references), extra={"sender": sender})

    async def work_off(self, section: ReceiveSection) -> None:
        """Answers what is due; called only when everything that arrived is filed."""
        for row in await commitments.due(self._clock()):
            wait = min(FIRST_WAIT_MS << min(row.tries, 10), LONGEST_WAIT_MS)
            if await commitments.claim(self._records, row, self._clock() + wait):
                await self._answer(row, section)

    async def _answer(self, row: CommitmentRow, section: ReceiveSection) -> None:
        asked = msgspec.json.decode(self._keys.open(_PURPOSE, row.sealed, row.id), type=Asked)
        result = await self.verify(row.sender, asked)
        extra = {"sender": row.sender}
        if await asyncio.to_thread(self._report, row, result, section) == "taken":
            await commitments.settled(row.id)
            safe, failed = len(result.safe), len(result.failed)
            log.info("%s was told that %d instances are safe and %d are not", row.sender, safe, failed, extra=extra)
        elif self._clock() - row.asked_at > GIVE_UP_MS:
            await commitments.settled(row.id)
            log.error("%s took no result of its storage commitment for a day", row.sender, extra=extra | _FAILED)

    async def verify(self, sender: str, asked: Asked) -> Result:
        """Reads everything again that a request names."""
        keys = {one.sop_instance: self._keys.digest("sop-uid", one.sop_instance) for one in asked.references}
        places: dict[str, list[Kept]] = defaultdict(list)
        for one in await commitments.kept(self._records, sorted(set(keys.values()))):
            if one.sender == sender:
                places[one.sop_key].append(one)
        safe: list[Reference] = []
        failed: list[tuple[Reference, int]] = []
        for reference in dict.fromkeys(asked.references):
            reason = await asyncio.to_thread(self._reason_against, reference, places[keys[reference.sop_instance]])
            if reason == SUCCESS:
                safe.append(reference)
            else:
                failed.append((reference, reason))
        return Result(transaction=asked.transaction, safe=tuple(safe), failed=tuple(failed))

    def _reason_against(self, reference: Reference, places: Sequence[Kept]) -> int:
        """0 when every copy of an instance is as it came; unknown ones and those of other senders are the same to who asks."""
        if not places:
            return NO_SUCH_INSTANCE
        if any(one.sop_class != reference.sop_class for one in places):
            return CLASS_CONFLICT
        for one in places:
            try:
                if _hash_of(self._storage.absolute(one.path)) != one.content_hash:
                    log.error("a filed instance is not as it came", extra={"code": "instance-damaged"})
                    return FAILED
            except FileNotFoundError:
                return NO_SUCH_INSTANCE
            except (OSError, NotPart10):
                return FAILED
        return SUCCESS


def _hash_of(path: Path) -> str:
    """SHA-256 of the data set in a file; raises `NotPart10` and `OSError`."""
    state = sha256()
    with path.open("rb") as file:
        _, start = read_prefix(file.read(_HEAD))
        file.seek(start)
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


_FAILED = {"code": "commitment-failed"}
Asking = Callable[[str, str, Asked], int]
