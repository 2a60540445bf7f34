"""Access tokens that live an hour, for machines that speak OAuth 2.0 (client credentials, RFC 6749 section 4.4).

The client is an API token: its identifier is the client's, its secret the client's secret. An access token carries the
identifier and a scope; the API token's row is asked each time, so that revoking it ends all that it was exchanged for.
"""

import msgspec

from appliance.access import signed
from appliance.access.permissions import PERMISSIONS, may
from appliance.access.sessions import Caller
from appliance.access.tokens import caller_of, recognise_token
from appliance.errors import Denied, Rejected
from appliance.keys import Keys
from appliance.records import users

AUDIENCE = "ranvier-access"
LIFE_MS = 3_600_000
_PURPOSE = "access-token"


class UnknownClient(Denied):
    """Client or secret is wrong, or the token behind it was revoked or has expired."""

    code = "invalid-client"
    next_step = "Give the identifier of an API token as client_id, and the token itself as client_secret."


class ScopeRefused(Rejected):
    """The scope names a permission that there is not, or that this client does not have."""

    code = "invalid-scope"
    next_step = "Ask for permissions of the API token's role and scopes, or for none to get all of them."


class Grant(msgspec.Struct, kw_only=True, frozen=True):
    """An access token, how long it lives, and what it allows."""

    caller: Caller
    token: str
    seconds: int
    scopes: list[str]


async def exchange(keys: Keys, client: str, secret: str, scope: str, now: int) -> Grant:
    """An access token for a client; raises `UnknownClient`, `ScopeRefused`. An empty `scope` is all that the client has."""
    caller = await recognise_token(keys, secret, now)
    if caller is None or caller.id != client:
        raise UnknownClient()
    has = {one for one in caller.scopes or PERMISSIONS if may(caller.role, one)}
    wanted = set(scope.split()) or has
    if not wanted <= has:
        raise ScopeRefused()
    ends = min(now + LIFE_MS, caller.expires_at or now + LIFE_MS)
    narrowed = " ".join(sorted(wanted)) if wanted != has else " ".join(sorted(caller.scopes))
    token = signed.sign(keys, _PURPOSE, AUDIENCE, caller.id, ends, scope=narrowed)
    return Grant(caller=caller, token=token, seconds=(ends - now) // 1000, scopes=sorted(wanted))


async def recognise_grant(keys: Keys, text: str, now: int) -> Caller | None:
    """Whose access token it is; None when it is forged or expired, or the API token behind it has ended."""
    claims = signed.claims_of(keys, _PURPOSE, AUDIENCE, text, now)
    if claims is None:
        return None
    row = await users.token_by_id(str(claims["sub"]))
    caller = caller_of(row, now) if row else None
    if caller is None:
        return None
    scopes = frozenset(str(claims.get("scope", "")).split())
    # A token that was narrowed since narrows what it was exchanged for too.
    both = scopes & caller.scopes if scopes and caller.scopes else scopes or caller.scopes
    if scopes and caller.scopes and not both:
        return None
    return msgspec.structs.replace(caller, scopes=both, expires_at=int(claims["exp"]) * 1000)
