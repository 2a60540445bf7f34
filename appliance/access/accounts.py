"""Local accounts: create, new password, list."""

import re

import msgspec

from appliance.access.passwords import digest_of
from appliance.access.permissions import ROLES
from appliance.errors import Conflict, Rejected, Unknown
from appliance.moments import id_of_digest, new_id
from appliance.records import users
from appliance.records.users import Account

CLOUD_ACCOUNT = "00000000-0000-7000-8000-000000000001"
"""The identifier of the cloud's service account: an account of another one that has the same name is not the cloud's."""
_NAME = re.compile(r"^[a-z0-9][a-z0-9._@\-]{1,62}$")


class UnknownRole(Rejected):
    """There is no role of that name."""

    code = "unknown-role"
    next_step = "Use admin, user, service or uploader."


class BadName(Rejected):
    """A user name has 2 to 63 letters, digits, dots, hyphens, underscores or @, and begins with a letter or digit."""

    code = "bad-name"
    next_step = "Choose another name."


class NameTaken(Conflict):
    """There is an account of that name already."""

    code = "name-taken"
    next_step = "Choose another name, or set a new password for that account."


class NotHere(Conflict):
    """This account's password is the identity provider's; it has none here."""

    code = "account-elsewhere"
    next_step = "Change it there, or make a local account."


class AccountOfKey(Conflict):
    """This idempotency key made another account."""

    code = "account-of-key"
    next_step = "Use a new key for each account."


class RoleElsewhere(Conflict):
    """This account's role is not given here: groups of the identity provider give it, or it is the cloud's service account."""

    code = "role-elsewhere"
    next_step = "Change the person's groups there; the cloud's service account is always an administrator."


class LastAdministrator(Conflict):
    """Nobody would be left who signs in by password as an administrator."""

    code = "last-administrator"
    next_step = "Make another administrator first."


async def create_user(name: str, role: str, password: str, now: int, *, again: str = "") -> str:
    """Makes an account and gives its identifier; raises `BadName`, `UnknownRole`, `WeakPassword`, `NameTaken`.

    The same `again` (a digest of at least 122 bits; empty: never) gives the same account, or raises `AccountOfKey`.
    """
    wanted = name.strip().lower()
    if not _NAME.match(wanted):
        raise BadName()
    if role not in ROLES:
        raise UnknownRole()
    digest = await digest_of(password)
    identifier = id_of_digest(again) if again else new_id(now)
    made = await users.by_id(identifier) if again else None
    if made is not None:
        if (made.name, made.role) != (wanted, role):
            raise AccountOfKey()
        return made.id
    account = Account(id=identifier, name=wanted, role=role, password_hash=digest, created_at=now)
    if not await users.add(account):
        raise NameTaken()
    return account.id


async def set_password(user: str, password: str) -> Account:
    """Sets a new password, unlocks the account and ends its sessions; raises `Unknown`, `WeakPassword`.

    `user` is a name or an identifier.
    """
    account = await get_user(user)
    if ":" in account.name:
        # No local account has such a name: `saml_people.PREFIX`.
        raise NotHere()
    await users.set_password_hash(account.id, await digest_of(password))
    return account


async def change_user(user: str, *, role: str | None = None, disabled: bool | None = None) -> Account:
    """Gives an account another role, or lets it in or not; its sessions end with any change.

    `user` is a name or an identifier. Raises `Unknown`, `UnknownRole`, `RoleElsewhere`, `LastAdministrator`. Accounts are
    disabled and not deleted: what an account did and owns stands under its name, which nobody else is to be given.
    """
    account = await get_user(user)
    wanted = msgspec.structs.replace(
        account,
        role=account.role if role is None else role,
        disabled=account.disabled if disabled is None else disabled,
    )
    if wanted == account:
        return account
    if wanted.role not in ROLES:
        raise UnknownRole()
    if wanted.role != account.role and (":" in account.name or account.id == CLOUD_ACCOUNT):
        raise RoleElsewhere()
    if not await users.change(account.id, wanted.role, disabled=wanted.disabled, uncounted=CLOUD_ACCOUNT):
        raise LastAdministrator()
    return wanted


async def end_sessions(user: str) -> Account:
    """Ends every session of an account, by name or identifier; raises `Unknown`."""
    account = await get_user(user)
    await users.end_sessions(account.id)
    return account


async def get_user(user: str) -> Account:
    """The account of that name or identifier; raises `Unknown`."""
    account = await find_user(user)
    if account is None:
        raise Unknown(kind="user")
    return account


async def find_user(user: str) -> Account | None:
    """The account of that name or identifier, if there is one."""
    return await users.by_name(user) or await users.by_id(user)


async def list_users() -> list[Account]:
    """All accounts by name."""
    return await users.everybody()


async def known_name(name: str) -> str:
    """The name if there is such an account, else `unknown`: people type passwords into the wrong field."""
    account = await users.by_name(name)
    return account.name if account else "unknown"
