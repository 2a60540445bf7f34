"""The cloud's service account at the prompt, against a real HTTP server that speaks as the cloud does."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from appliance import settings
from appliance.access.accounts import CLOUD_ACCOUNT, create_user
from appliance.moments import now_ms
from appliance.records import audit, users
from tests.api.conftest import PASSWORD, Door

OLD, NEW = "old cloud password", "new cloud password"
NAME = "svc@site.example"
PUBLIC_KEY_BITS = 2048


class Cloud(ThreadingHTTPServer):
    """Both protocols' sign-in: GET /auth/token (REST), GET /api/getPubKey and POST /api/connect/ (SDK)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.password = NEW
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Where its API begins."""
        return f"http://127.0.0.1:{self.server_address[1]}/staging"


class _Handler(BaseHTTPRequestHandler):
    server: Cloud

    def do_GET(self) -> None:
        if self.path.rstrip("/").endswith("/api/getPubKey"):
            self._answer(200, f'{{"pub_key": {_public_key()}}}')
            return
        right = "Basic " + base64.b64encode(f"{NAME}:{self.server.password}".encode()).decode()
        self.server.asked.append(self.path)
        if self.headers.get("Authorization") == right:
            self._answer(200, '{"access_token": "t", "token_type": "Bearer", "expires_in": 3600}')
        else:
            self._answer(401, '{"error": "wrong"}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)
        good = self.headers.get("X-Api-Key") == self.server.password
        self._answer(200 if good else 401, '{"connectionId": "1"}' if good else '{"error": "API key not found."}')

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _public_key() -> str:
    import json

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from tests.certificates import rsa_key

    key = rsa_key(PUBLIC_KEY_BITS).public_key()
    return json.dumps(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    server = Cloud()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def _configure(door: Door, **cloud: object) -> None:
    loaded = await door.house.settings()
    result, changed = settings.patched(loaded.settings, {"cloud": {"service_user": NAME, **cloud}})
    await door.house.save(result, based_on=loaded.version, actor="test", now=now_ms(), changed=changed)


async def _sign_in(door: Door, password: str, name: str = NAME) -> httpx.Response:
    return await door.call("", "POST", "/api/login", json={"user": name, "password": password})


async def _cookie_works(door: Door, answer: httpx.Response) -> bool:
    headers = {"Authorization": f"Bearer {answer.cookies['ranvier_session']}"}
    return (await door.call("", "GET", "/api/settings", headers=headers)).status_code == 200


async def test_a_password_that_was_changed_in_the_cloud_takes_the_place_of_the_old_one(door: Door, cloud: Cloud) -> None:
    """UI-06: stored first, then the cloud once; hash and credential are replaced, audited, other sessions end."""
    await _configure(door, api_url=cloud.url, service_password=OLD, own_machine=True)
    before = await _sign_in(door, OLD)
    assert (before.status_code, before.json()["role"]) == (200, "admin")
    assert cloud.asked == [], "what is stored is enough"
    after = await _sign_in(door, NEW)
    assert (after.status_code, len(cloud.asked)) == (200, 1)
    assert not await _cookie_works(door, before), "other sessions end"
    assert await _cookie_works(door, after)
    assert (await door.house.settings()).settings.cloud.service_password.reveal() == NEW
    assert (await _sign_in(door, NEW)).status_code == 200
    assert len(cloud.asked) == 1
    account = await users.by_id(CLOUD_ACCOUNT)
    assert account is not None
    assert account.password_hash.startswith("$argon2id$")
    assert (await _sign_in(door, OLD)).status_code == 401
    rows = [(row.action, row.actor, row.result) async for row in audit.in_order()]
    assert rows.count(("service-account.replaced", NAME, "done")) == 1


async def test_with_the_sdk_protocol_the_api_key_is_what_is_kept_in_step(door: Door, cloud: Cloud) -> None:
    await _configure(door, api_url=cloud.url, protocol="sdk", api_key=OLD, own_machine=True)
    assert (await _sign_in(door, NEW)).status_code == 200
    assert cloud.asked == ["/staging/api/connect/"]
    assert (await door.house.settings()).settings.cloud.api_key.reveal() == NEW


async def test_the_prompt_is_no_oracle(door: Door, cloud: Cloud) -> None:
    """UI-06: rate-limited; wrong passwords answer as they do for everybody, and the same one is never asked about twice."""
    await create_user("meyer", "admin", PASSWORD, now_ms())
    await _configure(door, api_url=cloud.url, own_machine=True)
    ours = [await _sign_in(door, f"guess {number // 2}") for number in range(6)]
    others = [await _sign_in(door, f"guess {number // 2}", "meyer") for number in range(6)]
    assert [answer.status_code for answer in ours] == [401, 401, 401, 401, 423, 423]
    for ask, usual in zip(ours, others, strict=True):
        assert {**ask.json(), "request_id": "", "locked_until": "", "detail": ""} == {
            **usual.json(),
            "request_id": "",
            "locked_until": "",
            "detail": "",
        }
    assert [answer.json()["detail"] for answer in ours[:4]] == [answer.json()["detail"] for answer in others[:4]]
    assert len(cloud.asked) == 2, "three guesses were two passwords, and then it was locked"
    assert (await _sign_in(door, NEW)).status_code == 423, "the right one does not open a locked account"
    assert len(cloud.asked) == 2


async def test_the_cloud_is_asked_three_times_in_five_minutes_at_most(door: Door, cloud: Cloud) -> None:
    await _configure(door, api_url=cloud.url, own_machine=True)
    await door.house.save(
        settings.patched((await door.house.settings()).settings, {"access": {"lock_after": 50}})[0],
        based_on=1,
        actor="test",
        now=now_ms(),
        changed=[],
    )
    for number in range(8):
        assert (await _sign_in(door, f"guess {number}")).status_code == 401
    assert len(cloud.asked) == 3
    assert (await _sign_in(door, NEW)).status_code == 401, "asked no more for now"


async def test_without_a_cloud_or_with_one_that_may_not_be_asked_only_the_stored_hash_counts(door: Door, cloud: Cloud) -> None:
    """The SSRF guard stands before the cloud's address too."""
    await _configure(door, api_url=cloud.url, service_password=OLD, own_machine=False)
    assert (await _sign_in(door, NEW)).status_code == 401
    assert cloud.asked == []
    assert (await _sign_in(door, OLD)).status_code == 200
    await _configure(door, api_url="", service_user="", own_machine=False)
    assert (await _sign_in(door, OLD)).status_code == 401, "an account that the settings no longer name is nobody"


async def test_a_local_account_of_the_same_name_stays_what_it_is(door: Door, cloud: Cloud) -> None:
    await create_user(NAME, "user", PASSWORD, now_ms())
    await _configure(door, api_url=cloud.url, own_machine=True)
    assert (await _sign_in(door, NEW)).status_code == 401
    assert cloud.asked == []
    assert (await _sign_in(door, PASSWORD)).json()["role"] == "user"
