"""Filing: from durable bytes in an inbox to studies, series and instances.

Order of steps, none of which can lose or half-show an instance: the file gets its second name below `studies/`, the folders are
synced, one transaction writes the rows, and only then the inbox lets go of its name. After a crash at any point the inbox still
has the file; its identifier tells whether its row is there.

Duplicates and conflicts are found here and never change an answer already given. A conflict is the same SOP Instance UID with
other bytes: both are kept, the later one marked. In another study it is counted and told, and both copies stay in use.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from appliance.events import InstanceQuarantined
from appliance.moments import new_id
from appliance.receive import header as tags
from appliance.receive.holds import Holds
from appliance.receive.inbox import Arrival
from appliance.receive.placing import let_go, place
from appliance.receive.quarantine import SENTENCES, Reason, reason_against, set_aside
from appliance.receive.quiet import Pauses, merged
from appliance.receive.sheet import Sheet, readable
from appliance.receive.subject import identity_of, same_patient
from appliance.records import events, identities, senders, studies
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.records.studies import StudyRow
from appliance.records.tables import Study
from appliance.states import StudyState
from appliance.storage import Storage

_PURPOSES: Final = {tags.STUDY_INSTANCE: "study-uid", tags.SERIES_INSTANCE: "series-uid", tags.SOP_INSTANCE: "sop-uid"}


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    stored: int = 0
    identical: int = 0
    conflicts: int = 0
    quarantined: int = 0
    studies: frozenset[str] = frozenset()


class Filer:
    """Files batches of arrivals; one a process, called by one task at a time."""

    def __init__(self, storage: Storage, keys: Sealer, records: Records) -> None:
        self._storage = storage
        self._keys = keys
        self._records = records
        self._pauses = Pauses()
        self.sets_conflicts_aside = False
        """Whether a study with contradicting contents waits for a person; a setting that may change at any time."""
        self._digests: dict[tuple[int, str], str] = {}

    async def file(self, batch: Sequence[Arrival], now: int, *, holds: Holds | None = None) -> Filed:
        """Files a batch in one transaction; raises what the database or the disk raised, and then nothing has changed.

        `holds` records in the same transaction that open associations may bring more of the same studies.
        """
        self._digests.clear()
        reasons = {arrival.id: reason_against(arrival) for arrival in batch}
        sound = [arrival for arrival in batch if reasons[arrival.id] is None]
        unsound = {arrival.id: reason for arrival in batch if (reason := reasons[arrival.id])}
        filed = await self._file_sound(sound, now, holds) if sound else Filed()
        for arrival in batch:
            if arrival.id in unsound:
                await self.quarantine(arrival, unsound[arrival.id], now)
        return msgspec.structs.replace(filed, quarantined=len(unsound))

    async def quarantine(self, arrival: Arrival, reason: Reason, now: int) -> None:
        """Keeps bytes apart that cannot be filed, and says so; nothing happens when that was done before."""
        if arrival.entry is None and not arrival.path.exists():
            return
        if await asyncio.to_thread(set_aside, self._storage, arrival, reason):
            await events.append(InstanceQuarantined(reason=SENTENCES[reason]), now)
        await asyncio.to_thread(let_go, [arrival])

    async def _file_sound(self, batch: Sequence[Arrival], now: int, holds: Holds | None) -> Filed:
        by_study: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in sorted(batch, key=lambda one: one.id):
            by_study[self._uid_key(arrival, tags.STUDY_INSTANCE)].append(arrival)
        placed: list[tuple[Arrival, Path]] = []
        if holds:
            holds.begin()
        try:
            async with self._records.transaction():
                sheets = [await self._sheet(key, by_study[key], now) for key in sorted(by_study)]
                done = await studies.paths_of(self._records, [arrival.id for arrival in batch])
                known = await self._known(batch)
                for sheet in sheets:
                    await self._sort(sheet, [one for one in by_study[sheet.study.uid_key] if one.id not in done], known)
                # A row whose commit was reported as failed may have lost its file again: the inbox still has it.
                again = [(one, self._storage.absolute(done[one.id])) for one in batch if one.id in done]
                placed += [pair for sheet in sheets for pair in sheet.files(self._storage)]
                placed += [(source, target) for source, target in again if not target.exists()]
                await asyncio.to_thread(place, placed, self._storage.root / "studies")
                seen = [one for sheet in sheets for one in self._pauses.seen(*sheet.news(), is_new=sheet.is_new)]
                await senders.note(self._records, merged(seen), now)
                for sheet in sheets:
                    await self._write(sheet, now)
                    if holds:
                        await holds.note(sheet.study.id, by_study[sheet.study.uid_key], now)
        except BaseException:
            await asyncio.to_thread(_take_back, [target for _, target in placed])
            raise
        if holds:
            holds.settled()
        await asyncio.to_thread(let_go, batch)
        return Filed(
            stored=sum(len(sheet.new) for sheet in sheets),
            identical=sum(sheet.identical for sheet in sheets),
            conflicts=sum(sheet.conflicts for sheet in sheets),
            studies=frozenset(sheet.study.id for sheet in sheets),
        )

    def _uid_key(self, arrival: Arrival, tag: int) -> str:
        uid = readable(arrival).uid(tag)
        digest = self._digests.get((tag, uid))
        if digest is None:
            digest = self._digests[tag, uid] = self._keys.digest(_PURPOSES[tag], uid)
        return digest

    async def _sheet(self, uid_key: str, arrivals: Sequence[Arrival], now: int) -> Sheet:
        """The study of these arrivals, made if it is new, kept from other writers until the transaction ends."""
        study = await studies.locked_by_uid_key(self._records, uid_key)
        if study is None:
            await self._add_study(uid_key, arrivals[0], now)
            study = await studies.locked_by_uid_key(self._records, uid_key)
        if study is None:
            raise LookupError("a study that was just stored is gone")
        return Sheet(study, {row.uid_key: row for row in await studies.series(study.id)})

    async def _add_study(self, uid_key: str, first: Arrival, now: int) -> None:
        identity = identity_of(readable(first))
        row = Study(
            id=new_id(now),
            state=str(StudyState.RECEIVING),
            uid_key=uid_key,
            pseudonym=identities.pseudonym(self._keys, identity.issuer, identity.patient_id),
            sender=first.origin.sender,
            address=first.origin.address,
            first_at=first.received_at,
            last_at=first.received_at,
        )
        if await studies.add_study(row):
            await identities.put(self._keys, row.id, identity)

    async def _known(self, batch: Sequence[Arrival]) -> dict[str, dict[str, set[str]]]:
        """SOP key -> study -> hashes of what is there."""
        keys = sorted({self._uid_key(arrival, tags.SOP_INSTANCE) for arrival in batch})
        found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for one in await studies.known_instances(self._records, keys):
            found[one.sop_key][one.study].add(one.content_hash)
        return found

    async def _sort(self, sheet: Sheet, arrivals: Sequence[Arrival], known: dict[str, dict[str, set[str]]]) -> None:
        """Tells new, identical and conflicting instances apart and enters the new ones on the sheet."""
        for arrival in arrivals:
            sop_key = self._uid_key(arrival, tags.SOP_INSTANCE)
            places = known[sop_key]
            hashes = places[sheet.study.id]
            if arrival.content_hash in hashes:
                sheet.identical += 1
                continue
            elsewhere = any(there for study, there in places.items() if study != sheet.study.id)
            sheet.conflicts += bool(hashes) or elsewhere
            series = sheet.series_of(self._uid_key(arrival, tags.SERIES_INSTANCE), arrival)
            sheet.enter(arrival, series, sop_key, conflict=bool(hashes))
            sheet.set_conflicts_aside = sheet.set_conflicts_aside or (self.sets_conflicts_aside and bool(hashes))
            hashes.add(arrival.content_hash)
            if not sheet.two_patients:
                sheet.two_patients = not await self._belongs(sheet.study, arrival)

    async def _belongs(self, study: StudyRow, arrival: Arrival) -> bool:
        header = readable(arrival)
        key = identities.pseudonym(self._keys, header.text(tags.ISSUER), header.text(tags.PATIENT_ID))
        if key and key == study.pseudonym:
            return True
        owner = await identities.get(self._keys, study.id)
        return owner is None or same_patient(owner, identity_of(header))

    async def _write(self, sheet: Sheet, now: int) -> None:
        if not sheet.new:
            return
        await studies.save_series(self._records, [row for row in sheet.series.values() if row.id in sheet.changed_series])
        await studies.add_instances(self._records, sheet.rows(self._storage))
        await studies.save_progress(self._records, sheet.result())
        for event in sheet.events():
            await events.append(event, now)


def _take_back(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
