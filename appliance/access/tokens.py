"""API tokens for machines: shown once, kept as a keyed digest."""

import secrets

import msgspec

from appliance.access.accounts import UnknownRole
from appliance.access.permissions import PERMISSIONS, ROLES
from appliance.access.sessions import Caller
from appliance.errors import Conflict, Rejected, Unknown
from appliance.keys import Keys
from appliance.moments import new_id
from appliance.records import users
from appliance.records.users import Token

PREFIX = "rvt_"
_LONGEST = 128
_LONGEST_SCOPES = 255


class TooManyScopes(Rejected):
    """A token cannot be narrowed to so many permissions."""

    code = "too-many-scopes"
    next_step = "Name fewer permissions, or none for all that the role has."


class TokenEnded(Conflict):
    """The token that this idempotency key made was revoked."""

    code = "token-ended"
    next_step = "Use a new key for a new token."


class NewToken(msgspec.Struct, kw_only=True, frozen=True):
    """A token and, this once, what it is."""

    token: Token
    secret: str


async def create_token(
    keys: Keys,
    name: str,
    role: str,
    *,
    created_by: str,
    now: int,
    expires_at: int = 0,
    scopes: frozenset[str] = frozenset(),
    again: str = "",
) -> NewToken:
    """Makes a token; `expires_at` 0 is without end, `scopes` narrows it to some permissions of its role.

    The same `again` of the same maker gives the same token (`again` empty: always a new one); raises `TokenEnded` once that
    one was revoked.
    """
    if role not in ROLES:
        raise UnknownRole()
    for scope in scopes:
        if scope not in PERMISSIONS:
            raise Unknown(kind="permission")
    if len(" ".join(scopes)) > _LONGEST_SCOPES:
        raise TooManyScopes()
    secret = PREFIX + (_derived(keys, f"{created_by}/{again}") if again else secrets.token_urlsafe(32))
    made = await users.token_by_digest(keys.digest("api-token", secret)) if again else None
    if made is not None:
        if made.revoked:
            raise TokenEnded()
        return NewToken(token=made, secret=secret)
    token = Token(
        id=new_id(now),
        name=name[:64],
        role=role,
        scopes=" ".join(sorted(scopes)),
        created_by=created_by,
        created_at=now,
        expires_at=expires_at,
        revoked=False,
    )
    await users.add_token(token, keys.digest("api-token", secret))
    return NewToken(token=token, secret=secret)


def _derived(keys: Keys, text: str) -> str:
    """A secret that only this appliance can make of the text: 256 bits of keyed digests."""
    return keys.digest("api-token-again", f"1/{text}") + keys.digest("api-token-again", f"2/{text}")


async def recognise_token(keys: Keys, secret: str, now: int) -> Caller | None:
    """Whose token it is; None when it is unknown, revoked or expired."""
    if not secret.startswith(PREFIX) or len(secret) > _LONGEST:
        return None
    token = await users.token_by_digest(keys.digest("api-token", secret))
    return caller_of(token, now) if token else None


def caller_of(token: Token, now: int) -> Caller | None:
    """Who calls with a token; None when it is revoked or expired."""
    if token.revoked or (token.expires_at and token.expires_at <= now):
        return None
    return Caller(
        id=token.id,
        name=f"token:{token.name}"[:64],
        role=token.role,
        by="token",
        expires_at=token.expires_at,
        scopes=frozenset(token.scopes.split()),
    )
