"""OpenAPI 3.1 and Swagger UI, without any request to another host: its files come from an installed package."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Contact, OAuthFlow, OAuthFlows, SecurityScheme, Tag
from litestar.params import FromPath
from litestar.response import File
from litestar.serialization import encode_json
from swagger_ui_bundle import swagger_ui_path

from api.doorstep import PIECE
from api.guards import COOKIE, declared
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
def show_asset(name: FromPath[str]) -> File | Response[str]:
    """One file of Swagger UI."""
    if name == "start.js":
        return Response(START, media_type="text/javascript")
    if name not in ASSETS:
        raise NotFoundException()
    headers = {"Cache-Control": "max-age=86400"}
    path = Path(str(swagger_ui_path)) / name
    return File(path=path, media_type=ASSETS[name], content_disposition_type="inline", headers=headers, chunk_size=PIECE)


@get("/schema/openapi.json", include_in_schema=False, sync_to_thread=False, **declared(OPEN))
def show_schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document at its other usual address."""
    return Response(schema_bytes(request.app), media_type="application/vnd.oai.openapi+json")


def schema_bytes(app: Litestar) -> bytes:
    """The OpenAPI document of an app."""
    return encode_json(app.openapi_schema.to_schema())


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
