"""Resumable uploads by tus 1.0.0, for whoever is signed in (/api/uploads) and for the upload page (/portal/tus)."""

import base64
import binascii
import re
import secrets
from email.utils import formatdate
from typing import Any

from litestar import Request, Response, delete, head, patch, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath

from api.guards import declared
from api.visit import Visit
from appliance import submissions
from appliance.access.permissions import OPEN
from appliance.errors import Rejected
from appliance.receive import upload
from appliance.records.submissions import SubmissionRow

_PLACES = ["/api/uploads", "/portal/tus"]
_ONE = [f"{place}/{{upload_id:str}}" for place in _PLACES]
_NUMBER = re.compile(r"\d{1,15}")
BODY = "application/offset+octet-stream"
CHECKSUM_MISMATCH = 460


class NotTus(Rejected):
    """This is no request of tus 1.0.0: {what}."""

    code = "not-tus"
    next_step = "Use a tus 1.0.0 client, with the submission's identifier as metadata `submission`."


def _number(request: Request[Any, Any, Any], name: str) -> int:
    text = request.headers.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise NotTus(what=f"the header {name} is missing or no number")
    return int(text)


def _check_version(request: Request[Any, Any, Any]) -> Response[None] | None:
    if request.headers.get("tus-resumable") != upload.VERSION:
        return Response(None, status_code=412, headers={"Tus-Version": upload.VERSION})
    return None


def _headers(row: SubmissionRow | None = None, **more: str) -> dict[str, str]:
    expires = {"Upload-Expires": formatdate((row.seen_at + submissions.KEPT_MS) / 1000, usegmt=True)} if row else {}
    return {"Tus-Resumable": upload.VERSION, **expires, **{name.replace("_", "-"): value for name, value in more.items()}}


def _submission(request: Request[Any, Any, Any]) -> str:
    """The opaque identifier in the metadata; nothing else of it is read."""
    for pair in request.headers.get("upload-metadata", "").split(","):
        name, _, value = pair.strip().partition(" ")
        if name == "submission":
            try:
                return base64.b64decode(value, validate=True).decode("ascii")
            except (binascii.Error, UnicodeDecodeError):
                break
    raise NotTus(what="its metadata names no submission")


@route(_PLACES, http_method=[HttpMethod.OPTIONS], include_in_schema=False, status_code=204, **declared(OPEN))
async def options(visit: NamedDependency[Visit]) -> Response[None]:
    """What this server can do (tus 1.0.0, OPTIONS)."""
    limit = (await visit.house.settings()).settings.uploads.maximum_gb << 30
    more = {
        "Tus_Version": upload.VERSION,
        "Tus_Extension": upload.EXTENSIONS,
        "Tus_Max_Size": str(limit),
        "Tus_Checksum_Algorithm": ",".join(upload.ALGORITHMS),
    }
    return Response(None, status_code=204, headers=_headers(None, **more))


@post(_PLACES, operation_id="createUpload", include_in_schema=False, **declared("uploads.write", 404, 409, 413))
async def create(request: Request[Any, Any, Any], visit: NamedDependency[Visit]) -> Response[None]:
    """Announces one file of a submission (tus creation)."""
    refused = _check_version(request)
    if refused:
        return refused
    row = await submissions.of_caller(visit.caller, _submission(request))
    length = _number(request, "upload-length")
    made = await submissions.create(visit.house, row, length, now=visit.now, secret=secrets.token_hex(16))
    place = _PLACES[1] if request.scope["path"].startswith("/portal/") else _PLACES[0]
    return Response(None, status_code=201, headers=_headers(row, Location=f"{place}/{made.id}"))


@head(_ONE, operation_id="findUpload", include_in_schema=False, **declared("uploads.write", 404))
async def find(request: Request[Any, Any, Any], visit: NamedDependency[Visit], upload_id: FromPath[str]) -> Response[None]:
    """How far a file is."""
    refused = _check_version(request)
    if refused:
        return refused
    row, found = await submissions.upload_of_caller(visit.caller, upload_id)
    at = found.length if found.whole else upload.offset(visit.house.storage, row.id, found.id)
    return Response(None, headers=_headers(row, Upload_Offset=str(at), Upload_Length=str(found.length)))


@patch(
    _ONE,
    operation_id="appendToUpload",
    include_in_schema=False,
    request_max_body_size=None,
    status_code=204,
    **declared("uploads.write", 404, 409, 415, 423),
)
async def append(request: Request[Any, Any, Any], visit: NamedDependency[Visit], upload_id: FromPath[str]) -> Response[None]:
    """Adds a piece at the offset where the file stands."""
    refused = _check_version(request)
    if refused:
        return refused
    if request.headers.get("content-type", "") != BODY:
        return Response(None, status_code=415, headers=_headers())
    row, found = await submissions.upload_of_caller(visit.caller, upload_id)
    at, checksum = _number(request, "upload-offset"), _checksum(request)
    try:
        reached = await submissions.append(visit.house, row, found, at, request.stream(), now=visit.now, checksum=checksum)
    except upload.WrongChecksum:
        return Response(None, status_code=CHECKSUM_MISMATCH, headers=_headers())
    return Response(None, status_code=204, headers=_headers(row, Upload_Offset=str(reached)))


def _checksum(request: Request[Any, Any, Any]) -> tuple[str, bytes] | None:
    name, _, value = request.headers.get("upload-checksum", "").partition(" ")
    if not name:
        return None
    if name not in upload.ALGORITHMS:
        raise NotTus(what=f"checksums are {' or '.join(upload.ALGORITHMS)}")
    try:
        return name, base64.b64decode(value, validate=True)
    except binascii.Error:
        raise NotTus(what="the checksum is no Base64") from None


@delete(_ONE, operation_id="removeUpload", include_in_schema=False, **declared("uploads.write", 404, 409))
async def remove(request: Request[Any, Any, Any], visit: NamedDependency[Visit], upload_id: FromPath[str]) -> Response[None]:
    """Takes a file back (tus termination)."""
    refused = _check_version(request)
    if refused:
        return refused
    row, found = await submissions.upload_of_caller(visit.caller, upload_id)
    await submissions.drop(visit.house, row, found)
    return Response(None, status_code=204, headers=_headers())


HANDLERS = (options, create, find, append, remove)
