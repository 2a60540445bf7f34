"""Looking through what was handed in: size and paths, archive bombs, malware, DICOM; then new numbers, then a study.

A submission stays in its own folder until all of that is done. Every step can be done again: the new numbers are the same each
time, and an instance that comes twice is recognised when it is filed.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance import audit, submissions
from appliance.compute.local import StageDied, StageEnded, run_stage
from appliance.errors import Failed
from appliance.events import SubmissionHeld, SubmissionRejected, SubmissionStored
from appliance.house import House
from appliance.moments import id_of_digest, new_id, now_ms
from appliance.receive import drop, upload
from appliance.receive.posted import Postbox
from appliance.receive.replace import NoImages, ReplaceAnswer, ReplaceRequest
from appliance.receive.statuses import OUT_OF_RESOURCES, PROCESSING_FAILURE, SUCCESS
from appliance.receive.unpack import UnpackAnswer
from appliance.records import events, pulls, studies
from appliance.records import submissions as rows
from appliance.records.submissions import DocumentRow, Original, SubmissionRow, Told
from appliance.scan.stream import ScannerDown, look_through
from appliance.settings import Settings
from appliance.steps import LIGHT
from appliance.storage import OutOfSpace, publish_folder, remove_folder, write_durable
from appliance.unpacking import silent, unpack_all

log = logging.getLogger(__name__)

LOOK_S = 0.5
FIRST_WAIT_MS, LONGEST_WAIT_MS = 2_000, 300_000
LABEL, REVIEWED = "Uploaded", "Uploaded-Reviewed"
WORKFLOW = "Finalized"
ORIGIN = "upload"
SENDER = "UPLOAD"
_ACCEPTED = "accepted"
_MEDIA = ((b"%PDF-", "application/pdf"), (b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


class Infected(Failed):
    """The malware scanner found {name} in it."""

    code = "malware"
    next_step = "Nothing of it was taken. Have the computer or the disc looked at that it came from."


class ScannerMissing(Failed):
    """There is no malware scanner to look through it."""

    code = "scanner-missing"
    next_step = "Start the scanner; then have it handed in again."


class _Later(Exception):
    """What this needs is away; it is tried again."""


class _Document(msgspec.Struct, kw_only=True, frozen=True):
    """A file beside images, as it waits for its study."""

    file: str
    name: str
    study_uid: str


class _Found(msgspec.Struct, kw_only=True):
    """What was found in all files of a submission."""

    answers: list[ReplaceAnswer]
    documents: list[_Document]
    left_out: int = 0


class Validator:
    """Looks through submissions, one after another."""

    def __init__(self, house: House, *, clock: Callable[[], int] = now_ms) -> None:
        self._house, self._clock = house, clock
        self._box = Postbox(house.storage, house.keys, house.records, clock=clock)

    async def run(self, stop: asyncio.Event) -> None:
        """Looks until `stop` is set; what is in hand is finished first."""
        try:
            while not stop.is_set():
                await self.look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_S)
        finally:
            await self.close()

    async def close(self) -> None:
        """Files what came."""
        await self._box.close()

    async def look(self) -> None:
        """One step of every submission that is due."""
        for row in await rows.due(self._clock()):
            try:
                with _held(self._house.storage.uploads(row.id)) as ours:
                    if ours:
                        await (self._validate(row) if row.state == rows.VALIDATING else self._settle(row))
            except _Later as wait:
                await self._later(row, str(wait))
            except (StageDied, OutOfSpace, ScannerDown) as error:
                await self._later(row, error.what)
            except Exception as fault:
                # An edge of the process: one submission must not end the others'.
                log.exception("looking through a submission failed", extra={"code": "validation-failed"})
                await self._later(row, f"An unexpected {type(fault).__name__}.")

    async def _later(self, row: SubmissionRow, what: str) -> None:
        wait = min(FIRST_WAIT_MS * 2 ** min(row.attempt, 10), LONGEST_WAIT_MS)
        not_before = self._clock() + wait
        await rows.change(self._house.records, row.id, row.state, attempt=row.attempt + 1, not_before=not_before, detail=what)

    async def _validate(self, row: SubmissionRow) -> None:
        settings = (await self._house.settings()).settings
        folder = self._house.storage.uploads(row.id)
        for name in ("work", "ready", "documents"):
            await asyncio.to_thread(remove_folder, folder / name)
        try:
            found = await self._looked_through(row, settings, folder)
        except StageEnded as ended:
            if ended.error.kind in ("retry", "internal"):
                raise _Later(ended.error.what) from None
            await self._reject(row, ended.error.code, ended.error.what)
        except Failed as error:
            await self._reject(row, error.code, error.what)
        else:
            if found is not None:
                await self._bring_in(row, folder, found)

    async def _looked_through(self, row: SubmissionRow, settings: Settings, folder: Path) -> _Found | None:
        """What is in it, scanned and with new numbers; None when a person must decide first."""
        told, found = await rows.told(self._house.keys, row.id), _Found(answers=[], documents=[])
        uploads = await rows.uploads_of(row.id)
        unpacked = []
        most = settings.uploads.maximum_gb << 30
        for number, one in enumerate(uploads):
            answer = await unpack_all(upload.place(self._house.storage, row.id, one.id), folder / f"work/{number}", most)
            unpacked.append(answer)
            found.left_out += answer.left_out
        if not await self._is_clean(row, settings, folder / "work"):
            return None
        key = self._house.keys.digest("submission", row.id)
        for number, answer in enumerate(unpacked):
            into = folder / f"ready/{number}"
            replaced = await self._replaced(folder / f"work/{number}", into, key) if answer.unpacked else None
            if replaced:
                found.answers.append(replaced)
            found.documents += _documents(answer, number, replaced, told)
        if not any(one.studies for one in found.answers):
            raise NoImages()
        await asyncio.to_thread(_keep_documents, folder, found)
        return found

    async def _replaced(self, work: Path, into: Path, key: str) -> ReplaceAnswer | None:
        request = ReplaceRequest(in_folder=str(work), out_folder=str(into), key=key)
        into.mkdir(mode=0o700, parents=True)
        try:
            raw = await run_stage("replace", request, LIGHT, progress=silent, out_folder=into)
        except StageEnded as ended:
            if ended.error.code == NoImages.code:
                return None
            raise
        return msgspec.json.decode(raw, type=ReplaceAnswer)

    async def _is_clean(self, row: SubmissionRow, settings: Settings, work: Path) -> bool:
        """Whether nothing was found; false when a person must decide. Raises `Infected`, `ScannerMissing`, `ScannerDown`."""
        if row.scanned == _ACCEPTED:
            return True
        if not settings.scan.enabled:
            if row.code:
                raise _Later("The malware scanner is switched off; what comes by the portal waits for it.")
            await rows.change(self._house.records, row.id, row.state, scanned="off")
            return True
        files = await asyncio.to_thread(lambda: sorted(one for one in work.rglob("*") if one.is_file()))
        try:
            verdict = await look_through(settings.scan, files)
        except ScannerDown:
            if settings.scan.when_down == "refuse":
                raise ScannerMissing() from None
            raise
        await rows.change(self._house.records, row.id, row.state, scanned=verdict.kind)
        if verdict.kind == "found":
            raise Infected(name=verdict.words)
        if verdict.kind == "not-scanned":
            await self._hold(row, f"Not scanned: {verdict.words}.")
        return verdict.kind == "clean"

    async def _hold(self, row: SubmissionRow, what: str) -> None:
        now = self._clock()
        async with self._house.records.transaction():
            await rows.change(self._house.records, row.id, row.state, state=rows.HELD, reason="not-scanned", detail=what)
            await events.append(SubmissionHeld(reference=row.reference, what=what), now)

    async def _reject(self, row: SubmissionRow, code: str, what: str) -> None:
        await reject(self._house, row, code=code, what=what, now=self._clock())

    async def _bring_in(self, row: SubmissionRow, folder: Path, found: _Found) -> None:
        keys = self._house.keys
        told = await rows.told(keys, row.id)
        made = {}
        for answer in found.answers:
            for one in answer.studies:
                original = Original(
                    study_uid=one.study_uid, patient_id=one.patient_id, issuer=one.issuer, accession=one.accession,
                    comment=told.comments.get(one.study_uid, ""),
                )  # fmt: skip
                key = pulls.study_key(keys, one.new_study_uid)
                made[key] = (new_id(self._clock()), key, pulls.study_key(keys, one.study_uid), original)
        async with self._house.records.transaction():
            await rows.note_studies(self._house.records, keys, row.id, list(made.values()), held=True)
        files = await asyncio.to_thread(drop.files_of, folder / "ready")
        async with self._box.taking(None, sender=SENDER, address=row.address) as taking:
            await asyncio.to_thread(drop.bring_in, taking, files)
            statuses = [one.status for one in taking.outcomes]
        if any(one in (OUT_OF_RESOURCES, PROCESSING_FAILURE) for one in statuses):
            raise _Later("The disk is full, or the storage has a fault.")
        await rows.change(
            self._house.records, row.id, rows.VALIDATING, state=rows.FILING, detail="", attempt=0,
            dicom=statuses.count(SUCCESS), documents=len(found.documents), left_out=found.left_out,
            unreadable=sum(one.unreadable for one in found.answers) + len(statuses) - statuses.count(SUCCESS),
            patients=max((one.patients for one in found.answers), default=0),
        )  # fmt: skip
        await asyncio.to_thread(remove_folder, folder / "work")

    async def _settle(self, row: SubmissionRow) -> None:
        """Everything is durable: as soon as it is filed it gets its label, its documents, and an end."""
        house, now = self._house, self._clock()
        of = await rows.studies_of(house.records, row.id)
        if not of or not all(one.study for one in of):
            return
        await self._attach(row, {one.original_key: one.study for one in of}, now)
        settings = (await house.settings()).settings
        async with house.records.transaction():
            for one in of:
                await rows.mark(house.records, one.study, origin=ORIGIN, labels=[LABEL], workflow=WORKFLOW)
            await rows.change(house.records, row.id, rows.FILING, state=rows.STORED, ended_at=now)
            await events.append(
                SubmissionStored(reference=row.reference, studies=len(of), instances=row.dicom, documents=row.documents), now
            )
        if row.products and settings.portal.process == "at-once":
            for one in of:
                await studies.ask_products(house.records, one.study, row.products)
                await rows.release(house.records, one.uid_key)
        await asyncio.to_thread(remove_folder, house.storage.uploads(row.id))
        await rows.remove_uploads(row.id)
        await audit.append(row.owner, "upload.stored", row.id, "done", row.address, now, f"{len(of)} studies")

    async def _attach(self, row: SubmissionRow, by_original: dict[str, str], now: int) -> None:
        """Moves documents to their studies; done twice it is done once."""
        house, folder = self._house, self._house.storage.uploads(row.id) / "documents"
        listed = await asyncio.to_thread(lambda: (folder / "list").read_bytes() if (folder / "list").exists() else b"[]")
        for number, one in enumerate(msgspec.json.decode(listed, type=list[_Document])):
            study = by_original.get(pulls.study_key(house.keys, one.study_uid)) or next(iter(by_original.values()))
            identifier = id_of_digest(house.keys.digest("upload-document", f"{row.id}/{number}"))
            target = house.storage.documents(study) / identifier
            if not target.exists():
                await asyncio.to_thread(_copy_durable, folder / one.file, target)
            head, size, digest = await asyncio.to_thread(_facts, target)
            media = next((kind for start, kind in _MEDIA if head.startswith(start)), "application/octet-stream")
            document = DocumentRow(
                id=identifier, study=study, submission=row.id, media=media, bytes=size, content_hash=digest,
                path=house.storage.relative(target), created_at=now,
            )  # fmt: skip
            await rows.add_document(house.keys, document, one.name)


async def reject(house: House, row: SubmissionRow, *, code: str, what: str, now: int, actor: str = "appliance") -> None:
    """Ends a submission of which nothing is taken; every byte of it goes."""
    async with house.records.transaction():
        if not await rows.change(house.records, row.id, row.state, state=rows.REJECTED, reason=code, detail=what, ended_at=now):
            return
        await events.append(SubmissionRejected(reference=row.reference, what=what), now)
    await audit.append(actor, "upload.rejected", row.id, code, row.address, now, what)
    await submissions.clear(house, row.id)


async def accept(house: House, row: SubmissionRow, *, actor: str, now: int) -> None:
    """An administrator lets what could not be scanned go on; raises `SubmissionClosed`."""
    if not await rows.change(
        house.records, row.id, rows.HELD, state=rows.VALIDATING, scanned=_ACCEPTED, reason="", detail="", not_before=now
    ):
        raise submissions.SubmissionClosed(state=row.state.lower())
    await audit.append(actor, "upload.accepted", row.id, "done", row.address, now, row.detail)


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Holds a submission for the time of a block; false when another process has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def _documents(answer: UnpackAnswer, number: int, replaced: ReplaceAnswer | None, told: Told) -> list[_Document]:
    first = replaced.studies[0].study_uid if replaced and replaced.studies else ""
    return [
        _Document(
            file=f"{number}/{one.file}",
            name=one.path.replace("\\", "/").rpartition("/")[2][:200],
            study_uid=told.documents.get(one.path, first),
        )
        for one in answer.others
    ]


def _keep_documents(folder: Path, found: _Found) -> None:
    """Puts the documents where they wait for their study, durably."""
    if not found.documents:
        return
    draft, kept = folder / "documents.draft", []
    remove_folder(draft)
    draft.mkdir(mode=0o700)
    for number, one in enumerate(found.documents):
        shutil.copyfile(folder / "work" / one.file, draft / f"{number}")
        kept.append(msgspec.structs.replace(one, file=f"{number}"))
    (draft / "list").write_bytes(msgspec.json.encode(kept))
    publish_folder(draft, folder / "documents")


def _copy_durable(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        write_durable(target, iter(lambda: file.read(1 << 20), b""))


def _facts(path: Path) -> tuple[bytes, int, str]:
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(0)
        return head, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
