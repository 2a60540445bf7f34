"""Accounts: list, create, new password, role, in or out; for administrators."""

from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.guards import declared
from api.house_views import UserView
from api.routes.asked import After, Few, Once, cut, linked
from api.views import at
from api.visit import Visit
from appliance.access import accounts
from appliance.access.permissions import Role
from appliance.records import users


class NewUser(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An account to be made."""

    name: Annotated[str, msgspec.Meta(max_length=63)]
    password: str
    role: Role = "user"


class NewPassword(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A password that takes the place of the one before."""

    password: str


class UserChange(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is to be otherwise about an account; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None


def _view(one: users.Account, now: int) -> UserView:
    return UserView(
        id=one.id,
        name=one.name,
        role=one.role,
        disabled=one.disabled,
        locked_until=at(one.locked_until) if one.locked_until > now else None,
        created_at=at(one.created_at),
    )


async def _found(visit: Visit, user: str) -> str:
    known = await users.by_name(user)
    return known.id if known else await visit.id_of("user", user)


@get("/api/users", operation_id="listUsers", tags=["users"], **declared("users.read"))
async def list_users(visit: NamedDependency[Visit], after: After = "", limit: Few = 1000) -> Response[list[UserView]]:
    """Accounts by name."""
    part, mark = cut(await accounts.list_users(), lambda one: one.name, after, limit)
    return linked([_view(one, visit.now) for one in part], "/api/users", mark, limit=limit)


@post("/api/users", operation_id="createUser", tags=["users"], **declared("users.write", 409, 422))
async def create_user(
    visit: NamedDependency[Visit],
    data: JSONBody[NewUser],
    idempotency_key: Once = "",
) -> UserView:
    """Makes an account."""
    async with visit.audited("user.create", data.name, data.role):
        again = visit.once("user", idempotency_key)
        user = await accounts.create_user(data.name, data.role, data.password, visit.now, again=again)
    return _view(await accounts.get_user(user), visit.now)


@post(
    "/api/users/{user:str}/password",
    operation_id="setPassword",
    tags=["users"],
    status_code=200,
    **declared("users.write", 404, 422),
)
async def set_password(visit: NamedDependency[Visit], user: FromPath[str], data: JSONBody[NewPassword]) -> UserView:
    """Sets a new password, unlocks the account and ends its sessions; by name or identifier."""
    found = await _found(visit, user)
    async with visit.audited("user.password", found):
        account = await accounts.set_password(found, data.password)
    return _view(account, visit.now)


@patch("/api/users/{user:str}", operation_id="changeUser", tags=["users"], **declared("users.write", 404, 409))
async def change_user(visit: NamedDependency[Visit], user: FromPath[str], data: JSONBody[UserChange]) -> UserView:
    """Gives an account another role, disables it or lets it in again; a change ends its sessions. By name or identifier."""
    found = await _found(visit, user)
    said = [f"role {data.role}"] if data.role else []
    said += ["" if data.disabled is None else "disable" if data.disabled else "enable"]
    async with visit.audited("user.change", found, " ".join(said).strip()):
        account = await accounts.change_user(found, role=data.role, disabled=data.disabled)
    return _view(account, visit.now)


@post(
    "/api/users/{user:str}/sign-out",
    operation_id="signUserOut",
    tags=["users"],
    status_code=200,
    **declared("users.write", 404),
)
async def sign_user_out(visit: NamedDependency[Visit], user: FromPath[str]) -> UserView:
    """Ends every session of an account at once; by name or identifier."""
    found = await _found(visit, user)
    async with visit.audited("user.sign-out", found):
        account = await accounts.end_sessions(found)
    return _view(account, visit.now)


HANDLERS = (list_users, create_user, set_password, change_user, sign_user_out)
