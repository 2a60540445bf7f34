"""Uploads in the hands of staff: submissions, upload codes, the reviewed label, the link to a patient, documents."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import File
from msgspec import Meta

from api.doorstep import PIECE
from api.guards import declared
from api.views import View
from api.visit import Visit
from appliance import submissions, uploaded, validation
from appliance.errors import Unknown
from appliance.moments import iso
from appliance.pipeline import ProductUnknown
from appliance.products import catalogue
from appliance.records import submissions as rows
from appliance.records import upload_codes
from appliance.records.submissions import SubmissionRow
from appliance.records.upload_codes import CodeRow
from appliance.validation import LABEL, REVIEWED

HOUR_MS = 3_600_000
_STUDY = "/api/studies/{study:str}"
_MANAGED = declared("uploads.manage", 404, 409)


class CodeAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A new upload code; without products what comes by it is stored only."""

    source: Annotated[str, Meta(max_length=64)] = ""
    phone: Annotated[str, Meta(max_length=40, pattern=r"^[0-9+()/ .\-]*(?!\n)$")] = ""
    email: Annotated[str, Meta(max_length=120, pattern=r"^(?!\n)$|^[^@\s<>\"']{1,50}@[^@\s<>\"']{1,60}(?!\n)$")] = ""
    products: Annotated[list[str], Meta(max_length=5)] = []
    most: Annotated[int, Meta(ge=1, le=1_000)] = 1
    hours: Annotated[int, Meta(ge=1, le=8_760)] = 168


class LinkAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The study whose patient an uploaded study belongs to; without `confirm` both sides are shown, and nothing is done."""

    to: Annotated[str, Meta(max_length=64)]
    confirm: bool = False


class CodeView(View, frozen=True, kw_only=True):
    """One upload code; the code itself and its link are told once, when it is made."""

    id: str
    source: str
    products: list[str]
    most: int
    used: int
    expires_at: str
    state: str
    """open, used, expired or revoked."""
    created_by: str
    created_at: str
    code: str = ""
    path: str = ""
    """Behind the appliance's own address: the link that opens the page with this code."""


class CodeList(View, frozen=True, kw_only=True):
    """The newest upload codes."""

    items: list[CodeView]


class SubmissionView(View, frozen=True, kw_only=True):
    """One submission; what its uploader wrote is told by a reveal of its study."""

    submission: str
    reference: str
    state: str
    source: str
    by: str
    products: list[str]
    code: str
    detail: str
    scanned: str
    """clean, found, not-scanned, accepted (by an administrator) or off."""
    images: int
    documents: int
    left_out: int
    unreadable: int
    studies: list[str]
    created_at: str
    sent_at: str | None
    ended_at: str | None


class SubmissionList(View, frozen=True, kw_only=True):
    """The newest submissions."""

    items: list[SubmissionView]


class DocumentView(View, frozen=True, kw_only=True):
    """A file beside the images of a study."""

    document: str
    media: str
    bytes: int
    sha256: str


class UploadedView(View, frozen=True, kw_only=True):
    """How a study was uploaded."""

    submission: str
    reference: str
    by: str
    """code, or the account that handed it in."""
    source: str
    at: str | None
    reviewed: bool
    linked: bool
    earlier: str
    """A study that was uploaded before under the same original number."""
    documents: list[DocumentView]


class Uploader(View, frozen=True, kw_only=True):
    """What the uploader wrote, and what the study was called where it came from."""

    email: str
    phone: str
    comment: str
    patient_id: str
    accession: str
    documents: dict[str, str]


class Side(View, frozen=True, kw_only=True):
    """One side of a link."""

    patient_name: str
    patient_id: str
    birth_date: str
    sex: str


class UploadLink(View, frozen=True, kw_only=True):
    """Both sides, and whether they are linked now."""

    uploaded: Side
    known: Side
    linked: bool


def _code(
    row: CodeRow,
    now: int,
    text: str = "",
) -> CodeView:
    state = "revoked" if row.revoked else "used" if row.used >= row.most else "expired" if now >= row.expires_at else "open"
    path = f"/portal#code={text}" if text else ""
    return CodeView(
        id=row.id, source=row.source, products=[one for one in row.products.split(",") if one], most=row.most, used=row.used,
        expires_at=iso(row.expires_at), state=state, created_by=row.created_by, created_at=iso(row.created_at), code=text,
        path=path,
    )  # fmt: skip


async def _submission(visit: Visit, row: SubmissionRow) -> SubmissionView:
    found = await rows.studies_of(visit.house.records, row.id)
    return SubmissionView(
        submission=row.id, reference=row.reference, state=row.state, source=row.source, by="code" if row.code else row.owner,
        products=[one for one in row.products.split(",") if one], code=row.reason, detail=row.detail, scanned=row.scanned,
        images=row.dicom, documents=row.documents, left_out=row.left_out, unreadable=row.unreadable,
        studies=[one.study for one in found if one.study], created_at=iso(row.created_at),
        sent_at=iso(row.sent_at) if row.sent_at else None, ended_at=iso(row.ended_at) if row.ended_at else None,
    )  # fmt: skip


@get("/api/submissions", operation_id="listSubmissions", tags=["uploads"], **declared("uploads.read"))
async def list_submissions(
    visit: NamedDependency[Visit], limit: Annotated[int, QueryParameter(ge=1, le=1_000, description="Rows.")] = 100
) -> SubmissionList:
    """The newest submissions."""
    return SubmissionList(items=[await _submission(visit, row) for row in await rows.newest(limit)])


@post(
    "/api/submissions/{submission:str}/accept",
    operation_id="acceptSubmission",
    tags=["uploads"],
    status_code=200,
    **_MANAGED,
)
async def accept(visit: NamedDependency[Visit], submission: FromPath[str]) -> SubmissionView:
    """Lets go on what the scanner could not look at; audited."""
    await validation.accept(visit.house, await rows.get(submission), actor=visit.caller.name, now=visit.now)
    return await _submission(visit, await rows.get(submission))


@post(
    "/api/submissions/{submission:str}/reject",
    operation_id="rejectSubmission",
    tags=["uploads"],
    status_code=200,
    **_MANAGED,
)
async def reject(visit: NamedDependency[Visit], submission: FromPath[str]) -> SubmissionView:
    """Refuses what waits for an administrator; every byte of it goes."""
    row = await rows.get(submission)
    if row.state != rows.HELD:
        raise submissions.SubmissionClosed(state=row.state.lower())
    what = "An administrator refused it."
    await validation.reject(visit.house, row, code="refused", what=what, now=visit.now, actor=visit.caller.name)
    return await _submission(visit, await rows.get(submission))


@get("/api/upload-codes", operation_id="listUploadCodes", tags=["uploads"], **declared("uploads.manage"))
async def list_codes(
    visit: NamedDependency[Visit], limit: Annotated[int, QueryParameter(ge=1, le=1_000, description="Rows.")] = 100
) -> CodeList:
    """The newest upload codes, without the codes themselves."""
    return CodeList(items=[_code(row, visit.now) for row in await upload_codes.newest(limit)])


@post("/api/upload-codes", operation_id="createUploadCode", tags=["uploads"], **declared("uploads.manage", 422))
async def create_code(visit: NamedDependency[Visit], data: JSONBody[CodeAsked]) -> CodeView:
    """A new upload code, told this once, with the link that opens the page."""
    known = catalogue(visit.house.home)
    for one in data.products:
        if one not in known:
            raise ProductUnknown(field="products", product=one[:40])
    row, text = await submissions.make_code(
        visit.house, source=data.source, phone=data.phone, email=data.email, products=",".join(data.products), most=data.most,
        expires_at=visit.now + data.hours * HOUR_MS, actor=visit.caller.name, now=visit.now,
    )  # fmt: skip
    await visit.note("upload-code.create", row.id)
    return _code(row, visit.now, text)


@delete("/api/upload-codes/{code_id:str}", operation_id="revokeUploadCode", tags=["uploads"], **declared("uploads.manage", 404))
async def revoke_code(visit: NamedDependency[Visit], code_id: FromPath[str]) -> None:
    """Ends an upload code; what was begun with it can no longer be handed in."""
    await upload_codes.revoke(visit.house.records, code_id)
    await visit.note("upload-code.revoke", code_id)


@get(f"{_STUDY}/upload", operation_id="getUploadOfStudy", tags=["uploads"], **declared("uploads.read", 404, 409))
async def show(visit: NamedDependency[Visit], study: FromPath[str]) -> UploadedView:
    """By whom, when and under which reference a study was uploaded."""
    full = await visit.id_of("study", study)
    found, row = await uploaded.of_study(visit.house, full)
    labels = await uploaded.labels(full)
    return UploadedView(
        submission=row.id, reference=row.reference, by="code" if row.code else row.owner, source=row.source,
        at=iso(row.sent_at) if row.sent_at else None, reviewed=REVIEWED in labels, linked=found.linked,
        earlier=await rows.earlier(visit.house.records, found.original_key, row.id),
        documents=[
            DocumentView(document=one.id, media=one.media, bytes=one.bytes, sha256=one.content_hash)
            for one in await rows.documents_of(full)
        ],
    )  # fmt: skip


@post(
    f"{_STUDY}/upload/reveal",
    operation_id="revealUploader",
    tags=["uploads"],
    status_code=200,
    **declared("identity.reveal", 404, 409),
)
async def reveal(visit: NamedDependency[Visit], study: FromPath[str]) -> Uploader:
    """What the uploader wrote, and the original numbers; one audit row, written first."""
    full, keys = await visit.id_of("study", study), visit.house.keys
    found, row = await uploaded.of_study(visit.house, full)
    await visit.note("identity.reveal", full, detail="uploader")
    told, original = await rows.told(keys, row.id), await rows.original(keys, found.id)
    return Uploader(
        email=told.email, phone=told.phone, comment=original.comment, patient_id=original.patient_id,
        accession=original.accession,
        documents={one.id: await rows.document_name(keys, one.id) for one in await rows.documents_of(full)},
    )  # fmt: skip


@get(f"{_STUDY}/documents/{{document:str}}", include_in_schema=False, **declared("identity.reveal", 404))
async def download(visit: NamedDependency[Visit], study: FromPath[str], document: FromPath[str]) -> File:
    """One document of an uploaded study, as it came; audited."""
    full = await visit.id_of("study", study)
    found = {one.id: one for one in await rows.documents_of(full)}.get(document)
    if found is None:
        raise Unknown(kind="document")
    await visit.note("upload.document", full, detail=found.id)
    ending = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}.get(found.media, "bin")
    return File(
        path=visit.house.storage.absolute(found.path), filename=f"{found.id}.{ending}", media_type="application/octet-stream",
        content_disposition_type="attachment", chunk_size=PIECE,
    )  # fmt: skip


@post(f"{_STUDY}/review", operation_id="reviewUpload", tags=["uploads"], status_code=200, **_MANAGED)
async def review(visit: NamedDependency[Visit], study: FromPath[str]) -> Response[dict[str, str]]:
    """Gives an uploaded study the label Uploaded-Reviewed; where its code names products, its order opens."""
    full = await visit.id_of("study", study)
    async with visit.audited("upload.review", full):
        await uploaded.review(visit.house, full, actor=visit.caller.name, now=visit.now)
    return Response({"study": full, "label": REVIEWED})


@delete(f"{_STUDY}/review", operation_id="unreviewUpload", tags=["uploads"], **_MANAGED)
async def unreview(visit: NamedDependency[Visit], study: FromPath[str]) -> None:
    """Takes the label Uploaded-Reviewed back."""
    full = await visit.id_of("study", study)
    async with visit.audited("upload.unreview", full, LABEL):
        await uploaded.unreview(visit.house, full, actor=visit.caller.name, now=visit.now)


@post(f"{_STUDY}/link", operation_id="linkUpload", tags=["uploads"], status_code=200, **_MANAGED)
async def link(visit: NamedDependency[Visit], study: FromPath[str], data: JSONBody[LinkAsked]) -> UploadLink:
    """Shows both sides, and with `confirm` links an uploaded study to the patient of another; audited either way."""
    full, to = await visit.id_of("study", study), await visit.id_of("study", data.to)
    await visit.note("identity.reveal", full, detail=f"link to {to}")
    sides = await uploaded.link(visit.house, full, to, confirm=data.confirm, actor=visit.caller.name, now=visit.now)
    if data.confirm:
        await visit.note("upload.link", full, detail=to)
    known, other = sides.known, sides.uploaded
    return UploadLink(
        uploaded=Side(
            patient_name=other.patient_name, patient_id=sides.original_patient_id, birth_date=other.birth_date, sex=other.sex
        ),
        known=Side(patient_name=known.patient_name, patient_id=known.patient_id, birth_date=known.birth_date, sex=known.sex),
        linked=sides.linked,
    )


@delete(f"{_STUDY}/link", operation_id="unlinkUpload", tags=["uploads"], **_MANAGED)
async def unlink(visit: NamedDependency[Visit], study: FromPath[str]) -> None:
    """Undoes a link."""
    full = await visit.id_of("study", study)
    async with visit.audited("upload.unlink", full):
        await uploaded.unlink(visit.house, full, actor=visit.caller.name, now=visit.now)


HANDLERS = (
    *(list_submissions, accept, reject, list_codes, create_code, revoke_code),
    *(show, reveal, download, review, unreview, link, unlink),
)
