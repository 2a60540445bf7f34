"""Handing in: a submission is begun, its files come (tus), it is sent off; or it is cancelled, or forgotten.

Nothing of it is a study before `appliance.validation` has looked through it.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from appliance import audit
from appliance.access.permissions import NotPermitted, NotSignedIn
from appliance.access.sessions import CODE, Caller
from appliance.errors import Conflict, Denied, Misconfigured, Rejected, Unknown
from appliance.events import SubmissionSent
from appliance.house import House
from appliance.moments import new_id
from appliance.portal import codes
from appliance.portal.consent import agreed
from appliance.receive import upload
from appliance.records import events, submissions, upload_codes
from appliance.records.submissions import SubmissionRow, Told, UploadRow
from appliance.records.upload_codes import CodeRow
from appliance.storage import remove_folder

KEPT_MS = 24 * 3_600_000
"""An open submission of which nothing was heard for so long is forgotten."""
MOST_OPEN = 20
MOST_FILES = 200
_EMAIL = re.compile(r"[^@\s<>\"']{1,64}@[^@\s<>\"'.]{1,64}(\.[^@\s<>\"'.]{1,64})+")
_PHONE = re.compile(r"[0-9+()/ .\-]{3,40}")
COMMENT_LETTERS = 500


class CodeRefused(Denied):
    """This upload code is not valid: it is mistyped, used up, expired or was revoked."""

    code = "upload-code-refused"
    next_step = "Compare it with what you were given, or ask the hospital for a new one."


class PortalClosed(Denied):
    """The upload page is switched off."""

    code = "portal-closed"
    next_step = "Ask the hospital how to hand in your images."


class TooLargeUpload(Rejected):
    """An upload may have {limit} GB at most, with all its files."""

    code = "upload-too-large"
    next_step = "Hand in one study at a time, or ask for a higher limit."


class TooManyOpen(Conflict):
    """There are too many uploads that were begun and not finished."""

    code = "too-many-open-uploads"
    next_step = "Finish or cancel one of them; they are forgotten after a day."


class SubmissionClosed(Conflict):
    """This submission is {state} and takes nothing more."""

    code = "submission-closed"
    next_step = "Begin a new one."


class NotAllHere(Conflict):
    """Not all of this submission is here yet."""

    code = "not-all-here"
    next_step = "Send the rest of its files, then finish it."


class ContactRefused(Misconfigured):
    """This is no usable {what}."""

    code = "contact-refused"
    next_step = "Correct it, or leave it empty."


def code_of(caller: Caller) -> str:
    """The upload code that somebody came with; empty for who is signed in."""
    return caller.session if caller.by == CODE else ""


async def code_row(caller: Caller) -> CodeRow | None:
    """The code that somebody came with; None for who is signed in."""
    return await upload_codes.get(caller.session) if caller.by == CODE else None


async def enter(house: House, typed: str, now: int) -> CodeRow:
    """Who comes with a code; raises `CodeRefused` alike for every reason, `PortalClosed`."""
    if not (await house.settings()).settings.portal.enabled:
        raise PortalClosed()
    plain = codes.normal(typed)
    row = await upload_codes.by_digest(house.keys.digest(codes.PURPOSE, plain)) if plain else None
    if row is None or not row.opens(now):
        raise CodeRefused()
    return row


async def make_code(
    house: House, *, source: str, phone: str, email: str, products: str, most: int, expires_at: int, actor: str, now: int
) -> tuple[CodeRow, str]:
    """A new code and its row; the code itself is told this once."""
    text = codes.new_code()
    row = CodeRow(
        id=new_id(now), source=source, phone=phone, email=email, products=products, most=most, used=0,
        expires_at=expires_at, revoked=False, created_by=actor, created_at=now,
    )  # fmt: skip
    await upload_codes.add(row, house.keys.digest(codes.PURPOSE, codes.normal(text)))
    return row, text


async def begin(house: House, caller: Caller, *, address: str, now: int) -> SubmissionRow:
    """Begins a submission; raises `CodeRefused`, `PortalClosed`, `NotSignedIn` an hour after the code, `TooManyOpen`."""
    code, source, products = code_of(caller), "", ""
    section = (await house.settings()).settings.portal
    if code:
        row = await upload_codes.get(code)
        if not row.opens(now):
            raise CodeRefused()
        if not section.enabled:
            raise PortalClosed()
        if now >= caller.expires_at:
            raise NotSignedIn()
        source, products = row.source, row.products
    if await submissions.open_count(house.records, code, caller.name) >= MOST_OPEN:
        raise TooManyOpen()
    made = SubmissionRow(
        id=new_id(now), reference=codes.new_reference(), code=code, source=source or section.source, owner=caller.name,
        address=address, state=submissions.OPEN, products=products, consent="", reason="", detail="", scanned="", dicom=0,
        documents=0, left_out=0, unreadable=0, patients=0, attempt=0, not_before=0, created_at=now, seen_at=now, sent_at=None,
        ended_at=None,
    )  # fmt: skip
    await submissions.add(made)
    return made


async def of_caller(caller: Caller, submission: str) -> SubmissionRow:
    """A submission of the caller's own; raises `Unknown`, `NotPermitted`."""
    row = await submissions.get(submission)
    if row.code != code_of(caller) or (not row.code and row.owner != caller.name):
        raise NotPermitted(permission="uploads.write")
    return row


async def upload_of_caller(caller: Caller, identifier: str) -> tuple[SubmissionRow, UploadRow]:
    """A file on its way that is the caller's own; raises `Unknown`, `NotPermitted`."""
    found = await submissions.upload(identifier)
    return await of_caller(caller, found.submission), found


async def create(house: House, row: SubmissionRow, length: int, *, now: int, secret: str) -> UploadRow:
    """Announces one file; raises `TooLargeUpload`, `SubmissionClosed`, `TooManyOpen`, `OutOfSpace`."""
    _require_open(row)
    limit = (await house.settings()).settings.uploads.maximum_gb
    here = await submissions.uploads_of(row.id)
    if sum(one.length for one in here) + length > limit << 30:
        raise TooLargeUpload(limit=limit)
    if len(here) >= MOST_FILES or await submissions.open_bytes(house.records, row.code, row.owner) + length > 2 * limit << 30:
        raise TooManyOpen()
    made = UploadRow(id=secret, submission=row.id, length=length, whole=length == 0, created_at=now)
    await asyncio.to_thread(upload.create, house.storage, row.id, made.id, length)
    await submissions.add_upload(made)
    await submissions.heard(house.records, row.id, now)
    return made


async def append(
    house: House,
    row: SubmissionRow,
    found: UploadRow,
    at: int,
    body: AsyncIterator[bytes],
    *,
    now: int,
    checksum: tuple[str, bytes] | None = None,
) -> int:
    """Adds to a file and gives its new offset; raises what `receive.upload.append` does, and `SubmissionClosed`."""
    _require_open(row)
    await submissions.heard(house.records, row.id, now)
    reached = await upload.append(house.storage, row.id, found.id, found.length, at, body, checksum)
    if reached == found.length and not found.whole:
        await submissions.upload_whole(house.records, found.id)
    return reached


async def drop(house: House, row: SubmissionRow, found: UploadRow) -> None:
    """Takes a file back; raises `SubmissionClosed`."""
    _require_open(row)
    await submissions.remove_upload(found.id)
    await asyncio.to_thread(upload.remove, house.storage, row.id, found.id)


async def send(
    house: House, row: SubmissionRow, told: Told, *, privacy: bool, sharing: bool, language: str, actor: str, now: int
) -> SubmissionRow:
    """Hands a submission in: from now on it is looked through. The same twice is the same once.

    Raises `ConsentMissing`, `ContactRefused`, `NotAllHere`, `SubmissionClosed`, `CodeRefused`.
    """
    if row.state != submissions.OPEN and row.sent_at is not None:
        return row
    _require_open(row)
    section = (await house.settings()).settings.portal
    consent = agreed(section, privacy=privacy, sharing=sharing, language=language, now=now)
    _check(told)
    here = await submissions.uploads_of(row.id)
    if not here or not all(one.whole for one in here):
        raise NotAllHere()
    sealed = await submissions.tell(house.keys, row.id, told)
    async with house.records.transaction():
        if row.code and not await upload_codes.use(house.records, row.code, now):
            raise CodeRefused()
        changed = await submissions.change(
            house.records, row.id, submissions.OPEN, state=submissions.VALIDATING, sealed=sealed, sent_at=now,
            consent=msgspec.json.encode(consent).decode(),
        )  # fmt: skip
        if not changed:
            raise SubmissionClosed(state="closed")
        await events.append(SubmissionSent(reference=row.reference, source=row.source or "nobody"), now)
    await audit.append(actor, "upload.sent", row.id, "done", row.address, now, f"consent {consent.version}")
    return await submissions.get(row.id)


def _check(told: Told) -> None:
    if told.email and not _EMAIL.fullmatch(told.email):
        raise ContactRefused(field="email", what="e-mail address")
    if told.phone and not _PHONE.fullmatch(told.phone):
        raise ContactRefused(field="phone", what="phone number")
    if any(len(one) > COMMENT_LETTERS for one in told.comments.values()):
        raise ContactRefused(field="comments", what=f"comment: {COMMENT_LETTERS} letters are the most")


async def cancel(house: House, row: SubmissionRow, *, actor: str, now: int, state: str = submissions.CANCELLED) -> None:
    """Takes a submission back with everything that was received of it; raises `SubmissionClosed`."""
    if not await submissions.change(house.records, row.id, submissions.OPEN, state=state, ended_at=now):
        raise SubmissionClosed(state=row.state.lower())
    await clear(house, row.id)
    await audit.append(actor, f"upload.{state.lower()}", row.id, "done", row.address, now)


async def clear(house: House, submission: str) -> None:
    """Removes every byte of a submission, and what its uploader said."""
    await asyncio.to_thread(remove_folder, house.storage.uploads(submission))
    await submissions.remove_uploads(submission)
    await submissions.forget_told(house.records, submission)


async def forget_idle(house: House, now: int) -> object:
    """Forgets submissions that were left, and bytes of none."""
    for row in await submissions.idle(now - KEPT_MS):
        await cancel(house, row, actor="appliance", now=now, state=submissions.EXPIRED)
    for folder in await asyncio.to_thread(_folders, house.storage.root / "uploads"):
        try:
            row = await submissions.get(folder.name)
        except Unknown:
            continue
        if row.state in (submissions.CANCELLED, submissions.EXPIRED, submissions.REJECTED, submissions.STORED):
            await asyncio.to_thread(remove_folder, folder)
    return None


def _folders(root: Path) -> list[Path]:
    return [one for one in root.iterdir() if one.is_dir()]


def _require_open(row: SubmissionRow) -> None:
    if row.state != submissions.OPEN:
        raise SubmissionClosed(state=row.state.lower())
