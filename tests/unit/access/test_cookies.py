import base64
import json

import pytest
from jose import jwt

from appliance.access import cookies
from appliance.keys import Keys
from tests.unit.access.conftest import NOW

SESSION = "01a20151-d1dd-7712-9e0a-d0a2dcb1b024"
LATER = NOW + 3_600_000


def _signed(keys: Keys, claims: dict[str, object], purpose: str = "session", algorithm: str = "HS256") -> str:
    return str(jwt.encode(claims, keys.derive(purpose), algorithm=algorithm))


def test_a_cookie_names_its_session_until_it_ends(keys: Keys) -> None:
    cookie = cookies.issue(keys, SESSION, LATER)
    assert cookies.read(keys, cookie, NOW) == SESSION
    assert cookies.read(keys, cookie, LATER) == ""


def test_a_cookie_carries_nothing_but_session_expiry_and_audience(keys: Keys) -> None:
    payload = cookies.issue(keys, SESSION, LATER).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert set(claims) == {"sub", "exp", "aud"}


def _unsigned(claims: dict[str, object]) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def test_forged_cookies_are_nobody(keys: Keys) -> None:
    """UI-06: fixed algorithm, expiry and audience required."""
    good: dict[str, object] = {"sub": SESSION, "exp": LATER // 1000, "aud": cookies.AUDIENCE}
    assert cookies.read(keys, _signed(keys, good), NOW) == SESSION
    forged = {
        "algorithm none": _unsigned(good),
        "another algorithm": _signed(keys, good, algorithm="HS512"),
        "another key": _signed(Keys(b"\x08" * 32), good),
        "a key for another purpose": _signed(keys, good, purpose="identities"),
        "another audience": _signed(keys, {**good, "aud": "portal"}),
        "a list of audiences": _signed(keys, {**good, "aud": [cookies.AUDIENCE, "portal"]}),
        "no audience": _signed(keys, {"sub": SESSION, "exp": LATER // 1000}),
        "no expiry": _signed(keys, {"sub": SESSION, "aud": cookies.AUDIENCE}),
        "expired": _signed(keys, {**good, "exp": NOW // 1000 - 1}),
        "an expiry that is no number": _signed(keys, {**good, "exp": "9999999999"}),
        "no session": _signed(keys, {"exp": LATER // 1000, "aud": cookies.AUDIENCE}),
        "a key named in its head": str(jwt.encode(good, "known", algorithm="HS256", headers={"kid": "../../dev/null"})),
        "a key carried in its head": str(
            jwt.encode(good, "known", algorithm="HS256", headers={"jwk": {"kty": "oct", "k": "a25vd24"}, "jku": "http://x"})
        ),
        "not yet": _signed(keys, {**good, "nbf": 9_999_999_999}),
        "too long": "x" * 5000,
        "five parts, as an encrypted token": "a.b.c.d.e",
        "empty": "",
        "not ASCII": "é.é.é",
    }
    for name, cookie in forged.items():
        assert cookies.read(keys, cookie, NOW) == "", name


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_changed_character_is_nobody(keys: Keys, place: int) -> None:
    parts = cookies.issue(keys, SESSION, LATER).split(".")
    first = "A" if parts[place][0] != "A" else "B"
    parts[place] = first + parts[place][1:]
    assert cookies.read(keys, ".".join(parts), NOW) == ""
