"""Heads of answers, problems, documentation, and the process itself."""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest
from litestar import get, post
from litestar.params import JSONBody
from litestar.testing import AsyncTestClient

from api import problems
from api.app import BODY_BYTES, create_app
from api.documentation import ASSETS, PAGE, START
from api.guards import declared
from api.limits import Bucket
from api.problems import TooManyRequests
from appliance import errors, settings
from appliance.access.permissions import OPEN
from appliance.house import HOME_VARIABLE, House, open_house
from appliance.moments import now_ms
from appliance.records import processes
from tests.api.conftest import Door

PATIENCE_S = 60
OWASP = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-permitted-cross-domain-policies": "none",
    "x-dns-prefetch-control": "off",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
}
"""The list of the OWASP Secure Headers project, as far as it is one value."""


async def test_every_answer_carries_the_security_headers(door: Door) -> None:
    """UI-05, faults and threats: CSP, nosniff, frames denied, nothing cached."""
    for role, method, path, status in (
        ("", "GET", "/health", 200),
        ("", "GET", "/api/studies", 401),
        ("admin", "GET", "/api/studies", 200),
        ("user", "GET", "/api/settings", 403),
        ("", "GET", "/x", 404),
        ("admin", "PUT", "/api/studies", 405),
        ("", "POST", "/api/login", 400),
    ):
        answer = await door.call(role, method, path)
        assert answer.status_code == status
        assert {name: answer.headers.get(name) for name in OWASP} == OWASP
        assert "camera=()" in answer.headers["permissions-policy"]
        assert not {"server", "x-powered-by", "x-xss-protection"} & set(answer.headers), "they tell, or do harm"
        assert "strict-transport-security" not in answer.headers, "not over plain HTTP"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


async def test_each_page_may_load_its_own_files_and_nothing_else(door: Door) -> None:
    for path, allowed in (
        ("/docs", "style-src 'self'"),
        ("/docs/states", "style-src 'self'"),
        ("/api-docs", "script-src 'self'"),
    ):
        policy = (await door.call("", "GET", path)).headers["content-security-policy"]
        assert allowed in policy
        assert "default-src 'none'" in policy
    for path in ("/docsx", "/api-docsx", "/api/status"):
        assert "self" not in (await door.call("admin", "GET", path)).headers["content-security-policy"]


async def test_bodies_have_a_limit(door: Door) -> None:
    answer = await door.call("admin", "POST", "/api/reveal", content=b"[" + b"1," * BODY_BYTES + b"1]")
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_malformed_requests_are_problems_without_what_was_sent(door: Door) -> None:
    patient = "Mustermann"
    asked: list[tuple[str, str, dict[str, Any], int]] = [
        ("POST", "/api/orders", {"content": f'{{"study": "{patient}'}, 400),
        ("POST", "/api/orders", {"json": {"study": 5, patient: patient}}, 400),
        ("POST", "/api/users", {"json": {"name": patient, "role": patient, "password": patient}}, 400),
        ("GET", "/api/studies", {"params": {"limit": patient}}, 400),
        ("GET", "/api/studies", {"params": {"q": f"{patient}:{patient}"}}, 400),
        ("GET", f"/api/studies/{patient}", {}, 404),
        ("GET", f"/{patient}", {}, 404),
        ("PUT", "/api/studies", {}, 405),
    ]
    for method, path, sent, status in asked:
        answer = await door.call("admin", method, path, **sent)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert patient not in answer.text
        problem = answer.json()
        assert {"type", "title", "status", "detail", "code", "next_step", "request_id"} <= set(problem)
        assert problem["request_id"] == answer.headers["x-request-id"]


async def test_what_was_not_foreseen_says_its_number_and_nothing_else(house: House, caplog: pytest.LogCaptureFixture) -> None:
    @get("/api/broken", **declared(OPEN))
    async def broken() -> str:
        raise RuntimeError("Mustermann^Max")

    async with AsyncTestClient(create_app(house, more=[broken])) as client:
        with caplog.at_level(logging.ERROR, logger="api.problems"):
            answer = await client.get("/api/broken")
    assert answer.status_code == 500
    assert "Mustermann" not in answer.text
    (record,) = [one for one in caplog.records if one.name == "api.problems"]
    assert record.__dict__["request"] == answer.json()["request_id"]
    assert "Mustermann" not in record.getMessage()


def test_every_error_of_the_house_has_a_status() -> None:
    def below(kind: type[errors.RanvierError]) -> set[type[errors.RanvierError]]:
        return {kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))}

    wanted = {
        errors.Rejected: 400,
        errors.Retry: 503,
        errors.Failed: 422,
        errors.NeedsPerson: 409,
        errors.Misconfigured: 422,
        errors.Denied: 403,
        errors.Unknown: 404,
        errors.Conflict: 409,
    }
    assert {kind: problems.STATUS[kind] for kind in wanted} == wanted
    for kind in below(errors.RanvierError):
        assert next(problems.STATUS[base] for base in kind.__mro__ if base in problems.STATUS) >= 400


def test_messages_of_the_decoder_lose_their_values() -> None:
    assert "Muster" not in problems.without_values("Invalid enum value 'Muster' - at `$.role`")
    assert "Muster" not in problems.without_values("Invalid value 'Mus'ter' here")
    assert problems.without_values("Expected `int`, got `str`") == "Expected `int`, got `str`"


def test_a_bucket_fills_again_with_time() -> None:
    bucket = Bucket(size=3, every_ms=1000)
    for _ in range(3):
        bucket.take("a", 0)
    with pytest.raises(TooManyRequests) as caught:
        bucket.take("a", 0)
    assert caught.value.retry_after_s == 1
    bucket.take("b", 0)
    bucket.take("a", 1000)
    with pytest.raises(TooManyRequests):
        bucket.take("a", 1000)


async def test_the_documentation_asks_no_other_host(door: Door) -> None:
    """UI-05: Swagger UI at /api-docs works offline."""
    page = await door.call("", "GET", "/api-docs")
    assert page.status_code == 200
    assert page.text == PAGE
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 5
    for address in addresses:
        if address == "data:,":
            continue
        assert address.startswith("/api-docs/")
        asset = await door.call("", "GET", address)
        assert asset.status_code == 200, address
        assert "script-src 'self'" in asset.headers["content-security-policy"]
    assert "//" not in re.sub(r"<!doctype[^>]*>", "", PAGE)
    assert "http" not in START
    assert (await door.call("", "GET", "/api-docs/assets/swagger-ui.css")).headers["cache-control"] == "max-age=86400"
    css = (await door.call("", "GET", "/api-docs/assets/swagger-ui.css")).text
    assert not re.findall(r"(?:@import|url\()\s*['\"]?(?!data:)https?://", css)
    assert set(ASSETS) == {"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"}


async def test_every_answer_of_json_has_an_example_that_fits_its_schema(door: Door) -> None:
    """UI-05: examples; and no reference of the document leads nowhere."""
    document = (await door.call("", "GET", "/api-docs/openapi.json")).json()
    shown = 0
    for path, found in document["paths"].items():
        for method, one in found.items():
            for status, answer in one["responses"].items():
                for kind, media in answer.get("content", {}).items():
                    if kind.endswith("json") and "schema" in media:
                        schema = {**media["schema"], "components": document["components"]}
                        jsonschema_rs.validate(schema, media["example"])
                        shown += 1
                        assert media["example"].get("status") == int(status) if "problem" in kind else True, (path, method)
    assert shown > 400


async def test_the_document_is_openapi_31_and_describes_every_operation(door: Door) -> None:
    """Operation ids, descriptions, security schemes."""
    document = (await door.call("", "GET", "/api-docs/openapi.json")).json()
    assert document == (await door.call("", "GET", "/schema/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    operations = [(path, method, one) for path, found in document["paths"].items() for method, one in found.items()]
    assert len({one["operationId"] for _, _, one in operations}) == len(operations) > 40
    assert not [one for one in document["components"]["schemas"] if "_" in one], (
        "two of one name; clients cannot be made of them"
    )
    assert set(document["components"]["securitySchemes"]) == {"session", "bearer", "oauth"}
    for path, _, one in operations:
        assert one.get("description"), path
        assert one["tags"], path
        failing = [status for status in one["responses"] if status >= "4"]
        for status in failing:
            assert "application/problem+json" in one["responses"][status]["content"], (path, status)
        assert "401" in one["responses"] or one["security"] == [{}], path
    guide = {"/health", "/api/health", "/api/status", "/api/studies", "/api/study-info/{study}", "/api/bypass-qc"}
    assert guide | {"/api/force-stable", "/api/results", "/api/reports"} <= set(document["paths"])


async def test_health_says_which_part_is_down_and_nothing_about_patients(door: Door) -> None:
    health = await door.get("/api/health", role="")
    assert health["status"] == "down"
    assert {part["name"]: part["status"] for part in health["parts"]}["receive"] == "down"
    for kind in ("receive", "work"):
        await processes.beat(processes.this_process(kind, now_ms()), now_ms())
    health = await door.get("/api/health", role="")
    assert {part["name"]: part["status"] for part in health["parts"]} == {
        "database": "ok",
        "receive": "ok",
        "work": "ok",
        "disk": "ok",
        "callers": "warn",
    }
    await door.house.records.run("UPDATE processes SET seen_at = 0 WHERE kind = 'work'")
    assert (await door.get("/api/health", role=""))["status"] == "down"


async def test_post_bodies_of_another_media_type_are_refused_or_read_as_json(house: House) -> None:
    class Body(msgspec.Struct):
        number: int

    @post("/api/echo", status_code=200, **declared(OPEN))
    async def echo(data: JSONBody[Body]) -> int:
        return data.number

    async with AsyncTestClient(create_app(house, more=[echo])) as client:
        answer = await client.post("/api/echo", content=b"number=5", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 400


def test_the_api_imports_neither_pydicom_nor_numpy() -> None:
    """DESIGN: routes import no piccolo, pydicom, nibabel, httpx; the idle process stays small."""
    heavy = ("pydicom", "numpy", "nibabel", "httpx", "pynetdicom", "PIL", "dipy", "scipy", "reportlab", "tui", "textual")
    code = f"import api.__main__, sys; print([name for name in {heavy!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_routes_import_no_library_of_the_house() -> None:
    routes = Path(__file__).parents[2] / "api" / "routes"
    for file in routes.glob("*.py"):
        found = re.findall(r"^\s*(?:from|import) (piccolo|pydicom|nibabel|httpx)\b", file.read_text(), re.MULTILINE)
        assert not found, file.name


@pytest.fixture
async def home(tmp_path: Path, free_port: int) -> tuple[Path, int]:
    """An appliance whose API listens on a free port of the loopback address."""
    async with open_house(tmp_path / "home", create=True) as house:
        loaded = await house.settings()
        result, changed = settings.patched(loaded.settings, {"access": {"host": "127.0.0.1", "port": free_port}})
        await settings.save(house.keys, result, based_on=0, actor="test", now=now_ms(), changed=changed)
    return tmp_path / "home", free_port


async def test_the_process_serves_beats_and_ends_cleanly(home: tuple[Path, int]) -> None:
    folder, port = home
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", env={**os.environ, HOME_VARIABLE: str(folder)}, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await _until_up(client, process)
            async with open_house(folder):
                while not (found := await processes.everyone()):
                    await asyncio.sleep(0.05)
                assert [(one.kind, one.pid) for one in found] == [("api", process.pid)]
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
                assert await processes.everyone() == []
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = [json.loads(line) for line in (folder / "logs" / "api.jsonl").read_text().splitlines()]
    assert not [line for line in lines if line["level"] in ("error", "critical")]


async def _until_up(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    while process.returncode is None:
        try:
            assert (await client.get("/health")).json()["status"] == "ok"
        except httpx.TransportError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("the API ended before it was up")


async def test_without_a_home_the_process_says_what_to_do(tmp_path: Path) -> None:
    environment = {**os.environ, HOME_VARIABLE: str(tmp_path / "nothing")}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", env=environment, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 78
    assert b"ranvier init" in said
