"""OAuth 2.0 for machines."""

import base64
from typing import Any

import httpx
import pytest
from jose import jwt

from appliance.access import grants
from appliance.access.tokens import NewToken, create_token
from appliance.keys import Keys
from appliance.moments import now_ms
from appliance.records import audit
from tests.api.conftest import Door

HOUR_MS = 3_600_000


@pytest.fixture
async def client(door: Door) -> NewToken:
    """The token of an information system."""
    return await create_token(door.house.keys, "his", "service", created_by="test", now=now_ms())


def _basic(user: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


async def _ask(door: Door, headers: dict[str, str] | None = None, **form: str) -> httpx.Response:
    return await door.call("", "POST", "/api/oauth/token", headers=headers or {}, data=form)


async def _use(door: Door, token: str, path: str = "/api/studies") -> int:
    return (await door.call("", "GET", path, headers={"Authorization": f"Bearer {token}"})).status_code


async def test_a_client_gets_an_access_token_for_an_hour(door: Door, client: NewToken) -> None:
    """RFC 6749 section 4.4: by header or in the body; answer and heads as section 5.1 says."""
    for asked in (
        {"headers": _basic(client.token.id, client.secret)},
        {"client_id": client.token.id, "client_secret": client.secret},
    ):
        answer = await _ask(door, grant_type="client_credentials", **asked)
        assert answer.status_code == 200, answer.text
        given = answer.json()
        assert (given["token_type"], given["expires_in"]) == ("Bearer", 3600)
        assert "studies.read" in given["scope"].split()
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        assert await _use(door, given["access_token"]) == 200
        assert await _use(door, given["access_token"], "/api/settings") == 403
    done = [(row.actor, row.action, row.result) async for row in audit.in_order()]
    assert done == [("token:his", "access-token", "done")] * 2


async def test_a_scope_narrows_and_never_widens(door: Door, client: NewToken) -> None:
    """RFC 6749 section 3.3."""
    headers = _basic(client.token.id, client.secret)
    given = (await _ask(door, headers, grant_type="client_credentials", scope="studies.read session")).json()
    assert given["scope"] == "session studies.read"
    assert await _use(door, given["access_token"]) == 200
    assert await _use(door, given["access_token"], "/api/orders") == 403
    for scope in ("settings.read", "studies.read everything", "identity.reveal"):
        answer = await _ask(door, headers, grant_type="client_credentials", scope=scope)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope"), scope


async def test_what_is_wrong_is_answered_in_the_standards_words(door: Door, client: NewToken) -> None:
    """RFC 6749 section 5.2."""
    right = _basic(client.token.id, client.secret)
    cases: list[tuple[dict[str, str] | None, dict[str, str], int, str]] = [
        (right, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (right, {}, 400, "invalid_request"),
        (right, {"grant_type": "client_credentials", "client_secret": client.secret}, 400, "invalid_request"),
        (None, {"grant_type": "client_credentials"}, 401, "invalid_client"),
        (_basic(client.token.id, "rvt_wrong"), {"grant_type": "client_credentials"}, 401, "invalid_client"),
        (_basic("another", client.secret), {"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"Authorization": "Basic ???"}, {"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"Authorization": "Bearer x"}, {"grant_type": "client_credentials"}, 401, "invalid_client"),
    ]
    for headers, form, status, error in cases:
        answer = await _ask(door, headers, **form)
        assert (answer.status_code, answer.json()["error"]) == (status, error), (headers, form)
        assert client.secret not in answer.text
        assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_an_access_token_ends_with_what_it_was_exchanged_for(door: Door) -> None:
    now = now_ms()
    made = await create_token(door.house.keys, "his", "service", created_by="test", now=now, expires_at=now + HOUR_MS // 2)
    given = (await _ask(door, _basic(made.token.id, made.secret), grant_type="client_credentials")).json()
    assert 1700 < given["expires_in"] <= 1800
    assert await _use(door, given["access_token"]) == 200
    assert (await door.call("admin", "DELETE", f"/api/tokens/{made.token.id}")).status_code == 204
    assert await _use(door, given["access_token"]) == 401


async def test_forged_access_tokens_are_nobody(door: Door, client: NewToken) -> None:
    """UI-06: python-jose with one algorithm; `exp` and `aud` required; a cookie is none, and none is a cookie."""
    keys, now = door.house.keys, now_ms()
    good: dict[str, Any] = {"sub": client.token.id, "exp": now // 1000 + 600, "aud": grants.AUDIENCE, "scope": ""}

    def signed(claims: dict[str, Any], by: Keys = keys, purpose: str = "access-token", algorithm: str = "HS256") -> str:
        return str(jwt.encode(claims, by.derive(purpose), algorithm=algorithm))

    assert await _use(door, signed(good)) == 200
    forged = {
        "another algorithm": signed(good, algorithm="HS512"),
        "another key": signed(good, by=Keys(b"\x01" * 32)),
        "the cookie's key": signed(good, purpose="session"),
        "the cookie's audience": signed({**good, "aud": "ranvier-session"}),
        "no audience": signed({name: value for name, value in good.items() if name != "aud"}),
        "no end": signed({name: value for name, value in good.items() if name != "exp"}),
        "ended": signed({**good, "exp": now // 1000 - 1}),
        "nobody's": signed({**good, "sub": "nobody"}),
        "a session's": signed({**good, "sub": (await door.cookie("admin"))[0]}),
    }
    for name, token in forged.items():
        assert await _use(door, token) == 401, name
    headers = {"Cookie": f"ranvier_session={signed(good)}"}
    assert (await door.call("", "GET", "/api/studies", headers=headers)).status_code == 401


async def test_the_document_promises_both_forms_of_refusal(door: Door) -> None:
    document = (await door.call("", "GET", "/api-docs/openapi.json")).json()
    answers = document["paths"]["/api/oauth/token"]["post"]["responses"]
    for status in ("400", "401"):
        assert set(answers[status]["content"]) == {"application/problem+json", "application/json"}
    flows = document["components"]["securitySchemes"]["oauth"]["flows"]
    assert flows["clientCredentials"]["tokenUrl"] == "/api/oauth/token"


async def test_guessing_secrets_is_slowed_down(door: Door, client: NewToken) -> None:
    answers = [
        await _ask(door, _basic(client.token.id, f"rvt_{number}"), grant_type="client_credentials") for number in range(22)
    ]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
