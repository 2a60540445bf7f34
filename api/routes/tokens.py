"""API tokens for machines: list, make, revoke; for administrators."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.guards import declared
from api.house_views import TokenView
from api.routes.asked import Few, Older, Once, cut, linked
from api.views import at
from api.visit import Visit
from appliance.access.permissions import Role
from appliance.access.tokens import create_token
from appliance.errors import Unknown
from appliance.records import users
from appliance.records.users import Token

DAY_MS = 86_400_000


class TokenAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A token to be made; `days` 0 is without end, no scopes are all permissions of the role."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=50)]
    role: Role = "service"
    days: Annotated[int, msgspec.Meta(ge=0, le=3660)] = 365
    scopes: list[str] = []


def _view(one: Token, secret: str = "") -> TokenView:
    return TokenView(
        id=one.id,
        name=one.name,
        role=one.role,
        scopes=one.scopes.split(),
        created_by=one.created_by,
        created_at=at(one.created_at),
        expires_at=at(one.expires_at),
        revoked=one.revoked,
        secret=secret,
    )


@get("/api/tokens", operation_id="listTokens", tags=["users"], **declared("tokens.write"))
async def list_tokens(after: Older = "", limit: Few = 1000) -> Response[list[TokenView]]:
    """Tokens, newest first, without what they are."""
    part, mark = cut(await users.tokens(), lambda one: one.id, after, limit, down=True)
    return linked([_view(one) for one in part], "/api/tokens", mark, limit=limit)


@post("/api/tokens", operation_id="createToken", tags=["users"], **declared("tokens.write", 404, 409))
async def create(
    visit: NamedDependency[Visit],
    data: JSONBody[TokenAsked],
    idempotency_key: Once = "",
) -> TokenView:
    """Makes a token; `secret` is shown in this answer only."""
    async with visit.audited("token.create", data.name, data.role):
        made = await create_token(
            visit.house.keys,
            data.name,
            data.role,
            created_by=visit.caller.name,
            now=visit.now,
            expires_at=visit.now + data.days * DAY_MS if data.days else 0,
            scopes=frozenset(data.scopes),
            again=idempotency_key,
        )
    return _view(made.token, made.secret)


@delete("/api/tokens/{token:str}", operation_id="revokeToken", tags=["users"], **declared("tokens.write", 404))
async def revoke(visit: NamedDependency[Visit], token: FromPath[str]) -> None:
    """Ends a token at once."""
    async with visit.audited("token.revoke", token[:64]):
        if not await users.revoke_token(token):
            raise Unknown(kind="token")


HANDLERS = (list_tokens, create, revoke)
