"""Every route for everybody: who is let through, who is not."""

from typing import Any

import pytest
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler

from api.app import create_app
from api.guards import UndeclaredPermission, check_routes, declared
from appliance.access import grants
from appliance.access.permissions import OPEN, PERMISSIONS, may
from appliance.access.tokens import create_token
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import users
from tests.api.conftest import ROLES, Door, Filed, a_bearer, an_order

NOTHING = "ffffffff-ffff-7fff-bfff-ffffffffffff"


def every_route(app: Litestar) -> list[tuple[str, str, str]]:
    """Method, path with identifiers of nothing, and permission of every handler."""
    found = []
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            if not isinstance(handler, HTTPRouteHandler) or handler.http_methods == {"OPTIONS"}:
                continue
            path = "/".join(NOTHING if part.startswith("{") else part for part in route.path.split("/"))
            found += [(str(method), path, str(handler.opt["permission"])) for method in handler.http_methods]
    return sorted(found)


async def test_the_matrix_covers_every_operation_of_the_document(door: Door) -> None:
    """UI-08: what OpenAPI promises is what is walked through here, operation by operation."""
    document = (await door.call("", "GET", "/api-docs/openapi.json")).json()
    promised = {
        (method.upper(), "/".join(NOTHING if part.startswith("{") else part for part in path.split("/")))
        for path, found in document["paths"].items()
        for method in found
    }
    assert promised <= {(method, path) for method, path, _ in every_route(door.app)}
    assert len(promised) > 60


async def _status(door: Door, role: str, method: str, path: str, **sent: Any) -> int:
    # A stream that is let through would never end: one of a study that is not there is refused afterwards.
    asked = {"study": NOTHING} if path == "/api/events" else None
    body: dict[str, Any] = {} if method in ("GET", "DELETE") else {"json": {"study": NOTHING}}
    return (await door.call(role, method, path, params=asked, **body, **sent)).status_code


async def test_nobody_is_let_in_without_a_session_save_at_the_open_doors(door: Door) -> None:
    """UI-08: denied by default."""
    open_doors = set()
    for method, path, permission in every_route(door.app):
        status = await _status(door, "", method, path)
        if permission == OPEN:
            open_doors.add(f"{method} {path}")
            assert status not in (401, 403), path
        else:
            assert status == 401, f"{method} {path}"
    assert open_doors == {
        "GET /health",
        "GET /api/health",
        "POST /api/login",
        "POST /api/login/code",
        "POST /api/oauth/token",
        "GET /api/sign-in-ways",
        "GET /api/saml/metadata",
        "GET /api/saml/login",
        "POST /api/saml/acs",
        "GET /api/saml/sls",
        "GET /api-docs",
        f"GET /api-docs/{NOTHING}",
        "GET /api-docs/openapi.json",
        f"GET /api-docs/assets/{NOTHING}",
        "GET /schema/openapi.json",
        "GET /docs",
        f"GET /docs/{NOTHING}",
        # The hub asks for its own keys, once it is switched on (tests/conformance/test_official_client.py).
        "GET /cloud/api/getPubKey",
        "GET /cloud/api/newJob",
        f"POST /cloud/api/{NOTHING}",
        f"PUT /cloud/objects/{NOTHING}/{NOTHING}",
        "GET /portal",
        f"GET /portal/assets/{NOTHING}",
        "GET /portal/api/info",
        "POST /portal/api/open",
    }


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_reaches_its_routes_and_no_other(door: Door, role: str) -> None:
    """UI-08: every route x role, from the table of permissions."""
    for method, path, permission in every_route(door.app):
        if permission == OPEN:
            continue
        status = await _status(door, role, method, path)
        if may(role, permission):
            assert status not in (401, 403, 500), f"{method} {path}: {status}"
        else:
            assert status == 403, f"{method} {path}: {status}"


async def test_what_an_uploader_may_is_their_own_session_and_nothing_else(door: Door) -> None:
    """UI-08, UI-11: the upload page shows nothing that others sent."""
    for method, path, permission in every_route(door.app):
        if permission not in (OPEN, "session", "uploads.write"):
            assert await _status(door, "uploader", method, path) == 403, f"{method} {path}"
    assert (await door.call("uploader", "GET", "/api/me")).json()["role"] == "uploader"


@pytest.mark.parametrize("role", ROLES)
async def test_an_order_of_their_own_and_one_of_somebody_else(door: Door, filed: Filed, role: str) -> None:
    """UI-08: cancel own; an administrator cancels anybody's, an uploader none."""
    order = await an_order(door.house, filed.study, owner=f"the-{role}")
    other = f"/api/orders/{await an_order(door.house, filed.study, owner='somebody')}/cancel"
    own = f"/api/orders/{order}/cancel"
    expected = {"admin": (200, 200), "user": (403, 200), "service": (403, 200), "uploader": (403, 403)}[role]
    answers = [await door.call(role, "POST", path, json={}) for path in (other, own)]
    assert [answer.status_code for answer in answers] == list(expected), [answer.text for answer in answers]
    for path in (f"/api/orders/{order}", f"/api/study-info/{filed.study}", f"/api/studies/{filed.study}"):
        assert (await door.call(role, "GET", path)).status_code == (403 if role == "uploader" else 200), path


async def test_a_token_that_ended_is_nobody_on_every_route(door: Door) -> None:
    """Expired and revoked machines: the API token and the access token that it was exchanged for."""
    now = now_ms()
    late = await create_token(door.house.keys, "late", "admin", created_by="test", now=now - 9, expires_at=now - 1)
    gone = await create_token(door.house.keys, "gone", "admin", created_by="test", now=now)
    access = await grants.exchange(door.house.keys, gone.token.id, gone.secret, "", now)
    await users.revoke_token(gone.token.id)
    for method, path, permission in every_route(door.app):
        for bearer in (late.secret, gone.secret, access.token) if permission != OPEN else ():
            status = await _status(door, "", method, path, headers={"Authorization": f"Bearer {bearer}"})
            assert status == 401, f"{method} {path}"


async def test_a_user_is_kept_from_what_is_the_administrators(door: Door) -> None:
    """UI-08, PC-41: settings, bypass, delivery by hand, accounts, audit."""
    for method, path in (
        ("PATCH", "/api/settings"),
        ("GET", "/api/settings"),
        ("POST", f"/api/orders/{NOTHING}/bypass"),
        ("POST", "/api/bypass-qc"),
        ("POST", f"/api/deliveries/{NOTHING}/resend"),
        ("POST", f"/api/orders/{NOTHING}/send"),
        ("POST", "/api/users"),
        ("GET", "/api/audit"),
        ("POST", "/api/force-stable"),
    ):
        assert await _status(door, "user", method, path) == 403


async def test_ended_sessions_are_nobody_on_every_route(door: Door) -> None:
    revoked, expired = await door.cookie("admin"), await door.cookie("admin", expires_at=now_ms() - 1)
    await users.revoke_session(revoked[0])
    for method, path, permission in every_route(door.app):
        if permission == OPEN:
            continue
        for _, cookie in (revoked, expired):
            headers = {"Cookie": f"ranvier_session={cookie}"}
            assert await _status(door, "", method, path, headers=headers) == 401, f"{method} {path}"


async def test_a_token_reaches_what_its_role_and_its_scopes_allow(door: Door) -> None:
    narrow = await a_bearer(door.house, "admin", frozenset({"studies.read"}))
    assert (await door.call("", "GET", "/api/studies", headers=narrow)).status_code == 200
    assert (await door.call("", "GET", "/api/orders", headers=narrow)).status_code == 403
    wide = await a_bearer(door.house, "service")
    assert (await door.call("", "GET", "/api/orders", headers=wide)).status_code == 200
    assert (await door.call("", "POST", "/api/reveal", headers=wide, json={"studies": [NOTHING]})).status_code == 403
    for wrong in ("Bearer rvt_nothing", "Bearer", "Basic YTpi", "Bearer eyJhbGciOiJub25lIn0.e30."):
        assert (await door.call("", "GET", "/api/studies", headers={"Authorization": wrong})).status_code == 401


async def test_a_role_that_is_taken_away_acts_at_once(door: Door) -> None:
    _, cookie = await door.cookie("admin")
    headers = {"Cookie": f"ranvier_session={cookie}"}
    assert (await door.call("", "GET", "/api/settings", headers=headers)).status_code == 200
    await door.house.records.run("UPDATE users SET role = 'user' WHERE id = {}", door.people["admin"])
    assert (await door.call("", "GET", "/api/settings", headers=headers)).status_code == 403


def test_a_route_without_a_permission_keeps_the_app_from_starting(house: House) -> None:
    @get("/api/forgotten")
    async def forgotten() -> str:
        return "open to everybody"

    with pytest.raises(UndeclaredPermission, match="/api/forgotten"):
        create_app(house, more=[forgotten])


def test_a_route_with_a_permission_that_is_not_in_the_table_does_too(house: House) -> None:
    @get("/api/misspelt", **declared("studies.raed"))
    async def misspelt() -> str:
        return "open to nobody"

    with pytest.raises(UndeclaredPermission, match=r"studies\.raed"):
        create_app(house, more=[misspelt])


async def test_a_route_added_behind_the_start_is_denied(door: Door) -> None:
    @get("/api/later")
    async def later() -> str:
        return "added by a mistake"

    door.app.register(later)
    assert (await door.call("admin", "GET", "/api/later")).status_code == 403
    with pytest.raises(UndeclaredPermission):
        check_routes(door.app)


async def test_every_permission_guards_a_route_or_a_choice_inside_one(door: Door) -> None:
    used = {permission for _, _, permission in every_route(door.app)}
    assert set(PERMISSIONS) - used == {"orders.cancel-any", "hub.use"}, "the hub asks for its own at its own door"


async def test_changes_by_cookie_from_a_foreign_page_are_refused(door: Door) -> None:
    """Faults and threats, AuthN/Z: CSRF."""
    _, cookie = await door.cookie("admin")
    base = {"Cookie": f"ranvier_session={cookie}", "X-Ranvier": ""}
    for foreign in (
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://evil.example", "X-Ranvier": "console"},
        {"Sec-Fetch-Site": "cross-site", "X-Ranvier": "console"},
        {"Sec-Fetch-Site": "same-site", "X-Ranvier": "console"},
    ):
        answer = await door.call("", "POST", "/api/reveal", headers={**base, **foreign}, json={"studies": [NOTHING]})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin"), foreign
    for ours in ({"X-Ranvier": "console"}, {"Origin": "http://testserver.local", "Sec-Fetch-Site": "same-origin"}):
        answer = await door.call("", "POST", "/api/reveal", headers={**base, **ours}, json={"studies": [NOTHING]})
        assert answer.status_code == 404
    assert (await door.call("", "GET", "/api/studies", headers=base)).status_code == 200


async def test_signing_in_from_a_foreign_page_is_refused(door: Door, meyer: str) -> None:
    answer = await door.call(
        "", "POST", "/api/login", headers={"Origin": "http://evil.example"}, json={"user": meyer, "password": "x"}
    )
    assert answer.status_code == 403
