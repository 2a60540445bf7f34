"""The upload page and what it asks: contact, code, submissions of one's own (UPL-06)."""

from pathlib import Path
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.datastructures import Cookie, State
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody
from msgspec import Meta

import api
from api.guards import PORTAL_COOKIE, declared
from api.views import View
from api.visit import Visit
from appliance import audit, submissions
from appliance.access import sessions
from appliance.access.permissions import OPEN
from appliance.house import House
from appliance.portal import consent
from appliance.records.submissions import STORED, SubmissionRow, Told

PAGE = Path(api.__file__).parent / "portal" / "static"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_OWN = ["/api/submissions", "/portal/api/submissions"]
_ONE = [f"{place}/{{submission:str}}" for place in _OWN]
_MISSING = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Upload</title>"
    "<h1>The upload page is not built</h1><p>Run init.sh again, then reload.</p></html>"
)
_LONG = Annotated[str, Meta(max_length=2_000)]


class Typed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An upload code as somebody typed it."""

    code: Annotated[str, Meta(max_length=64)]


class Handed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes with a submission when it is handed in; UIDs as the files have them."""

    privacy: bool = False
    sharing: bool = False
    language: Annotated[str, Meta(max_length=8)] = "en"
    email: Annotated[str, Meta(max_length=128)] = ""
    phone: Annotated[str, Meta(max_length=40)] = ""
    comments: Annotated[dict[str, _LONG], Meta(max_length=1000)] = {}
    documents: Annotated[dict[str, str], Meta(max_length=2000)] = {}


class PortalInfo(View, frozen=True, kw_only=True):
    """What the page shows before anything was chosen."""

    source: str
    phone: str
    email: str
    language: str
    privacy: str
    consent_version: str
    consents: dict[str, dict[str, str]]
    maximum_bytes: int
    opened: bool
    """Whether whoever asks may begin: by code, or signed in."""
    by: str


class OwnSubmission(View, frozen=True, kw_only=True):
    """A submission as whoever handed it in sees it."""

    submission: str
    reference: str
    state: str
    """OPEN, VALIDATING, DONE, HELD, REJECTED, CANCELLED or EXPIRED."""
    code: str
    """Why it was rejected, in one word."""
    what: str
    images: int
    documents: int
    left_out: int
    unreadable: int


_SAID = {
    "malware": "It did not pass the malware scan; nothing of it was taken.",
    "not-scanned": "It is looked at by the hospital before it is taken.",
}


def _own(row: SubmissionRow) -> OwnSubmission:
    state = {"FILING": "VALIDATING", STORED: "DONE"}.get(row.state, row.state)
    return OwnSubmission(
        submission=row.id,
        reference=row.reference,
        state=state,
        code=row.reason,
        what=_SAID.get(row.reason, row.detail if row.state == "REJECTED" else ""),
        images=row.dicom,
        documents=row.documents,
        left_out=row.left_out,
        unreadable=row.unreadable,
    )


async def _require_enabled(house: House) -> None:
    if not (await house.settings()).settings.portal.enabled:
        raise NotFoundException()


@get("/portal", include_in_schema=False, **declared(OPEN))
async def page(visit: NamedDependency[Visit]) -> Response[bytes]:
    """The page itself, where it is switched on."""
    await _require_enabled(visit.house)
    found = PAGE / "index.html"
    return Response(found.read_bytes() if found.exists() else _MISSING.encode(), media_type="text/html; charset=utf-8")


@get("/portal/assets/{name:str}", include_in_schema=False, **declared(OPEN))
async def asset(visit: NamedDependency[Visit], name: FromPath[str]) -> Response[bytes]:
    """A file of the page; its name holds a hash of its content."""
    await _require_enabled(visit.house)
    found = {one.name: one for one in (PAGE / "assets").glob("*")}.get(name) if PAGE.exists() else None
    if found is None or found.suffix not in _KINDS:
        raise NotFoundException()
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.read_bytes(), media_type=_KINDS[found.suffix], headers=kept)


@get("/portal/api/info", include_in_schema=False, **declared(OPEN))
async def info(visit: NamedDependency[Visit]) -> PortalInfo:
    """Whom the images go to, and what must be agreed to."""
    settings = (await visit.house.settings()).settings
    await _require_enabled(visit.house)
    section, caller = settings.portal, visit.somebody
    row = await submissions.code_row(caller) if caller else None
    return PortalInfo(
        source=(row.source if row else "") or section.source or settings.site.name,
        phone=(row.phone if row else "") or section.phone,
        email=(row.email if row else "") or section.email,
        language=section.language,
        privacy=section.privacy,
        consent_version=consent.version_of(section),
        consents={one: {"privacy": consent.PRIVACY[one], "sharing": consent.SHARING[one]} for one in consent.SHARING},
        maximum_bytes=settings.uploads.maximum_gb << 30,
        opened=caller is not None and (row is None or row.opens(visit.now)),
        by="code" if row else "user" if caller else "",
    )


@post("/portal/api/open", include_in_schema=False, status_code=200, **declared(OPEN))
async def enter(data: JSONBody[Typed], visit: NamedDependency[Visit], state: State) -> Response[dict[str, str]]:
    """Exchanges an upload code for a cookie that no script can read."""
    state.code_tries.take(visit.origin, visit.now)
    try:
        row = await submissions.enter(visit.house, data.code, visit.now)
    except submissions.CodeRefused as refused:
        await audit.append("somebody", "upload.code", "", refused.code, visit.origin, visit.now)
        raise
    await audit.append("somebody", "upload.code", row.id, "done", visit.origin, visit.now)
    cookie = Cookie(
        key=PORTAL_COOKIE, value=sessions.upload_token(visit.house.keys, row.id, visit.now), path="/portal", httponly=True,
        samesite="strict", secure=visit.secure, max_age=sessions.UPLOADS_MS // 1000,
    )  # fmt: skip
    return Response({"source": row.source}, cookies=[cookie])


@post(_OWN, operation_id="beginSubmission", include_in_schema=False, **declared("uploads.write", 409))
async def begin(visit: NamedDependency[Visit]) -> OwnSubmission:
    """Begins a submission; its files come by tus."""
    return _own(await submissions.begin(visit.house, visit.caller, address=visit.origin, now=visit.now))


@get(
    [f"{one}/state" for one in _ONE], operation_id="getOwnSubmission", include_in_schema=False, **declared("uploads.write", 404)
)
async def show(visit: NamedDependency[Visit], submission: FromPath[str]) -> OwnSubmission:
    """How a submission of one's own stands."""
    return _own(await submissions.of_caller(visit.caller, submission))


@post(
    [f"{one}/send" for one in _ONE],
    operation_id="sendSubmission",
    include_in_schema=False,
    status_code=202,
    **declared("uploads.write", 404, 409, 422),
)
async def send(data: JSONBody[Handed], visit: NamedDependency[Visit], submission: FromPath[str]) -> OwnSubmission:
    """Hands in what was uploaded, with both consents (422 without)."""
    row = await submissions.of_caller(visit.caller, submission)
    told = Told(email=data.email, phone=data.phone, comments=data.comments, documents=data.documents)
    sent = await submissions.send(
        visit.house, row, told, privacy=data.privacy, sharing=data.sharing, language=data.language,
        actor=visit.caller.name, now=visit.now,
    )  # fmt: skip
    return _own(sent)


@delete(_ONE, operation_id="cancelSubmission", include_in_schema=False, **declared("uploads.write", 404, 409))
async def cancel(visit: NamedDependency[Visit], submission: FromPath[str]) -> None:
    """Takes a submission back, with everything that was received of it."""
    row = await submissions.of_caller(visit.caller, submission)
    await submissions.cancel(visit.house, row, actor=visit.caller.name, now=visit.now)


HANDLERS = (page, asset, info, enter, begin, show, send, cancel)
