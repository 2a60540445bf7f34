"""Watched folders at work: what a site puts there becomes studies, and is answered with a receipt, reports and a table.

Every step can be done again. A drop has a row before it is moved, is moved before it is read, and counts as taken only when
each of its instances is durable; an instance that comes a second time is recognised when it is filed.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Hashable
from pathlib import Path

import msgspec

from appliance.compute.local import StageDied, StageEnded
from appliance.events import DropRefused, DropTaken
from appliance.house import House
from appliance.moments import iso, now_ms
from appliance.receive import drop
from appliance.receive.posted import Outcome, Postbox
from appliance.receive.section import DropFolder
from appliance.receive.stable import Watch
from appliance.receive.statuses import OUT_OF_RESOURCES, PROCESSING_FAILURE, SUCCESS
from appliance.records import drops, events, pulls, reports
from appliance.records.drops import DropRow
from appliance.reports import as_csv
from appliance.reports.content import ReportContent
from appliance.storage import OutOfSpace, remove_folder, write_durable
from appliance.unpacking import unpack
from appliance.upkeep.cadence import due

log = logging.getLogger(__name__)

LOOK_S = 1.0
FIRST_WAIT_MS = 10_000
LONGEST_WAIT_MS = 600_000
_LATER = (OUT_OF_RESOURCES, PROCESSING_FAILURE)
_NOTHING = "There is no DICOM image in it."
_TOO_MUCH = "It holds more files, or deeper folders, than a study has."


class Receipt(msgspec.Struct, kw_only=True, frozen=True):
    """What a site is told of a drop, under the name that it gave it; `studies` are our identifiers, as in its reports."""

    drop: str
    name: str
    state: str
    received_at: str
    stored: int
    left_out: int
    studies: list[str]
    detail: str


class Dropbox:
    """All watched folders, looked after by one process at a time."""

    def __init__(
        self, house: House, *, clock: Callable[[], int] = now_ms, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._house = house
        self._clock = clock
        self._monotonic = monotonic
        self._watches: dict[str, Watch] = {}
        self._tables: dict[str, int] = {}
        self._stuck: dict[Path, Hashable] = {}
        """What could not be moved, as it looked then: it is tried again when it has changed."""
        self._box = Postbox(house.storage, house.keys, house.records, clock=clock)

    async def run(self, stop: asyncio.Event) -> None:
        """Looks after the folders until `stop` is set; a drop in hand is brought in first."""
        try:
            while not stop.is_set():
                for section in (await self._house.settings()).settings.drops.folders:
                    await self._guarded(section)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_S)
        finally:
            await self.close()

    async def close(self) -> None:
        """Files what came."""
        await self._box.close()

    async def _guarded(self, section: DropFolder) -> None:
        try:
            await self.look(section)
        except Exception as fault:
            # An edge of the process: what one site's folder does must not end the others'.
            log.error("looking after a watched folder failed: %s", type(fault).__name__, extra={"code": "drop-failed"})

    async def look(self, section: DropFolder) -> None:
        """One look: takes up what was begun, takes what is whole, and writes the receipts that are due."""
        with drop.held(section) as ours:
            if not ours:
                return
            for row in await drops.unfinished(section.name):
                if row.state == drops.TAKING and row.not_before <= self._clock():
                    await self._bring_in(section, row)
            for seen in await self._whole(section):
                await self._take(section, seen)
            for row in await drops.unfinished(section.name):
                if row.state == drops.TAKEN:
                    await self._answer(section, row)
            await self._keep_table(section)

    async def _whole(self, section: DropFolder) -> list[drop.Seen]:
        seen = await asyncio.to_thread(drop.entries, section)
        watch = self._watches.setdefault(section.folder, Watch(self._monotonic))
        watch.keep_only({str(one.path) for one in seen})
        found = []
        for one in seen:
            quiet_s = watch.unchanged_for(str(one.path), one.state)
            if self._stuck.get(one.path) != one.state and await asyncio.to_thread(_is_whole, section, one.path, quiet_s):
                found.append(one)
        return found

    async def _take(self, section: DropFolder, seen: drop.Seen) -> None:
        row = await drops.begin(self._house.keys, section.name, os.fsencode(seen.path.name), self._clock())
        try:
            await asyncio.to_thread(drop.claim, section, seen.path, row.id)
        except OSError as fault:
            await drops.forget(row.id)
            self._stuck[seen.path] = seen.state
            log.warning("a drop cannot be taken: %s", os.strerror(fault.errno or 0).lower(), extra={"code": "drop-stays"})
            return
        self._stuck.pop(seen.path, None)
        await self._bring_in(section, row)

    async def _bring_in(self, section: DropFolder, row: DropRow) -> None:
        place, scratch = drop.place_of(section, row.id), self._house.storage.scratch(row.id)
        if not place.exists() and not place.is_symlink():
            # The process died between the row and the move: it still lies where the site put it.
            await drops.forget(row.id)
            return
        try:
            outcomes, left_out = await self._brought(section, row, place, scratch)
        except drop.TooMuch:
            await self._refuse(section, row, _TOO_MUCH)
        except StageEnded as ended:
            if ended.error.kind in ("retry", "internal"):
                await self._later(row, ended.error.what)
            else:
                await self._refuse(section, row, ended.error.what)
        except (StageDied, OutOfSpace) as error:
            await self._later(row, error.what)
        except OSError as fault:
            await self._later(row, f"It cannot be read: {os.strerror(fault.errno or 0).lower()}.")
        else:
            await self._brought_in(section, row, outcomes, left_out)
        finally:
            await asyncio.to_thread(remove_folder, scratch)

    async def _brought(self, section: DropFolder, row: DropRow, place: Path, scratch: Path) -> tuple[list[Outcome], int]:
        left_out = 0
        if await asyncio.to_thread(drop.is_zip, place):
            await asyncio.to_thread(remove_folder, scratch)
            left_out = await unpack(place, scratch / "out", section.maximum_gb << 30)
            place = scratch / "out"
        files = await asyncio.to_thread(drop.files_of, place)
        async with self._box.taking(None, sender=section.sender, address="") as taking:
            left_out += await asyncio.to_thread(drop.bring_in, taking, files)
            return taking.outcomes, left_out

    async def _brought_in(self, section: DropFolder, row: DropRow, outcomes: list[Outcome], left_out: int) -> None:
        """Every file had its answer: the drop is taken, put off, or refused."""
        if any(one.status in _LATER for one in outcomes):
            await self._later(row, "The disk is full, or the storage has a fault.")
            return
        stored = [one for one in outcomes if one.status == SUCCESS]
        left_out += len(outcomes) - len(stored)
        if not stored:
            await self._refuse(section, row, _NOTHING)
            return
        keys = list(dict.fromkeys(pulls.study_key(self._house.keys, one.study) for one in stored))
        event = DropTaken(folder=section.name, stored=len(stored), studies=len(keys), left_out=left_out)
        async with self._house.records.transaction():
            await drops.taken(self._house.records, row, keys, stored=len(stored), left_out=left_out)
            await events.append(event, self._clock())
        await asyncio.to_thread(_remove, drop.place_of(section, row.id))

    async def _later(self, row: DropRow, what: str) -> None:
        now = self._clock()
        wait = min(FIRST_WAIT_MS * 2 ** min(row.attempt, 10), LONGEST_WAIT_MS)
        log.warning("a drop is brought in later: %s", what, extra={"code": "drop-later"})
        await drops.again(self._house.records, row, not_before=now + wait, detail=what)

    async def _refuse(self, section: DropFolder, row: DropRow, what: str) -> None:
        await self._tell(section, row, drops.REFUSED, [], what)
        async with self._house.records.transaction():
            await drops.end(self._house.records, row, drops.REFUSED, now=self._clock(), detail=what)
            await events.append(DropRefused(folder=section.name, what=what), self._clock())
        await asyncio.to_thread(_remove, drop.place_of(section, row.id))

    async def _answer(self, section: DropFolder, row: DropRow) -> None:
        """The receipt, once every study of the drop is filed and has an identifier to name it by."""
        await asyncio.to_thread(_remove, drop.place_of(section, row.id))
        studies, wanted = await drops.studies_of(self._house.records, row.id)
        if len(studies) == wanted:
            await self._tell(section, row, drops.TAKEN, studies, "")
            await drops.end(self._house.records, row, drops.DONE, now=self._clock())

    async def _tell(self, section: DropFolder, row: DropRow, state: str, studies: list[str], detail: str) -> None:
        name = await drops.name_of(self._house.keys, row.id)
        receipt = Receipt(
            drop=row.id,
            name=name.decode("utf-8", "replace"),
            state=state,
            received_at=iso(row.created_at),
            stored=row.stored,
            left_out=row.left_out,
            studies=studies,
            detail=detail,
        )
        target = Path(section.folder) / drop.OUTGOING / f"receipt_{row.id}.json"
        await asyncio.to_thread(write_durable, target, msgspec.json.format(msgspec.json.encode(receipt)), 0o644)

    async def _keep_table(self, section: DropFolder) -> None:
        """The table of results, when its time has come; the first time at once, for what was missed while nothing ran."""
        found, now = (await self._house.settings()).settings, self._clock()
        last = self._tables.get(section.folder, 0)
        self._tables[section.folder] = now
        if not section.table or not due(found.scheduler, found.site.time_zone, last, now):
            return
        ids = await drops.reported(self._house.records, section.name, section.sender)
        contents = [msgspec.json.decode((await reports.get(one)).content, type=ReportContent) for one in ids]
        if contents:
            target = Path(section.folder) / drop.OUTGOING / "results.csv"
            await asyncio.to_thread(write_durable, target, as_csv.table(contents), 0o644)


def _is_whole(section: DropFolder, path: Path, quiet_s: float) -> bool:
    """Whether nobody will add to an entry any more, as far as can be told from here."""
    enough = section.settled_s if section.whole == "settled" else 0
    if quiet_s < enough:
        return False
    if quiet_s >= drop.PATIENCE * section.settled_s:
        return True
    try:
        return not drop.being_written(path) and drop.ends_as_a_zip(path)
    except OSError:
        return False


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        remove_folder(place)
    else:
        place.unlink(missing_ok=True)
