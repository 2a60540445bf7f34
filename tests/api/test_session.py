"""Signing in over HTTP."""

from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from appliance.access.accounts import create_user
from appliance.access.sessions import TOUCH_MS
from appliance.moments import now_ms
from appliance.records import audit
from tests.api.conftest import PASSWORD, Door


async def _sign_in(door: Door, user: str = "meyer", password: str = PASSWORD) -> httpx.Response:
    return await door.call("", "POST", "/api/login", json={"user": user, "password": password})


async def _actions() -> list[tuple[str, str, str]]:
    return [(row.actor, row.action, row.result) async for row in audit.in_order()]


@pytest.mark.usefixtures("meyer")
async def test_the_cookie_is_closed_to_scripts_and_foreign_pages(door: Door) -> None:
    """UI-06: JWT session in an HttpOnly cookie."""
    answer = await _sign_in(door)
    assert answer.json()["user"] == "meyer"
    assert answer.json()["role"] == "admin"
    cookie = SimpleCookie(answer.headers["set-cookie"])["ranvier_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert cookie["path"] == "/"
    assert int(cookie["max-age"]) == 8 * 3600
    assert not cookie["secure"], "over plain HTTP the browser would drop it"


@pytest.mark.usefixtures("meyer")
async def test_over_tls_the_cookie_stays_on_tls(door: Door) -> None:
    door.client.base_url = httpx.URL("https://testserver.local")
    assert SimpleCookie((await _sign_in(door)).headers["set-cookie"])["ranvier_session"]["secure"]


@pytest.mark.usefixtures("meyer")
async def test_the_cookies_value_works_as_a_bearer_token(door: Door) -> None:
    value = SimpleCookie((await _sign_in(door)).headers["set-cookie"])["ranvier_session"].value
    answer = await door.call("", "GET", "/api/me", headers={"Authorization": f"Bearer {value}"})
    assert answer.json()["user"] == "meyer"
    bare = {"Authorization": f"Bearer {value}", "X-Ranvier": ""}
    assert (await door.call("", "POST", "/api/logout", headers=bare)).status_code == 204
    assert (await door.call("", "GET", "/api/me", headers=bare)).status_code == 401


@pytest.mark.usefixtures("meyer")
async def test_wrong_passwords_count_down_then_lock(door: Door) -> None:
    answers = [await _sign_in(door, password="wrong") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 423, 423]
    assert "4 tries left" in answers[0].json()["detail"]
    assert answers[0].json()["code"] == "wrong-password"
    locked = answers[4].json()
    assert locked["code"] == "locked"
    assert locked["locked_until"].endswith("Z")
    assert int(answers[4].headers["retry-after"]) <= 300
    assert (await _sign_in(door)).status_code == 423, "the right password does not open a locked account"


@pytest.mark.usefixtures("meyer")
async def test_sign_ins_are_in_the_audit_and_mistyped_names_are_not(door: Door) -> None:
    """UI-10. People type passwords into the wrong field."""
    await _sign_in(door, password="wrong")
    await _sign_in(door, user="My-Secret-Password-1", password="x")
    await _sign_in(door)
    assert await _actions() == [
        ("meyer", "sign-in", "wrong-password"),
        ("unknown", "sign-in", "wrong-password"),
        ("meyer", "sign-in", "done"),
    ]


async def test_one_address_cannot_try_without_end(door: Door) -> None:
    answers = [await _sign_in(door, user=f"name{number}", password="x") for number in range(22)]
    assert [answer.status_code for answer in answers[:20]] == [401] * 20
    assert answers[21].status_code == 429
    assert int(answers[21].headers["retry-after"]) >= 1


async def test_a_used_session_slides_and_the_cookie_comes_again(door: Door) -> None:
    """UI-06: sliding; at most once a minute."""
    session, cookie = await door.cookie("user")
    headers = {"Cookie": f"ranvier_session={cookie}"}
    assert "set-cookie" not in (await door.call("", "GET", "/api/me", headers=headers)).headers
    await door.house.records.run("UPDATE sessions SET seen_at = seen_at - {} WHERE id = {}", TOUCH_MS, session)
    before = (await door.house.records.run("SELECT expires_at FROM sessions WHERE id = {}", session))[0]["expires_at"]
    answer = await door.call("", "GET", "/api/me", headers=headers)
    after = (await door.house.records.run("SELECT expires_at FROM sessions WHERE id = {}", session))[0]["expires_at"]
    assert after > before
    fresh = SimpleCookie(answer.headers["set-cookie"])["ranvier_session"]
    assert fresh["httponly"]
    assert fresh.value != cookie
    assert "set-cookie" not in (await door.call("", "GET", "/api/me", headers=headers)).headers


@pytest.mark.usefixtures("meyer")
async def test_signing_out_takes_the_cookie_away_and_does_not_slide_it(door: Door) -> None:
    session, cookie = await door.cookie("user")
    await door.house.records.run("UPDATE sessions SET seen_at = seen_at - {} WHERE id = {}", TOUCH_MS, session)
    answer = await door.call("", "POST", "/api/logout", headers={"Cookie": f"ranvier_session={cookie}"})
    assert answer.headers.get_list("set-cookie") == [
        value for value in answer.headers.get_list("set-cookie") if "Max-Age=0" in value
    ]
    assert (await door.call("", "GET", "/api/me", headers={"Cookie": f"ranvier_session={cookie}"})).status_code == 401


@pytest.mark.usefixtures("meyer")
async def test_signing_in_never_goes_on_with_a_session_that_somebody_brought(door: Door) -> None:
    """Faults and threats, row AuthN/Z: fixation."""
    _, planted = await door.cookie("user")
    body = {"user": "meyer", "password": PASSWORD}
    answer = await door.call("", "POST", "/api/login", json=body, headers={"Cookie": f"ranvier_session={planted}"})
    fresh = SimpleCookie(answer.headers["set-cookie"])["ranvier_session"].value
    assert fresh != planted
    me = await door.call("", "GET", "/api/me", headers={"Cookie": f"ranvier_session={planted}"})
    assert me.json()["user"] == "the-user", "it stays whose it was"


async def test_an_uploader_s_session_does_not_slide(door: Door) -> None:
    """UI-06: the cookie ends with the session, an hour after sign-in, and no answer prolongs it."""
    await create_user("otto", "uploader", PASSWORD, now_ms())
    answer = await _sign_in(door, "otto")
    cookie = SimpleCookie(answer.headers["set-cookie"])["ranvier_session"]
    assert int(cookie["max-age"]) == 3600
    await door.house.records.run("UPDATE sessions SET seen_at = seen_at - {}", 10 * TOUCH_MS)
    me = await door.call("", "GET", "/api/me", headers={"Cookie": f"ranvier_session={cookie.value}"})
    assert me.status_code == 200
    assert "set-cookie" not in me.headers


async def test_the_password_rule_answers_while_somebody_types(door: Door) -> None:
    """UI-06: live feedback."""
    answer = await door.call("user", "POST", "/api/password-rule", json={"password": "short"})
    assert {one["rule"]: one["kept"] for one in answer.json()} == {
        "length": False,
        "lower": True,
        "upper": False,
        "digit": False,
        "special": False,
    }


@pytest.mark.usefixtures("meyer")
async def test_people_change_their_own_password_with_the_old_one(door: Door) -> None:
    value = SimpleCookie((await _sign_in(door)).headers["set-cookie"])["ranvier_session"].value
    headers = {"Cookie": f"ranvier_session={value}"}
    new = "Another-Horse-Battery-2"

    async def change(old: str, new: str) -> httpx.Response:
        return await door.call("", "POST", "/api/me/password", headers=headers, json={"old": old, "new": new})

    assert (await change("wrong", new)).status_code == 401
    weak = await change(PASSWORD, "weak")
    assert weak.status_code == 422
    assert {one["field"] for one in weak.json()["fields"]} == {"password"}
    assert (await change(PASSWORD, new)).status_code == 204
    assert (await door.call("", "GET", "/api/me", headers=headers)).status_code == 401, "every session ended"
    assert (await _sign_in(door, password=new)).status_code == 200


async def test_administrators_make_accounts_and_set_passwords(door: Door) -> None:
    made = await door.call("admin", "POST", "/api/users", json={"name": "Anna", "role": "user", "password": PASSWORD})
    assert made.status_code == 201
    assert made.json()["name"] == "anna"
    assert "password" not in made.text
    again = await door.call("admin", "POST", "/api/users", json={"name": "anna", "role": "user", "password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (409, "name-taken")
    weak = await door.call("admin", "POST", "/api/users", json={"name": "otto", "password": "otto"})
    assert weak.status_code == 422
    other = await door.call("admin", "POST", "/api/users", json={"name": "otto", "role": "root", "password": PASSWORD})
    assert other.status_code == 400
    for who in ("anna", made.json()["id"]):
        path = f"/api/users/{who}/password"
        answer = await door.call("admin", "POST", path, json={"password": "Another-Horse-Battery-2"})
        assert answer.status_code == 200
    assert (await _sign_in(door, "anna", "Another-Horse-Battery-2")).status_code == 200
    assert {one["name"] for one in await door.get("/api/users")} == {"anna", "the-admin"}


async def test_an_account_changes_its_role_is_shut_out_and_let_in_again(door: Door) -> None:
    """UI-06, UI-08: sessions are revocable; whoever loses a role or leaves has lost it at once."""
    await door.call("admin", "POST", "/api/users", json={"name": "anna", "role": "admin", "password": PASSWORD})

    async def change(path: str, what: dict[str, Any] | None = None) -> httpx.Response:
        return await door.call("admin", "POST" if what is None else "PATCH", f"/api/users/{path}", json=what)

    async def signed() -> dict[str, str]:
        cookie = (await _sign_in(door, "anna", PASSWORD)).headers["set-cookie"].split(";")[0]
        headers = {"Cookie": cookie, "X-Ranvier": "console"}
        assert (await door.call("", "GET", "/api/me", headers=headers)).status_code == 200
        return headers

    for path, what in (("anna", {"role": "user"}), ("anna/sign-out", None), ("anna", {"disabled": True})):
        headers = await signed()
        assert (await change(path, what)).status_code == 200
        assert (await door.call("", "GET", "/api/me", headers=headers)).status_code == 401, path
    refused = await _sign_in(door, "anna", PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (401, "wrong-password")
    seen = (await change("anna", {"disabled": False})).json()
    assert (seen["role"], seen["disabled"]) == ("user", False)
    headers = await signed()
    assert (await door.call("", "GET", "/api/settings", headers=headers)).status_code == 403
    # What changes nothing ends nothing.
    assert (await change("anna", {"role": "user"})).status_code == 200
    assert (await door.call("", "GET", "/api/me", headers=headers)).status_code == 200
    assert (await change("nobody", {"role": "user"})).status_code == 404
    assert (await change("nobody/sign-out")).status_code == 404
    assert (await change("anna", {"role": "root"})).status_code == 400


async def test_the_last_administrator_stays_one(door: Door) -> None:
    await door.cookie("admin")
    for what in ({"role": "user"}, {"disabled": True}):
        answer = await door.call("admin", "PATCH", "/api/users/the-admin", json=what)
        assert (answer.status_code, answer.json()["code"]) == (409, "last-administrator")
    assert (await door.call("admin", "GET", "/api/me")).json()["role"] == "admin"


async def test_tokens_are_shown_once_and_can_be_revoked(door: Door) -> None:
    made = (await door.call("admin", "POST", "/api/tokens", json={"name": "his", "scopes": ["studies.read"]})).json()
    headers = {"Authorization": f"Bearer {made['secret']}"}
    assert (await door.call("", "GET", "/api/studies", headers=headers)).status_code == 200
    listed = await door.get("/api/tokens")
    assert [(one["name"], one["role"], one["secret"]) for one in listed] == [("his", "service", "")]
    assert (await door.call("admin", "DELETE", f"/api/tokens/{made['id']}")).status_code == 204
    assert (await door.call("", "GET", "/api/studies", headers=headers)).status_code == 401
    assert (await door.call("admin", "DELETE", "/api/tokens/nothing")).status_code == 404
