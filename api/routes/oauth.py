"""The token endpoint of OAuth 2.0 for machines (client credentials, RFC 6749 section 4.4)."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote_plus

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import Body

from api.guards import declared
from api.views import View
from api.visit import Visit
from appliance import audit
from appliance.access import grants
from appliance.access.permissions import OPEN
from appliance.errors import RanvierError

_NO_STORE = {"Pragma": "no-cache"}


class TokenRequest(msgspec.Struct, kw_only=True, frozen=True):
    """What a client asks with; parameters that there are not are passed over (RFC 6749 section 3.2)."""

    grant_type: str = ""
    scope: str = ""
    """Permissions, separated by spaces; empty: all that the client has."""
    client_id: str = ""
    """The identifier of an API token; better in the header Authorization: Basic."""
    client_secret: str = ""
    """The API token itself."""


class AccessToken(View, frozen=True, kw_only=True):
    """An access token (RFC 6749 section 5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    """Seconds."""
    scope: str


class Refusal(View, frozen=True, kw_only=True):
    """Why there is none (RFC 6749 section 5.2)."""

    error: str
    error_description: str


@dataclass
class _Documented(Operation):
    """Refusals of this endpoint come in the standard's form (RFC 6749 section 5.2); those of the door are problems."""

    def __post_init__(self) -> None:
        """Adds the standard's form to what the document promises."""
        text = Schema(type=OpenAPIType.STRING)
        form = Schema(type=OpenAPIType.OBJECT, properties={"error": text, "error_description": text}, required=["error"])
        for status in ("400", "401"):
            answer = (self.responses or {}).get(status)
            if isinstance(answer, OpenAPIResponse):
                answer.content = {**(answer.content or {}), "application/json": OpenAPIMediaType(schema=form)}


Form = Annotated[TokenRequest, Body(media_type=RequestEncodingType.URL_ENCODED)]


@post(
    "/api/oauth/token",
    operation_id="getAccessToken",
    operation_class=_Documented,
    tags=["session"],
    status_code=200,
    **declared(OPEN, 401),
)
async def grant(
    request: Request[object, object, State], visit: NamedDependency[Visit], state: State, data: Form
) -> Response[AccessToken]:
    """Exchanges an API token (client_id: its identifier, client_secret: the token) for an access token that lives an hour."""
    state.sign_ins.take(visit.origin, visit.now)
    basic = request.headers.get("authorization", "")
    client, secret = _of_header(basic) if basic else (data.client_id, data.client_secret)
    if basic and data.client_secret:
        return _refused(400, "invalid_request", "Give the secret once: in the header or in the body.")
    if data.grant_type != "client_credentials":
        wrong = "unsupported_grant_type" if data.grant_type else "invalid_request"
        return _refused(400, wrong, "The only grant_type is client_credentials.")
    try:
        made = await grants.exchange(visit.house.keys, client, secret, data.scope, visit.now)
    except RanvierError as error:
        await audit.append("unknown", "access-token", "", error.code, visit.origin, visit.now)
        known = isinstance(error, grants.ScopeRefused)
        return _refused(400 if known else 401, error.code.replace("-", "_"), error.what)
    await audit.append(made.caller.name, "access-token", made.caller.id, "done", visit.origin, visit.now)
    view = AccessToken(access_token=made.token, token_type="Bearer", expires_in=made.seconds, scope=" ".join(made.scopes))
    return Response(view, headers=_NO_STORE)


def _of_header(basic: str) -> tuple[str, str]:
    """Client and secret of a Basic header; each is form-encoded in it (RFC 6749 section 2.3.1)."""
    scheme, _, packed = basic.partition(" ")
    try:
        client, colon, secret = base64.b64decode(packed, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (unquote_plus(client), unquote_plus(secret)) if scheme.lower() == "basic" and colon else ("", "")


def _refused(status: int, error: str, why: str) -> Response[Any]:
    headers = _NO_STORE | ({"WWW-Authenticate": 'Basic realm="ranvier"'} if status == 401 else {})
    return Response(Refusal(error=error, error_description=why), status_code=status, headers=headers)


HANDLERS = (grant,)
