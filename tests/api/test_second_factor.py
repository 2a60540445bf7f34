"""The second factor over HTTP."""

import base64
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from appliance.access.second_factor import code_at
from appliance.moments import now_ms
from appliance.records import audit
from tests.api.conftest import PASSWORD, Door, a_bearer


def _code(secret: str, steps: int = 0) -> str:
    return code_at(base64.b32decode(secret), now_ms() // 30_000 + steps)


async def _sign_in(door: Door, **more: str) -> httpx.Response:
    return await door.call("", "POST", "/api/login", json={"user": "meyer", "password": PASSWORD, **more})


async def _as(door: Door, answer: httpx.Response, path: str, body: Any) -> httpx.Response:
    value = SimpleCookie(answer.headers["set-cookie"])["ranvier_session"].value
    return await door.call("", "POST", path, json=body, headers={"Cookie": f"ranvier_session={value}"})


@pytest.mark.usefixtures("meyer")
async def test_it_is_switched_on_used_and_switched_off(door: Door) -> None:
    """UI-06: TOTP second factor as an option."""
    signed = await _sign_in(door)
    assert (await _as(door, signed, "/api/me/second-factor", {"password": "wrong"})).status_code == 401
    begun = (await _as(door, signed, "/api/me/second-factor", {"password": PASSWORD})).json()
    other = await _sign_in(door)
    answer = await _as(door, signed, "/api/me/second-factor/confirm", {"code": _code(begun["secret"], -1)})
    assert (answer.status_code, len(answer.json()["codes"])) == (200, 10)
    assert (await _as(door, other, "/api/password-rule", {"password": "x"})).status_code == 401, "other sessions end"
    needed = await _sign_in(door)
    assert (needed.status_code, needed.json()["code"]) == (401, "second-factor-needed")
    wrong = await _sign_in(door, code="000000")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong-code")
    again = await _sign_in(door, code=_code(begun["secret"]))
    assert again.status_code == 200
    removal = {"password": PASSWORD, "code": answer.json()["codes"][0]}
    assert (await _as(door, again, "/api/me/second-factor/remove", {**removal, "code": "000000"})).status_code == 401
    assert (await _as(door, again, "/api/me/second-factor/remove", removal)).status_code == 204
    assert (await _sign_in(door)).status_code == 200
    rows = [(row.action, row.result) async for row in audit.in_order() if "second-factor" in row.action]
    assert ("user.second-factor-on", "done") in rows
    assert rows[-1] == ("user.second-factor-off", "done")


@pytest.mark.usefixtures("meyer")
async def test_an_administrator_lets_somebody_in_who_lost_the_phone(door: Door) -> None:
    signed = await _sign_in(door)
    begun = (await _as(door, signed, "/api/me/second-factor", {"password": PASSWORD})).json()
    await _as(door, signed, "/api/me/second-factor/confirm", {"code": _code(begun["secret"])})
    assert (await _sign_in(door)).status_code == 401
    assert (await door.call("admin", "POST", "/api/users/meyer/second-factor/remove")).status_code == 204
    assert (await _sign_in(door)).status_code == 200


async def test_a_machine_has_none(door: Door) -> None:
    headers = await a_bearer(door.house, "admin")
    assert (await door.call("", "GET", "/api/me/second-factor", headers=headers)).status_code == 403
