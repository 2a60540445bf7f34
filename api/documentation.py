"""OpenAPI 3.1 and Swagger UI, without any request to another host: its files come from an installed package."""

from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import (
    Components,
    Contact,
    OAuthFlow,
    OAuthFlows,
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    Reference,
    RequestBody,
    SecurityScheme,
    Tag,
)
from litestar.params import FromPath
from litestar.serialization import encode_json
from swagger_ui_bundle import swagger_ui_path

from api.examples import Schemas, example_of, problem_of
from api.guards import COOKIE, declared
from api.problems import MEDIA_TYPE
from appliance.access.permissions import OPEN, PERMISSIONS

TITLE = "Ranvier"
ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-standalone-preset.js": "text/javascript",
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Ranvier API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/api-docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api-docs/assets/swagger-ui-bundle.js"></script>
<script src="/api-docs/assets/swagger-ui-standalone-preset.js"></script>
<script src="/api-docs/assets/start.js"></script>
</body>
</html>
"""
START = """window.ui = SwaggerUIBundle({
  url: "/api-docs/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "BaseLayout"
});
"""
TAGS = {
    "session": "Sign in and out.",
    "status": "How the appliance is.",
    "studies": "What was received.",
    "orders": "Work on studies.",
    "results": "Reports and where they went.",
    "events": "What happens, live.",
    "uploads": "What people hand in, and the codes that let them.",
    "settings": "Everything an operator can set.",
    "users": "Accounts and tokens.",
    "audit": "Who did and saw what.",
}


_SCOPES = {name: f"{', '.join(sorted(roles))}" for name, roles in PERMISSIONS.items()}
"""Permission -> the roles that have it."""


class SwaggerPage(OpenAPIRenderPlugin):
    """Swagger UI as a page whose scripts stand in files of ours: the content policy allows no other."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page; the document is loaded by its script."""
        return PAGE.encode()


@get("/api-docs/assets/{name:str}", include_in_schema=False, sync_to_thread=False, **declared(OPEN))
def show_asset(name: FromPath[str]) -> Response[str | bytes]:
    """One file of Swagger UI."""
    if name == "start.js":
        return Response(START, media_type="text/javascript")
    if name not in ASSETS:
        raise NotFoundException()
    return Response(_asset(name), media_type=ASSETS[name], headers={"Cache-Control": "max-age=86400"})


@lru_cache(maxsize=len(ASSETS))
def _asset(name: str) -> bytes:
    # Kept: a thread that reads from disk for each slow reader would take the others' turns.
    return (Path(str(swagger_ui_path)) / name).read_bytes()


@get("/schema/openapi.json", include_in_schema=False, sync_to_thread=False, **declared(OPEN))
def show_schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document at its other usual address."""
    return Response(schema_bytes(request.app), media_type="application/vnd.oai.openapi+json")


def schema_bytes(app: Litestar) -> bytes:
    """The OpenAPI document of an app."""
    return encode_json(app.openapi_schema.to_schema())


EXAMPLES: dict[str, dict[str, Any]] = {
    "Credentials": {"user": "admin", "password": "Correct-Horse-Battery-1"},
    "OrderAsked": {"study": "01a2016c-f1eb-70fb-8f5f-eaad0c01c811", "products": ["dti"], "priority": 0},
    "CodeAsked": {"source": "Sankt Example", "most": 1, "hours": 168},
    "LinkAsked": {"to": "01a2016c-f1eb-70fb-8f5f-eaad0c01c811"},
    "StudyNamed": {"study": "01a2016c-f1eb-70fb-8f5f-eaad0c01c811"},
    "BypassAsked": {"order": "01a2016c-f1eb-70fb-8f5f-eaad0c01c811", "reason": "The radiologist agreed."},
    "Reason": {"reason": "The radiologist agreed."},
    "MetadataGiven": {"age": "063Y", "sex": "F"},
    "RevealAsked": {"studies": ["01a2016c-f1eb-70fb-8f5f-eaad0c01c811"]},
    "NewUser": {"name": "meyer", "password": "Correct-Horse-Battery-1", "role": "user"},
    "NewPassword": {"password": "Correct-Horse-Battery-2"},
    "PasswordText": {"password": "Correct-Horse-Battery-1"},
    "TokenAsked": {"name": "his", "role": "service"},
    "TokenRequest": {"grant_type": "client_credentials"},
    "VersionNamed": {"version": 1},
    "ExportAsked": {"passphrase": ""},
    "ImportAsked": {"text": "[ranvier]\nformat = 1\n"},
}
"""Request body -> an example, for whoever reads the document."""
_LENIENT = frozenset({"TokenRequest"})
"""Bodies whose unknown fields are passed over (RFC 6749 section 3.2); every other body refuses them."""


def complete(app: Litestar) -> None:
    """Adds to the document what the handlers' types do not tell it: strict bodies, examples, answers without a body, and
    the limit of bodies.
    """
    document = app.openapi_schema
    schemas = document.components.schemas if document.components and document.components.schemas else {}
    for item in (document.paths or {}).values():
        for operation in (item.get, item.put, item.post, item.delete, item.patch):
            if operation is None or operation.responses is None:
                continue
            for status, answer in operation.responses.items():
                if isinstance(answer, OpenAPIResponse):
                    _complete_answer(status, answer)
            if isinstance(operation.request_body, RequestBody):
                # The door measures a body before any handler sees it.
                refused = OpenAPIResponse(
                    description=HTTPStatus.REQUEST_ENTITY_TOO_LARGE.phrase, content=_problem_of(operation.responses)
                )
                operation.responses.setdefault("413", refused)
            for media in operation.request_body.content.values() if isinstance(operation.request_body, RequestBody) else ():
                name = media.schema.ref.rpartition("/")[2] if isinstance(media.schema, Reference) else ""
                if name in schemas:
                    body = schemas[name]
                    body.additional_properties = name in _LENIENT
                    if name in EXAMPLES:
                        body.examples = [EXAMPLES[name]]
    _show_answers(document)


def _show_answers(document: OpenAPI) -> None:
    """An example for every answer of JSON."""
    known = document.components.schemas if document.components else None
    schemas: Schemas = {name: one.to_schema() for name, one in (known or {}).items()}
    for item in (document.paths or {}).values():
        for operation in (item.get, item.put, item.post, item.delete, item.patch):
            for status, answer in (operation.responses or {}).items() if operation else ():
                for kind, media in (answer.content or {}).items() if isinstance(answer, OpenAPIResponse) else ():
                    if not kind.endswith("json") or media.schema is None:
                        continue
                    shown = example_of(media.schema.to_schema(), schemas)
                    media.example = shown | problem_of(HTTPStatus(int(status))) if kind == MEDIA_TYPE else shown


def _problem_of(answers: dict[str, Any]) -> dict[str, OpenAPIMediaType] | None:
    """What the other refusals of an operation answer with: all may be refused for coming too often."""
    found = answers["429"]
    content = found.content if isinstance(found, OpenAPIResponse) else None
    return {kind: OpenAPIMediaType(schema=media.schema) for kind, media in content.items()} if content else None


def _complete_answer(status: str, answer: OpenAPIResponse) -> None:
    if status == "204":
        answer.content = None


def openapi_config() -> OpenAPIConfig:
    """What the document says about the API as a whole."""
    return OpenAPIConfig(
        title=TITLE,
        version=version("ranvier"),
        description=(
            "Studies, orders, reports, settings and live events of one appliance. Sign in for a session cookie, or send an API "
            "token as bearer. Lists take a filter (`q`) and are paged by cursor; errors are problem+json (RFC 9457)."
        ),
        contact=Contact(name="Whoever looks after this appliance"),
        components=Components(
            security_schemes={
                "session": SecurityScheme(
                    type="apiKey", security_scheme_in="cookie", name=COOKIE, description="Session cookie."
                ),
                "oauth": SecurityScheme(
                    type="oauth2",
                    description="An API token exchanged for an access token that lives an hour; scopes are permissions.",
                    flows=OAuthFlows(client_credentials=OAuthFlow(token_url="/api/oauth/token", scopes=_SCOPES)),
                ),
                "bearer": SecurityScheme(type="http", scheme="bearer", description="API token, or the session's value."),
            }
        ),
        security=[{"session": []}, {"bearer": []}, {"oauth": []}],
        tags=[Tag(name=name, description=text) for name, text in TAGS.items()],
        render_plugins=[SwaggerPage(), JsonRenderPlugin(path="/openapi.json")],
        openapi_router=Router(path="/api-docs", route_handlers=[], include_in_schema=False, opt={"permission": OPEN}),
        use_handler_docstrings=True,
    )


HANDLERS = (show_asset, show_schema)
