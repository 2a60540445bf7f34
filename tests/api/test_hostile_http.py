"""What is thrown at a front door: malformed, endless, slow and misleading requests, as raw bytes to the real process."""

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.conversation import HEAD_BYTES
from api.gate import PER_ADDRESS
from tests.api.front import PATIENCE_S, Serving, serving, shut
from tests.certificates import make
from tests.servers import a_free_port, program

ELSEWHERE = "127.0.0.9"
GROWTH_KB = 50 * 1024
UNREAD_BYTES = 64_000_000
"""More than the system keeps for a connection that nobody reads from; two seconds of reading would take a gigabyte."""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    """One process for all of them: what one attack leaves behind, the next would meet."""
    async with serving(tmp_path_factory.mktemp("front") / "home", a_free_port()) as found:
        yield found


def _status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0


def _head(method: str, path: str, *fields: str, host: str = "localhost") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode("latin-1")


async def test_malformed_and_misleading_requests_are_refused_and_the_door_stays_open(api: Serving) -> None:
    """Faults and threats, row HTTP: each is a 4xx, closed connections count as refused, nothing is 5xx."""
    token = f"Authorization: Bearer {api.token}"
    close, chunked = "Connection: close", "Transfer-Encoding: chunked"
    body = b'{"password": "x"}'
    asked = {
        "length and chunks": _head("POST", "/api/password-rule", token, "Content-Length: 5", chunked, close) + b"0\r\n\r\n",
        "two lengths": _head("POST", "/api/password-rule", token, "Content-Length: 5", "Content-Length: 6", close) + b"12345",
        "a chunked that is none": _head("POST", "/api/password-rule", token, "Transfer-Encoding: xchunked", close),
        "a chunk of no size": _head("POST", "/api/password-rule", token, chunked, close) + b"zz\r\n\r\n",
        "a chunk longer than said": _head("POST", "/api/password-rule", token, chunked, close) + b"1\r\nabcdef\r\n0\r\n\r\n",
        "a negative length": _head("POST", "/api/password-rule", token, "Content-Length: -1", close),
        "a folded field": _head("GET", "/health", "X-A: 1\r\n folded", close),
        "a space before the colon": _head("GET", "/health", "Host : other", close),
        "a bare line feed": b"GET /health HTTP/1.1\nHost: localhost\n\n",
        "a NUL": _head("GET", "/health", "X-A: \0", close),
        "no HTTP": b"\x00\x01\x02\x03" * 10 + b"\r\n\r\n",
        "DICOM": b"\x01\x00\x00\x00\x00\xcd\x00\x01" + b"\x00" * 200,
        "two hosts": _head("GET", "/health", "Host: evil.example", close),
        "a host with a path": _head("GET", "/health", close, host="localhost/evil"),
        "a host with a user": _head("GET", "/health", close, host="localhost@evil.example"),
        "an endless address": _head("GET", "/" + "a" * (HEAD_BYTES + 10), close),
        "an endless field": _head("GET", "/health", "X-A: " + "a" * (HEAD_BYTES + 10), close),
        "many fields": _head("GET", "/health", *[f"X-{number}: 1" for number in range(200)], close),
        "a compressed body": _head("POST", "/api/password-rule", token, "Content-Encoding: gzip", close, "Content-Length: 40")
        + gzip.compress(b"0" * 10_000)[:40],
        "another method by a field": _head("POST", "/api/certificate", token, "X-HTTP-Method-Override: DELETE", close),
        "TRACE": _head("TRACE", "/health", close),
        "CONNECT": b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "up and out": _head("GET", "/docs/..%2f..%2f..%2fetc%2fpasswd", close),
        "up and out, dots hidden": _head("GET", "/docs/%2e%2e/%2e%2e/keys/root.key", close),
        "up and out of the assets": _head("GET", "/api-docs/assets/../../../keys/root.key", close),
        "a form": _head("POST", "/api/login", "Content-Type: application/x-www-form-urlencoded", close, "Content-Length: 7")
        + b"user=me",
        "parts without an end": _head("POST", "/api/login", "Content-Type: multipart/form-data; boundary=", close)[:-4]
        + b"\r\nContent-Length: 9\r\n\r\n"
        + b"--a\r\n\r\nb\r\n",
        "a huge query": _head("GET", "/api/studies?q=" + "a" * 20_000, token, close),
    }
    for name, content in asked.items():
        said = await api.say(content)
        assert not said or 400 <= _status(said) < 500, (name, said[:200])
        assert b"root:" not in said
    good = _head("POST", "/api/password-rule", token, f"Content-Length: {len(body)}", close) + body
    assert _status(await api.say(good)) == 200


async def test_an_upgrade_and_a_range_are_plain_requests(api: Serving) -> None:
    asked = ("Connection: Upgrade, close", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA")
    said = await api.say(_head("GET", "/health", *asked, "Origin: http://evil.example") + b"")
    assert b"101 " not in said.split(b"\r\n")[0]
    many = "Range: bytes=" + ",".join("0-" for _ in range(1000))
    assert _status(await api.say(_head("GET", "/api-docs/assets/swagger-ui.css", many, "Connection: close"))) == 200


async def test_what_the_door_itself_refuses_is_a_problem_with_all_headers(api: Serving) -> None:
    said = await api.say(b"nonsense\r\n\r\n")
    head, _, body = said.partition(b"\r\n\r\n")
    assert json.loads(body)["code"] == "bad-request"
    for name in (b"Content-Security-Policy", b"X-Content-Type-Options", b"Cache-Control: no-store", b"Connection: close"):
        assert name in head, name


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _sent_after_refusal(port: int, head: bytes, tls: ssl.SSLContext | None) -> int:
    """Bytes that the door took of a body it had refused, from somebody who never listens, until it cut them off."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain:
        wire = tls.wrap_socket(plain) if tls else plain
        wire.sendall(head)
        assert _status(wire.recv(65_536)) == 413
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while sent < 100 * UNREAD_BYTES:
                wire.sendall(b"x" * 65_536)
                sent += 65_536
        wire.close()
    return sent


async def test_four_gibibytes_of_content_length_are_refused_at_once_and_cost_nothing(api: Serving) -> None:
    """4 GiB Content-Length; memory growth under 50 MB, others go on."""
    before = api.memory_kb()
    head = _head("POST", "/api/password-rule", f"Authorization: Bearer {api.token}", f"Content-Length: {4 * 2**30}")
    # Over TLS what is sent after the answer would have to be decrypted to be thrown away.
    ways = (None, _trusting())
    sent = await asyncio.gather(*(asyncio.to_thread(_sent_after_refusal, api.port, head, tls) for tls in ways))
    assert max(sent) < UNREAD_BYTES
    endless = _head("POST", "/api/password-rule", f"Authorization: Bearer {api.token}", "Transfer-Encoding: chunked")
    assert _status(await api.say(endless + b"FFFF\r\n" + b"x" * 0xFFFF + (b"\r\nFFFFF\r\n" + b"x" * 0xFFFFF) * 4)) == 413
    async with api.client(address=ELSEWHERE) as client:
        assert (await client.get("/health")).status_code == 200
    assert api.memory_kb() - before < GROWTH_KB


@pytest.mark.parametrize("kind", ["-H", "-B", "-X"], ids=["slow head", "slow body", "slow reading"])
async def test_while_slow_callers_hold_on_the_others_are_served(api: Serving, kind: str, tmp_path: Path) -> None:
    """During slowhttptest others go on, and memory grows by less than 50 MB."""
    before = api.memory_kb()
    url = (
        f"https://127.0.0.1:{api.port}/api-docs/assets/swagger-ui-bundle.js"
        if kind == "-X"
        else f"https://127.0.0.1:{api.port}/api/login"
    )
    attack = await asyncio.create_subprocess_exec(
        *(program("slowhttptest", "slowhttptest"), kind, "-u", url, "-c", "600", "-r", "300", "-l", "4", "-i", "1", "-p", "2"),
        *(("-w", "64", "-y", "128", "-n", "1", "-z", "8") if kind == "-X" else ("-t", "POST", "-s", "8192")),
        cwd=tmp_path,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    served = 0
    try:
        async with api.client(address=ELSEWHERE) as client:
            while attack.returncode is None:
                assert (await client.get("/api/status")).status_code == 200
                served += 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(attack.wait(), 0.1)
        async with api.client(address=ELSEWHERE) as late:
            assert (await late.get("/health")).status_code == 200, "a new connection too"
    finally:
        if attack.returncode is None:
            attack.kill()
            await attack.wait()
    assert served > 2, "again and again, however slow the machine that both of them share"
    assert api.memory_kb() - before < GROWTH_KB


async def test_one_address_has_its_share_of_connections_and_no_more(api: Serving) -> None:
    held = [shut(api.port) for _ in range(PER_ADDRESS + 20)]
    try:
        async with api.client(address=ELSEWHERE) as client:
            assert (await client.get("/health")).status_code == 200
        assert _closed(held[-1]), "one too many is turned away"
        assert not _closed(held[0])
    finally:
        for wire in held:
            wire.close()
    async with asyncio.timeout(PATIENCE_S):
        while _status(await api.say(_head("GET", "/health", "Connection: close"))) != 200:
            await asyncio.sleep(0.05)


def _closed(wire: socket.socket) -> bool:
    wire.settimeout(0.2)
    try:
        return not wire.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


async def test_only_the_names_of_the_settings_are_answered(tmp_path: Path, free_port: int) -> None:
    """Faults and threats, row HTTP: Host header; a name of somebody else's that leads here (DNS rebinding)."""
    pair = make()
    async with serving(tmp_path / "home", free_port, host_names=["ranvier.test"]) as api:
        for host, status in (("ranvier.test", 200), ("RANVIER.test:3001", 200), ("127.0.0.1", 200), ("[::1]:80", 200)):
            assert _status(await api.say(_head("GET", "/health", "Connection: close", host=host))) == status, host
        for host in ("evil.example", "ranvier.test.evil.example", "localhost.evil.example"):
            assert _status(await api.say(_head("GET", "/health", "Connection: close", host=host))) == 421, host
        assert _status(await api.say(b"GET /health HTTP/1.0\r\n\r\n")) == 421
        async with api.client() as client:
            assert "ranvier.test" in (await client.get("/api/certificate")).json()["names"]
        assert (await api.use(pair)).status_code == 200
