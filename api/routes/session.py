"""Signing in and out."""

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.guards import declared
from api.headers import session_cookie
from api.house_views import WhoAmI
from api.views import View, at
from api.visit import Visit
from appliance import audit, service_account
from appliance.access import accounts, passwords, sessions
from appliance.access.permissions import OPEN
from appliance.access.saml_setup import passwords_allowed
from appliance.access.sessions import Caller
from appliance.errors import Denied
from appliance.service_account import Prompt


class Credentials(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Name and password; `code` when the account has a second factor."""

    user: str
    password: str
    code: str = ""


class NewOwnPassword(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The password in use and the one that takes its place."""

    old: str
    new: str


class PasswordText(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A password that somebody thinks of."""

    password: str


class RuleView(View, frozen=True, kw_only=True):
    """Whether a password keeps one rule."""

    rule: str
    sentence: str
    kept: bool


def _who(caller: Caller) -> WhoAmI:
    return WhoAmI(user=caller.name, role=caller.role, expires_at=at(caller.expires_at))


@post("/api/login", operation_id="signIn", tags=["session"], status_code=200, **declared(OPEN, 401, 403, 423, 429))
async def sign_in(visit: NamedDependency[Visit], state: State, data: JSONBody[Credentials]) -> Response[WhoAmI]:
    """Opens a session; its cookie slides with use and ends after the idle time."""
    state.sign_ins.take(visit.origin, visit.now)
    try:
        prompt = Prompt(name=data.user, password=data.password, code=data.code, address=visit.origin, here=visit.here)
        signed = await service_account.sign_in(visit.house, state.cloud_tries, visit.strangers, prompt, visit.now)
    except Denied as refused:
        actor = await accounts.known_name(data.user)
        await audit.append(actor, "sign-in", "", refused.code, visit.origin, visit.now)
        raise
    way = "" if await _passwords_are_usual(visit) else "break-glass"
    await audit.append(signed.caller.name, "sign-in", way, "done", visit.origin, visit.now)
    cookie = session_cookie(signed.cookie, (signed.caller.expires_at - visit.now) // 1000, secure=visit.secure)
    return Response(_who(signed.caller), cookies=[cookie])


async def _passwords_are_usual(visit: Visit) -> bool:
    return passwords_allowed((await visit.house.settings()).settings.saml, here=False)


@post("/api/logout", operation_id="signOut", tags=["session"], status_code=204, **declared("session"))
async def sign_out(visit: NamedDependency[Visit]) -> Response[None]:
    """Ends the session at once, for every copy of its cookie."""
    await visit.sign_out()
    headers = {"Clear-Site-Data": '"cache", "storage"'}
    return Response(None, status_code=204, cookies=[session_cookie("", 0, secure=visit.secure)], headers=headers)


@get("/api/me", operation_id="getMe", tags=["session"], **declared("session"))
async def get_me(visit: NamedDependency[Visit]) -> WhoAmI:
    """Who is signed in."""
    return _who(visit.caller)


@post("/api/me/password", operation_id="changeMyPassword", tags=["session"], status_code=204, **declared("session", 422, 423))
async def change_my_password(visit: NamedDependency[Visit], data: JSONBody[NewOwnPassword]) -> None:
    """Sets the caller's own password; every session of theirs ends."""
    section = (await visit.house.settings()).settings.access
    async with visit.audited("user.password", visit.caller.id):
        await sessions.require_password(section, visit.caller, data.old, now=visit.now)
        await accounts.set_password(visit.caller.id, data.new)


@post("/api/password-rule", operation_id="checkPassword", tags=["session"], status_code=200, **declared("session"))
async def check_password(data: JSONBody[PasswordText]) -> list[RuleView]:
    """Which rules a password keeps, while somebody types it; nothing is stored."""
    return [RuleView(rule=one.rule, sentence=one.sentence, kept=one.kept) for one in passwords.check_rules(data.password)]


HANDLERS = (sign_in, sign_out, get_me, change_my_password, check_password)
