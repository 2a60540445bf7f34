"""Secrets are nowhere but where they belong: not in logs, records, answers, exports, nor in the list of processes."""

import contextlib
from pathlib import Path

import httpx

from tests.api.front import Serving, serving
from tests.certificates import make

PASSWORD = "Canary-Horse-Battery-1"
NEW_PASSWORD = "Canary-Mule-Battery-22"
WRONG = "Canary-Wrong-Password-3"
DELIVERY = "canary-delivery-secret-4"
IN_A_NAME = "Canary-In-The-Name-5"


async def test_no_secret_is_found_in_any_file_answer_or_process(tmp_path: Path, free_port: int) -> None:
    """Faults and threats, row secrets and logs: the canary scan is empty."""
    pair, answers = make(), list[str]()
    home = tmp_path / "home"
    async with serving(home, free_port) as api:
        canaries = [PASSWORD, NEW_PASSWORD, WRONG, DELIVERY, IN_A_NAME, *pair.key.splitlines()[1:-1]]
        async with api.client() as client:
            canaries += await _use_every_secret(client, api, pair.certificate, pair.key)
            for path in ("/api/settings", "/api/settings/history", "/api/settings/export", "/api/users", "/api/tokens"):
                answers.append((await client.get(path)).text)
            for path in ("/api/audit", "/api/audit/export", "/api/status", "/api/health", "/api/events?study=none"):
                answers.append((await client.get(path)).text)
        shown = b"".join(_shown_by(process) for process in Path("/proc").glob("[0-9]*"))
    canaries.append(api.token)
    for canary in canaries:
        assert not [text for text in answers if canary in text], canary[:12]
        assert canary.encode() not in shown
        # keys/ is where keys belong; the certificate of the settings is sealed in the records all the same.
        files = [file for file in home.rglob("*") if file.is_file() and file.parent.name != "keys"]
        assert len(files) >= 3
        assert not [file.name for file in files if canary.encode() in file.read_bytes()], canary[:12]


def _shown_by(process: Path) -> bytes:
    """What the list of processes shows of one: its arguments, and its environment to those who may."""
    with contextlib.suppress(OSError):
        return (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    return b""


async def _use_every_secret(client: httpx.AsyncClient, api: Serving, certificate: str, key: str) -> list[str]:
    """Right, wrong and misplaced: everything that people and programs do with secrets. Gives those that were made for us."""
    await client.post("/api/users", json={"name": "canary", "role": "user", "password": PASSWORD})
    nobody = {"Authorization": ""}
    signed = await client.post("/api/login", json={"user": "canary", "password": PASSWORD}, headers=nobody)
    cookie = signed.cookies["ranvier_session"]
    client.cookies.clear()
    as_canary = {"Authorization": f"Bearer {cookie}"}
    await client.post("/api/me/password", json={"old": PASSWORD, "new": NEW_PASSWORD}, headers=as_canary)
    for body in (
        {"user": "canary", "password": WRONG},
        {"user": IN_A_NAME, "password": "x"},
        {"user": "canary", "password": {"wrong": WRONG}},
        {"user": "canary", "pasword": WRONG},
    ):
        assert (await client.post("/api/login", json=body, headers=nobody)).is_client_error
    await client.post("/api/login", content=f'{{"user": "canary", "password": "{WRONG}'.encode(), headers=nobody)
    await client.get("/api/studies", params={"q": f"{WRONG}:1"})
    await client.get("/api/me", headers={"Authorization": f"Bearer {WRONG}"})
    token = (await client.post("/api/tokens", json={"name": "canary"})).json()
    basic = httpx.BasicAuth(token["id"], token["secret"])
    form = {"grant_type": "client_credentials"}
    granted = (await client.post("/api/oauth/token", data=form, auth=basic)).json()
    await client.get("/api/studies", headers={"Authorization": f"Bearer {granted['access_token']}"})
    await client.post("/api/oauth/token", data=form, auth=httpx.BasicAuth(token["id"], WRONG))
    destination = {
        "protocol": "rest",
        "name": "his",
        "url": "https://his.example/",
        "authentication": "token",
        "secret": DELIVERY,
    }
    version = (await client.get("/api/settings")).headers["etag"]
    change = {"delivery": {"destinations": [destination]}}
    assert (await client.patch("/api/settings", json=change, headers={"If-Match": version})).status_code == 200
    assert (await client.put("/api/certificate", json={"certificate": certificate, "key": key})).status_code == 200
    await client.put("/api/certificate", json={"certificate": certificate, "key": f"{key[:-40]}{WRONG}"})
    with contextlib.suppress(httpx.HTTPError):
        await api.say(f"GET /health HTTP/1.1\r\nHost: a b\r\nX: {WRONG}\r\n\r\n".encode())
    return [cookie, token["secret"], granted["access_token"]]
