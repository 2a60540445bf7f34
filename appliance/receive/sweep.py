"""Putting files and rows back in step after a crash, in both directions.

Inboxes of receivers that died are filed. A file below `studies/` without a row is filed anew; a row without its file puts the
study aside for a person, because an acknowledged instance is gone and only a person can have it sent again.
"""

import asyncio
import logging
import re
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from appliance.events import StudyQuarantined
from appliance.receive.inbox import Inbox, adopted, others, recovered_all, recovered_entries, segments
from appliance.receive.intake import BATCH, Intake
from appliance.receive.journal import read_segment
from appliance.receive.quarantine import keep_damaged
from appliance.receive.sheet import FILES_MISSING, QUARANTINE_SENTENCES
from appliance.records import events, studies
from appliance.records.engine import Records
from appliance.states import StudyState
from appliance.storage import Storage, remove_folder

log = logging.getLogger(__name__)


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What was put back in step."""

    adopted: int = 0
    missing: int = 0


async def adopt_dead(storage: Storage, inbox: Inbox, intake: Intake) -> int:
    """Files what receivers that died had acknowledged and not filed; gives how many instances that were."""
    count = 0
    for folder in others(storage, inbox.id):
        with adopted(folder) as files:
            if files is None:
                continue
            await _file(intake, files)
            count += len(files) + await _file_segments(storage, inbox, intake, folder)
            await intake.patiently(partial(studies.close_activities_of, folder.name))
    if count:
        log.info("%d instances of a receiver that had ended were filed", count)
    return count


async def _file(intake: Intake, files: list[Path]) -> None:
    for start in range(0, len(files), BATCH):
        batch = await asyncio.to_thread(recovered_all, files[start : start + BATCH])
        await intake.file(batch)


async def _file_segments(storage: Storage, inbox: Inbox, intake: Intake, folder: Path) -> int:
    count = 0
    for path in segments(folder):
        try:
            scan = await asyncio.to_thread(read_segment, path, inbox.unfiled)
        except OSError as fault:
            log.error("a segment of the journal cannot be read: %s", type(fault).__name__, extra={"code": "inbox-unreadable"})
            continue
        if scan.damaged:
            # A disk that lost a record in the middle may have lost an acknowledged one: a person can still look at the bytes.
            log.error("a segment of the journal is damaged and set aside", extra={"code": "segment-damaged"})
            await asyncio.to_thread(keep_damaged, storage, path)
        for start in range(0, len(scan.entries), BATCH):
            await intake.file(await asyncio.to_thread(recovered_entries, scan.entries[start : start + BATCH]))
        if not scan.entries:
            path.unlink(missing_ok=True)
        count += len(scan.entries)
    return count


async def reconcile(storage: Storage, records: Records, inbox: Inbox, intake: Intake, *, now: int) -> Swept:
    """Compares files and rows of every study that is being received, and of folders that no row names.

    Only for a receiver that is alone: another one's unfinished transaction looks like a file without a row.
    """
    for draft in (storage.root / "journals").glob(".*-*"):
        remove_folder(draft)
    states = await studies.states(records)
    root = storage.root / "studies"
    unknown = {one.name for one in root.iterdir() if one.is_dir() and one.name not in states}
    receiving = {study for study, state in states.items() if state is StudyState.RECEIVING}
    count = missing = 0
    for study in sorted(unknown | receiving):
        rows = await studies.instances(study, _ANY_VERSION)
        wanted = {storage.absolute(row.path) for row in rows}
        present = await asyncio.to_thread(_originals, root / study)
        orphans = [await asyncio.to_thread(inbox.take_over, file) for file in sorted(present - wanted)]
        await _file(intake, orphans)
        count += len(orphans)
        lost = len(wanted - present)
        if lost:
            missing += lost
            await _set_study_aside(records, study, lost, now)
        if study in unknown:
            await asyncio.to_thread(_remove_empty, root / study)
    if count:
        log.warning("%d files without a row were filed", count, extra={"code": "orphans-adopted"})
    return Swept(adopted=count, missing=missing)


_ANY_VERSION = 2**31 - 1
_OUR_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _originals(folder: Path) -> set[Path]:
    for draft in folder.glob("v*/original/.*.part"):
        draft.unlink()
    return {one for one in folder.glob("v*/original/*.dcm") if _OUR_NAME.fullmatch(one.stem)}


def _remove_empty(folder: Path) -> None:
    for one in (*folder.glob("v*/original"), *folder.glob("v*"), folder):
        with suppress(OSError):
            one.rmdir()


async def _set_study_aside(records: Records, study: str, lost: int, now: int) -> None:
    log.error("%d acknowledged instances have no file any more", lost, extra={"study": study, "code": FILES_MISSING})
    async with records.transaction():
        await studies.lock(records, study)
        row = await studies.get(study)
        await studies.save_progress(records, msgspec.structs.replace(row, state=StudyState.QUARANTINED, reason=FILES_MISSING))
        await events.append(StudyQuarantined(study=study, reason=QUARANTINE_SENTENCES[FILES_MISSING]), now)
