"""The second factor of one's own account, and its removal by an administrator."""

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.guards import declared
from api.views import View
from api.visit import Visit
from appliance.access import accounts, second_factor, sessions
from appliance.access.permissions import NotPermitted
from appliance.records import users
from appliance.records.users import Account


class OwnPassword(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The caller's password: whoever finds an open console changes no second factor."""

    password: str


class CodeGiven(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A code of the authenticator app."""

    code: str


class Removal(OwnPassword, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Password, and a code or recovery code."""

    code: str


class SecondFactorView(View, frozen=True, kw_only=True):
    """Whether the second factor is on, and how many recovery codes are left."""

    enabled: bool
    recovery_left: int


class SecretView(View, frozen=True, kw_only=True):
    """A secret for the authenticator app: to type, and as the address that a QR code holds."""

    secret: str
    uri: str


class RecoveryView(View, frozen=True, kw_only=True):
    """The recovery codes, shown this once; each works once."""

    codes: list[str]


async def _own(visit: Visit) -> Account:
    account = await users.by_id(visit.caller.id) if visit.caller.session else None
    if account is None:
        raise NotPermitted(permission="session")
    return account


async def _check(visit: Visit, password: str) -> None:
    section = (await visit.house.settings()).settings.access
    await sessions.require_password(section, visit.caller, password, now=visit.now)


@get("/api/me/second-factor", operation_id="getSecondFactor", tags=["session"], **declared("session"))
async def show(visit: NamedDependency[Visit]) -> SecondFactorView:
    """Whether the caller's account has a second factor."""
    found = await second_factor.standing(visit.house.keys, await _own(visit))
    return SecondFactorView(enabled=found.enabled, recovery_left=found.recovery_left)


@post("/api/me/second-factor", operation_id="beginSecondFactor", tags=["session"], **declared("session", 409, 423))
async def begin(visit: NamedDependency[Visit], data: JSONBody[OwnPassword]) -> SecretView:
    """Makes a secret for an authenticator app; it counts once a code of it is confirmed."""
    account = await _own(visit)
    async with visit.audited("user.second-factor-begin", account.id):
        await _check(visit, data.password)
        site = (await visit.house.settings()).settings.site.name
        begun = await second_factor.begin(visit.house.keys, account, site)
    return SecretView(secret=begun.secret, uri=begun.uri)


@post(
    "/api/me/second-factor/confirm",
    operation_id="confirmSecondFactor",
    tags=["session"],
    status_code=200,
    **declared("session", 409),
)
async def confirm(visit: NamedDependency[Visit], data: JSONBody[CodeGiven]) -> RecoveryView:
    """Switches the second factor on; every other session of the account ends."""
    account = await _own(visit)
    async with visit.audited("user.second-factor-on", account.id):
        codes = await second_factor.confirm(visit.house.keys, account, data.code, visit.now)
        await users.revoke_other_sessions(account.id, visit.caller.session)
    return RecoveryView(codes=codes)


@post(
    "/api/me/second-factor/remove",
    operation_id="removeSecondFactor",
    tags=["session"],
    status_code=204,
    **declared("session", 423),
)
async def remove(visit: NamedDependency[Visit], data: JSONBody[Removal]) -> None:
    """Switches it off, with the password and a code."""
    account = await _own(visit)
    async with visit.audited("user.second-factor-off", account.id):
        section = (await visit.house.settings()).settings.access
        await sessions.require_both(visit.house.keys, section, visit.caller, data.password, data.code, now=visit.now)
        await second_factor.remove(account.id)


@post(
    "/api/users/{user:str}/second-factor/remove",
    operation_id="removeSecondFactorOf",
    tags=["users"],
    status_code=204,
    **declared("users.write", 404),
)
async def remove_of(visit: NamedDependency[Visit], user: FromPath[str]) -> None:
    """Takes the second factor from somebody who lost phone and recovery codes; by name or identifier."""
    known = await users.by_name(user)
    account = known or await accounts.get_user(await visit.id_of("user", user))
    async with visit.audited("user.second-factor-off", account.id):
        await second_factor.remove(account.id)


HANDLERS = (show, begin, confirm, remove, remove_of)
