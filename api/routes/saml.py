"""Single sign-on over HTTP (SAML 2.0): to the identity provider and back, our metadata, and reading theirs."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromQuery, JSONBody
from litestar.response import Redirect

from api.guards import declared
from api.headers import session_cookie
from api.house_views import WhoAmI
from api.pages import page, refusal
from api.views import ProbeView, View, at
from api.visit import Visit
from appliance import audit, settings
from appliance.access import identity_provider, saml, saml_logout
from appliance.access.permissions import OPEN
from appliance.access.saml_errors import SamlRefused, SingleSignOnOff, WrongSignInCode
from appliance.access.saml_setup import Provider, in_force, passwords_allowed, provider
from appliance.access.section import SamlSection
from appliance.access.sessions import SignedIn
from appliance.errors import RanvierError

METADATA = "application/samlmetadata+xml"
BROWSER = "ranvier_saml"
"""The cookie that ties an answer to the browser that asked."""


class Answer(msgspec.Struct, kw_only=True, frozen=True):
    """What the identity provider's page posts; a RelayState that comes with it is not looked at."""

    SAMLResponse: str = ""


class SignInCode(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The code that the browser shows after single sign-on."""

    code: str


class ProviderMetadataGiven(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Metadata of an identity provider, as text."""

    metadata: str


class SignInWays(View, frozen=True, kw_only=True):
    """How somebody signs in here."""

    password: bool
    single_sign_on: bool
    single_sign_on_path: str
    """Where a browser begins; empty without single sign-on."""


class SignedOut(View, frozen=True, kw_only=True):
    """The session has ended here; a browser that goes to `url` ends it at the identity provider too (empty: nowhere)."""

    url: str


def _from_elsewhere(*statuses: int) -> dict[str, Any]:
    """A route that the identity provider's page calls: its own signature stands for it, no cookie of ours counts."""
    found = declared(OPEN, *statuses)
    return {**found, "opt": {**found["opt"], "from_elsewhere": True}, "include_in_schema": False}


async def _provider(visit: Visit) -> Provider:
    loaded = await visit.house.settings()
    found = provider(loaded.settings.saml, visit.house.home / "keys", now=visit.now)
    found.require(secure=visit.secure, address=visit.origin)
    return found


@get("/api/sign-in-ways", operation_id="getSignInWays", tags=["session"], **declared(OPEN))
async def ways(visit: NamedDependency[Visit]) -> SignInWays:
    """Which ways of signing in are open to this caller."""
    section = (await visit.house.settings()).settings.saml
    single = in_force(section)
    return SignInWays(
        password=passwords_allowed(section, here=visit.here),
        single_sign_on=single,
        single_sign_on_path="/api/saml/login" if single else "",
    )


@get(
    "/api/saml/metadata",
    operation_id="getServiceProviderMetadata",
    tags=["session"],
    media_type=METADATA,
    **declared(OPEN, 409),
)
async def metadata(visit: NamedDependency[Visit]) -> Response[str]:
    """Our metadata as XML, to give to the identity provider; there are some once the SP base URL is set."""
    section = (await visit.house.settings()).settings.saml
    made = provider(section, visit.house.home / "keys", now=visit.now).metadata()
    return Response(made, media_type=METADATA)


@post(
    "/api/saml/read-metadata",
    operation_id="readIdentityProviderMetadata",
    tags=["settings"],
    status_code=200,
    **declared("settings.write", 422),
)
async def read_metadata(visit: NamedDependency[Visit], data: JSONBody[ProviderMetadataGiven]) -> ProbeView:
    """Reads pasted metadata of an identity provider: what belongs into which field. Nothing is saved."""
    section = (await visit.house.settings()).settings.saml
    fresh = settings.section_from(settings.Settings(), "saml", {"idp_entity_id": section.idp_entity_id})
    assert isinstance(fresh, SamlSection)
    found = identity_provider.read_given(fresh, data.metadata, now=visit.now)
    return ProbeView(ok=found.ok, lines=found.lines, values=found.values)


@get("/api/saml/login", operation_id="beginSingleSignOn", include_in_schema=False, **declared(OPEN, 403, 409))
async def login(visit: NamedDependency[Visit], state: State, next: FromQuery[str] = "") -> Response[Any]:
    """Sends a browser to the identity provider; `next` is a path of ours to go on to, or `console` for a code."""
    try:
        state.sign_ins.take(visit.origin, visit.now)
        begun = await saml.begin(await _provider(visit), next, now=visit.now)
    except RanvierError as error:
        return refusal(error)
    return Redirect(begun.url, status_code=303, cookies=[_browser_cookie(begun.browser, visit)])


@post(
    "/api/saml/acs",
    operation_id="finishSingleSignOn",
    status_code=200,
    **_from_elsewhere(403, 409),
)
async def acs(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    state: State,
    data: Annotated[Answer, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """Takes the identity provider's answer and opens a session."""
    access = (await visit.house.settings()).settings.access
    try:
        state.saml_answers.take(visit.origin, visit.now)
        finished = await saml.finish(
            visit.house.keys,
            access,
            await _provider(visit),
            data.SAMLResponse,
            request.cookies.get(BROWSER, ""),
            address=visit.origin,
            now=visit.now,
        )
    except RanvierError as error:
        detail = error.cause if isinstance(error, SamlRefused) else ""
        await audit.append("unknown", "sign-in", "saml", error.code, visit.origin, visit.now, detail)
        return refusal(error)
    caller = finished.signed.caller
    # Nobody gave this role by hand: the row says which one the groups of the identity provider gave.
    detail = f"role {caller.role}, {request.headers.get('user-agent', '')[:200]}"
    await audit.append(caller.name, "sign-in", "saml", "done", visit.origin, visit.now, detail)
    shown = _landing(finished)
    shown.cookies = [_session(finished.signed, visit), _browser_cookie("", visit)]
    return shown


def _landing(finished: saml.Finished) -> Response[str]:
    name = finished.signed.caller.name
    if finished.code:
        hint = "Type this code in the console within three minutes. It works once; give it to nobody."
        return page("Signed in", f"You are signed in as {name}.", hint, finished.code)
    links = {"Manual": "/docs", "Documentation of the API": "/api-docs", "Code for the console": "/api/saml/login?next=console"}
    return page("Signed in", f"You are signed in as {name}.", links=links, go_to=finished.place)


@post("/api/login/code", operation_id="signInByCode", tags=["session"], status_code=200, **declared(OPEN, 401, 409))
async def by_code(visit: NamedDependency[Visit], state: State, data: JSONBody[SignInCode]) -> Response[WhoAmI]:
    """Opens a session for a console whose owner signed in with a browser: the code that the browser shows, once."""
    state.sign_ins.take(visit.origin, visit.now)
    found = (await visit.house.settings()).settings
    if not in_force(found.saml):
        raise SingleSignOnOff()
    signed = await saml.redeem(visit.house.keys, found.access, data.code, address=visit.origin, now=visit.now)
    if signed is None:
        await audit.append("unknown", "sign-in", "saml-code", WrongSignInCode.code, visit.origin, visit.now)
        raise WrongSignInCode()
    role = f"role {signed.caller.role}"
    await audit.append(signed.caller.name, "sign-in", "saml-code", "done", visit.origin, visit.now, role)
    who = WhoAmI(user=signed.caller.name, role=signed.caller.role, expires_at=at(signed.caller.expires_at))
    return Response(who, cookies=[_session(signed, visit)])


@post("/api/saml/logout", operation_id="endSingleSignOn", tags=["session"], status_code=200, **declared("session"))
async def logout(visit: NamedDependency[Visit]) -> Response[SignedOut]:
    """Ends the session at once, and says where a browser has to go to be signed out at the identity provider too."""
    section = (await visit.house.settings()).settings.saml
    url = ""
    if visit.caller.session and in_force(section):
        made = provider(section, visit.house.home / "keys", now=visit.now)
        url = await saml_logout.leave(made, visit.caller.session, now=visit.now)
    await visit.sign_out()
    return Response(SignedOut(url=url), cookies=[session_cookie("", 0, secure=visit.secure)])


@get("/api/saml/sls", operation_id="hearSignOut", **_from_elsewhere(403, 409))
async def sls(request: Request[Any, Any, Any], visit: NamedDependency[Visit], state: State) -> Response[Any]:
    """Takes the identity provider's word that somebody signed out, or that it has done what we asked."""
    try:
        state.saml_answers.take(visit.origin, visit.now)
        query = request.scope["query_string"].decode("latin-1")
        heard = await saml_logout.hear(visit.house.keys, await _provider(visit), query, now=visit.now)
    except RanvierError as error:
        detail = error.cause if isinstance(error, SamlRefused) else ""
        await audit.append("unknown", "sign-out", "saml", error.code, visit.origin, visit.now, detail)
        return refusal(error)
    await audit.append("identity-provider", "sign-out", "saml", "done", visit.origin, visit.now, f"{heard.ended} sessions")
    if heard.url:
        return Redirect(heard.url, status_code=303)
    return page("Signed out", "You are signed out.", links={"Sign in": "/api/saml/login"})


def _session(signed: SignedIn, visit: Visit) -> Cookie:
    return session_cookie(signed.cookie, (signed.caller.expires_at - visit.now) // 1000, secure=visit.secure)


def _browser_cookie(value: str, visit: Visit) -> Cookie:
    # The answer is posted by a page of another site: only `none` lets the cookie come along, and only over HTTPS.
    return Cookie(
        key=BROWSER,
        value=value,
        path="/api/saml",
        httponly=True,
        samesite="none" if visit.secure else "lax",
        secure=visit.secure,
        max_age=saml.REQUEST_MS // 1000 if value else 0,
    )


HANDLERS = (ways, metadata, read_metadata, login, acs, by_code, logout, sls)
