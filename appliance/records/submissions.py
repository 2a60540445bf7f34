"""Submissions: what somebody hands in at once, from its first byte to the studies that came of it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.errors import Unknown
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.records.upload_tables import Submission, SubmissionStudy, Upload, UploadDocument

_PURPOSE = "submissions"
_STUDY = "submission-studies"
_DOCUMENT = "upload-documents"

OPEN, VALIDATING, HELD, FILING, STORED = "OPEN", "VALIDATING", "HELD", "FILING", "STORED"
REJECTED, CANCELLED, EXPIRED = "REJECTED", "CANCELLED", "EXPIRED"
AT_WORK = (VALIDATING, FILING)
"""States in which the appliance itself has something to do."""


class Told(msgspec.Struct, kw_only=True, frozen=True):
    """What the uploader said; it may name the patient and is sealed."""

    email: str = ""
    phone: str = ""
    comments: dict[str, str] = {}
    """Study Instance UID as the files have it -> comment."""
    documents: dict[str, str] = {}
    """Path of a document in its upload -> the Study Instance UID it belongs to."""


class SubmissionRow(msgspec.Struct, kw_only=True, frozen=True):
    """One submission as it stands in the records."""

    id: str
    reference: str
    code: str
    source: str
    owner: str
    address: str
    state: str
    products: str
    consent: str
    reason: str
    detail: str
    scanned: str
    dicom: int
    documents: int
    left_out: int
    unreadable: int
    patients: int
    attempt: int
    not_before: int
    created_at: int
    seen_at: int
    sent_at: int | None
    ended_at: int | None


class UploadRow(msgspec.Struct, kw_only=True, frozen=True):
    """One file on its way."""

    id: str
    submission: str
    length: int
    whole: bool
    created_at: int


class Original(msgspec.Struct, kw_only=True, frozen=True):
    """What a study was called where it came from; sealed."""

    study_uid: str = ""
    patient_id: str = ""
    issuer: str = ""
    accession: str = ""
    comment: str = ""


class StudyOf(msgspec.Struct, kw_only=True, frozen=True):
    """A study of a submission; `study` is empty until it is filed."""

    id: str
    submission: str
    uid_key: str
    original_key: str
    held: bool
    linked: bool
    study: str = ""


class DocumentRow(msgspec.Struct, kw_only=True, frozen=True):
    """A file beside the images of a study."""

    id: str
    study: str
    submission: str
    media: str
    bytes: int
    content_hash: str
    path: str
    created_at: int


def _row(found: dict[str, Any]) -> SubmissionRow:
    return msgspec.convert({name: found[name] for name in SubmissionRow.__struct_fields__}, SubmissionRow, strict=False)


async def add(row: SubmissionRow) -> None:
    """Enters a submission."""
    await Submission.insert(Submission(**msgspec.structs.asdict(row))).run()


async def get(submission: str) -> SubmissionRow:
    """One submission; raises `Unknown`."""
    found = await Submission.select().where(Submission.id == submission).first().run()
    if found is None:
        raise Unknown(kind="submission")
    return _row(found)


async def newest(limit: int, states: Sequence[str] = ()) -> list[SubmissionRow]:
    """The newest submissions, in some states alone if these are given."""
    query = Submission.select()
    if states:
        query = query.where(Submission.state.is_in(list(states)))
    return [_row(one) for one in await query.order_by(Submission.id, ascending=False).limit(limit).run()]


async def due(now: int) -> list[SubmissionRow]:
    """Submissions with which the appliance has something to do now, oldest first."""
    query = Submission.select().where(Submission.state.is_in(list(AT_WORK))).where(Submission.not_before <= now)
    return [_row(one) for one in await query.order_by(Submission.id).limit(100).run()]


async def idle(before: int) -> list[SubmissionRow]:
    """Open submissions of which nothing was heard since a moment."""
    query = Submission.select().where(Submission.state == OPEN).where(Submission.seen_at < before)
    return [_row(one) for one in await query.limit(100).run()]


async def change(records: Records, submission: str, old: str, **columns: Any) -> bool:
    """Changes columns where the state is still the old one; false when it is not."""
    named = ", ".join(f"{name} = {{}}" for name in columns)
    statement = f"UPDATE submissions SET {named} WHERE id = {{}} AND state = {{}} RETURNING id"
    return bool(await records.run(statement, *columns.values(), submission, old))


async def tell(keys: Sealer, submission: str, told: Told) -> bytes:
    """What the uploader said, sealed for the row of their submission."""
    return keys.seal(_PURPOSE, msgspec.json.encode(told), submission)


async def told(keys: Sealer, submission: str) -> Told:
    """What the uploader said."""
    found = await Submission.select(Submission.sealed).where(Submission.id == submission).first().run()
    if not found or not found["sealed"]:
        return Told()
    return msgspec.json.decode(keys.open(_PURPOSE, bytes(found["sealed"]), submission), type=Told)


async def forget_told(records: Records, submission: str) -> None:
    """Nothing came of it: what the uploader said goes too."""
    await records.run("UPDATE submissions SET sealed = {} WHERE id = {}", b"", submission)


# --- files on their way ---------------------------------------------------------------------------------------------------


async def add_upload(row: UploadRow) -> None:
    """Enters a file on its way."""
    await Upload.insert(Upload(**msgspec.structs.asdict(row))).run()


async def upload(upload: str) -> UploadRow:
    """One file on its way; raises `Unknown`."""
    found = await Upload.select().where(Upload.id == upload).first().run()
    if found is None:
        raise Unknown(kind="upload")
    return msgspec.convert(found, UploadRow, strict=False)


async def uploads_of(submission: str) -> list[UploadRow]:
    """The files of a submission in the order they were begun."""
    rows = await Upload.select().where(Upload.submission == submission).order_by(Upload.created_at, Upload.id).run()
    return [msgspec.convert(one, UploadRow, strict=False) for one in rows]


async def upload_whole(records: Records, upload: str) -> None:
    """Notes that a file is here and synced."""
    await records.run("UPDATE uploads SET whole = {} WHERE id = {}", True, upload)


async def heard(records: Records, submission: str, now: int) -> None:
    """Notes that something came."""
    await records.run("UPDATE submissions SET seen_at = {} WHERE id = {}", now, submission)


async def remove_upload(upload: str) -> None:
    """Forgets a file."""
    await Upload.delete().where(Upload.id == upload).run()


async def remove_uploads(submission: str) -> None:
    """Forgets the files of a submission."""
    await Upload.delete().where(Upload.submission == submission).run()


async def open_bytes(records: Records, code: str, owner: str) -> int:
    """How much somebody has announced in submissions that are still open."""
    rows = await records.run(
        "SELECT COALESCE(SUM(u.length), 0) AS n FROM uploads u JOIN submissions s ON s.id = u.submission "
        "WHERE s.state = {} AND s.code = {} AND s.owner = {}",
        OPEN,
        code,
        owner,
    )
    return int(rows[0]["n"])


async def open_count(records: Records, code: str, owner: str) -> int:
    """How many submissions of somebody are open."""
    rows = await records.run(
        "SELECT COUNT(*) AS n FROM submissions WHERE state = {} AND code = {} AND owner = {}", OPEN, code, owner
    )
    return int(rows[0]["n"])


# --- what came of it --------------------------------------------------------------------------------------------------------


async def note_studies(
    records: Records, keys: Sealer, submission: str, found: Sequence[tuple[str, str, str, Original]], *, held: bool
) -> None:
    """Notes the studies of a submission before they are brought in: (id, key, original's key, original). In a transaction."""
    await records.run("DELETE FROM submission_studies WHERE submission = {}", submission)
    for identifier, uid_key, original_key, original in found:
        sealed = keys.seal(_STUDY, msgspec.json.encode(original), identifier)
        await SubmissionStudy.insert(
            SubmissionStudy(
                id=identifier, submission=submission, uid_key=uid_key, original_key=original_key, held=held, sealed=sealed
            )
        ).run()


_STUDIES = (
    "SELECT u.id, u.submission, u.uid_key, u.original_key, u.held, LENGTH(u.before) > 0 AS linked, "
    "COALESCE(s.id, '') AS study FROM submission_studies u LEFT JOIN studies s ON s.uid_key = u.uid_key WHERE "
)


async def studies_of(records: Records, submission: str) -> list[StudyOf]:
    """The studies of a submission."""
    rows = await records.run(f"{_STUDIES} u.submission = {{}} ORDER BY u.id", submission)
    return [msgspec.convert(one, StudyOf, strict=False) for one in rows]


async def of_study(records: Records, study: str) -> StudyOf | None:
    """How a study was uploaded; None for one that was not."""
    rows = await records.run(f"{_STUDIES} s.id = {{}} ORDER BY u.id LIMIT 1", study)
    return msgspec.convert(rows[0], StudyOf, strict=False) if rows else None


async def earlier(records: Records, original_key: str, submission: str) -> str:
    """A study that was uploaded before under the same original identifier; empty without one."""
    rows = await records.run(
        f"{_STUDIES} u.original_key = {{}} AND u.submission <> {{}} AND s.id IS NOT NULL ORDER BY u.id DESC LIMIT 1",
        original_key,
        submission,
    )
    return str(rows[0]["study"]) if rows else ""


async def original(keys: Sealer, row: str) -> Original:
    """What a study was called where it came from."""
    found = await SubmissionStudy.select(SubmissionStudy.sealed).where(SubmissionStudy.id == row).first().run()
    if not found or not found["sealed"]:
        return Original()
    return msgspec.json.decode(keys.open(_STUDY, bytes(found["sealed"]), row), type=Original)


async def release(records: Records, uid_key: str) -> None:
    """Lets an uploaded study be processed."""
    await records.run("UPDATE submission_studies SET held = {} WHERE uid_key = {}", False, uid_key)


async def before_link(keys: Sealer, row: str) -> bytes:
    """Whose an uploaded study was before it was linked; empty when it is not."""
    found = await SubmissionStudy.select(SubmissionStudy.before).where(SubmissionStudy.id == row).first().run()
    sealed = bytes(found["before"]) if found and found["before"] else b""
    return keys.open(_STUDY, sealed, row) if sealed else b""


async def note_link(records: Records, keys: Sealer, row: str, before: bytes) -> None:
    """Keeps whose it was before it was linked; empty forgets that."""
    await records.run(
        "UPDATE submission_studies SET before = {} WHERE id = {}", keys.seal(_STUDY, before, row) if before else b"", row
    )


async def mark(records: Records, study: str, *, origin: str, labels: Sequence[str], workflow: str) -> None:
    """Gives a study its origin, labels and workflow status."""
    await records.run(
        "UPDATE studies SET origin = {}, labels = {}, workflow_status = {}, row_version = row_version + 1 WHERE id = {}",
        origin,
        msgspec.json.encode(list(labels)).decode(),
        workflow,
        study,
    )


async def add_document(keys: Sealer, row: DocumentRow, name: str) -> None:
    """Enters a document; one that is there already stays as it is."""
    sealed = keys.seal(_DOCUMENT, name.encode(), row.id)
    made = UploadDocument(sealed=sealed, **msgspec.structs.asdict(row))
    await UploadDocument.insert(made).on_conflict(target=UploadDocument.id, action="DO NOTHING").run()


async def documents_of(study: str) -> list[DocumentRow]:
    """The documents of a study."""
    rows = await UploadDocument.select().where(UploadDocument.study == study).order_by(UploadDocument.id).run()
    return [
        msgspec.convert({name: one[name] for name in DocumentRow.__struct_fields__}, DocumentRow, strict=False) for one in rows
    ]


async def document_name(keys: Sealer, document: str) -> str:
    """The name that a document had; it may name the patient."""
    found = await UploadDocument.select(UploadDocument.sealed).where(UploadDocument.id == document).first().run()
    return keys.open(_DOCUMENT, bytes(found["sealed"]), document).decode() if found else ""
