"""Errors as HTTP answers: one table from error class to status, one form (RFC 9457, problem+json).

A problem names a code, a sentence, what to do next and the request's identifier; never a value that somebody sent, never a
patient's. What we did not foresee is 500 with the identifier alone; the log has the rest.
"""

import logging
import re
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from api.conditional import OrderChanged
from appliance import errors
from appliance.access.accounts import BadName
from appliance.access.lockout import Locked, WrongPassword
from appliance.access.passwords import WeakPassword
from appliance.access.permissions import NotPermitted, NotSignedIn
from appliance.access.saml_errors import WrongSignInCode
from appliance.access.second_factor import CodeNeeded, WrongCode
from appliance.audit import AnchorWrong
from appliance.keys import RootKeyMissing, SealBroken
from appliance.receive.upload import UploadBusy
from appliance.records.engine import DatabaseAway
from appliance.records.filter import FilterProblem
from appliance.settings import SettingsRefused, SettingsStale
from appliance.storage import OutOfSpace
from appliance.submissions import CodeRefused, TooLargeUpload

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class TooManyRequests(errors.Denied):
    """Too many requests from this address or account."""

    code = "too-many-requests"
    next_step = "Wait a little, then try again."

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__()


class VersionMissing(errors.Misconfigured):
    """The version that this change is based on is missing."""

    code = "version-missing"
    next_step = "Send the version you loaded in the header If-Match."


class ForeignOrigin(errors.Denied):
    """This request did not come from the appliance's own page or console."""

    code = "foreign-origin"
    next_step = "Send the header X-Ranvier with the cookie, or use an API token."


STATUS: dict[type[errors.RanvierError], int] = {
    errors.RanvierError: 500,
    errors.Rejected: 400,
    errors.Retry: 503,
    errors.Failed: 422,
    errors.NeedsPerson: 409,
    errors.Misconfigured: 422,
    errors.Denied: 403,
    errors.Unknown: 404,
    errors.Conflict: 409,
    NotSignedIn: 401,
    NotPermitted: 403,
    WrongPassword: 401,
    CodeNeeded: 401,
    WrongCode: 401,
    WrongSignInCode: 401,
    Locked: 423,
    TooManyRequests: 429,
    ForeignOrigin: 403,
    WeakPassword: 422,
    BadName: 422,
    AnchorWrong: 422,
    FilterProblem: 400,
    SettingsRefused: 422,
    SettingsStale: 412,
    OrderChanged: 412,
    VersionMissing: 428,
    OutOfSpace: 507,
    UploadBusy: 423,
    TooLargeUpload: 413,
    CodeRefused: 403,
    DatabaseAway: 503,
    RootKeyMissing: 500,
    SealBroken: 500,
}
"""Error class -> status; a class that is not here has that of its nearest base."""


class FieldProblem(msgspec.Struct, kw_only=True, frozen=True):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Why a request was not served (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    next_step: str
    request_id: str
    fields: list[FieldProblem] = []
    position: int | None = None
    locked_until: str = ""


def status_of(error: errors.RanvierError) -> int:
    """The status of an error of the house."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def of_house(request: Request[Any, Any, Any], error: errors.RanvierError) -> Response[Problem]:
    """The answer to an error of the house."""
    status = status_of(error)
    if status >= 500:
        log.error("%s", error.what, extra={"code": error.code, "request": request_id(request)})
    problem = _problem(request, status, error.code, error.what, error.advice, _fields(error))
    if isinstance(error, FilterProblem):
        problem = msgspec.structs.replace(problem, position=error.position)
    if isinstance(error, Locked):
        problem = msgspec.structs.replace(problem, locked_until=str(error.facts["locked_until"]))
    wait = getattr(error, "retry_after_s", None) or (int(error.after) if isinstance(error, errors.Retry) else None)
    return _answer(problem, {"Retry-After": str(wait)} if wait else {})


def _fields(error: errors.RanvierError) -> list[FieldProblem]:
    if isinstance(error, SettingsRefused):
        return [FieldProblem(field=one.field, message=one.message) for one in error.problems]
    if isinstance(error, WeakPassword):
        return [FieldProblem(field="password", message=one.sentence) for one in error.answers if not one.kept]
    if isinstance(error, errors.Misconfigured) and error.field:
        return [FieldProblem(field=error.field, message=error.what)]
    return []


def of_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """The answer to an error of the web framework; its own sentence, which may repeat the request, is not passed on."""
    status = error.status_code
    fields: list[FieldProblem] = []
    if isinstance(error, ValidationException):
        status = HTTPStatus.BAD_REQUEST
        extra = error.extra if isinstance(error.extra, list) else []
        fields = [
            FieldProblem(field=str(one.get("key", "")), message=without_values(str(one.get("message", ""))))
            for one in extra
            if isinstance(one, dict)
        ]
    code, detail, step = _HTTP.get(status, ("http", HTTPStatus(status).description or HTTPStatus(status).phrase, _DOCS))
    if status >= 500 and error.detail != _LEFT:
        log.error("%s", type(error).__name__, exc_info=error, extra={"code": code, "request": request_id(request)})
    kept = {name: value for name, value in (error.headers or {}).items() if name.lower() in ("allow", "retry-after")}
    return _answer(_problem(request, int(status), code, detail, step, fields), kept)


_LEFT = "client disconnected prematurely"
"""The framework's word for a caller that went away in the middle of a request, which is no fault of ours."""
_DOCS = "See /api-docs for what this address takes."
_HTTP: dict[int, tuple[str, str, str]] = {
    400: ("bad-request", "The request is not of the form that this address takes.", _DOCS),
    404: ("no-such-address", "There is nothing at this address.", _DOCS),
    405: ("method-not-allowed", "This address does not take this method.", _DOCS),
    413: ("too-large", "The request is larger than this address takes.", "Send less at once."),
    415: ("media-type", "This address takes JSON.", _DOCS),
}


def unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The last handler: the log has the place, the caller has the request's identifier."""
    found = request_id(request)
    log.error("unforeseen %s", type(error).__name__, exc_info=error, extra={"code": "unforeseen", "request": found})
    step = "Give this request's identifier to whoever looks after the appliance; the log has it."
    return _answer(_problem(request, 500, "unforeseen", "Something went wrong inside the appliance.", step, []), {})


def without_values(message: str) -> str:
    """A decoder's message without what somebody sent."""
    return re.sub(r"(?i)\b(value|field)\s+(['\"]).*\2", r"\1", message)


def request_id(request: Request[Any, Any, Any]) -> str:
    """The identifier that answer and log share."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def _problem(
    request: Request[Any, Any, Any], status: int, code: str, detail: str, step: str, fields: list[FieldProblem]
) -> Problem:
    return Problem(
        type=f"urn:ranvier:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        next_step=step,
        request_id=request_id(request),
        fields=fields,
    )


def _answer(problem: Problem, headers: dict[str, str]) -> Response[Problem]:
    return Response(problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)
