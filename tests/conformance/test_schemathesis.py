"""Schemathesis, which other people wrote, against the running API with a phantom's study, an order and a report in it.

Every check is on, with these exclusions, each for a reason:
- the live stream of events never ends, so it is not called by the tool (tests/api/test_events.py reads it);
- `ignored_auth` sends a wrong cookie beside the right bearer and calls the answer a hole: tests/api/test_matrix.py walks every
  operation without, with ended and with foreign sessions instead;
- a well-formed request may be refused by its meaning: the documented 409, 412, 422, 423 and 428; filter, sort and cursor have
  grammars that JSON Schema cannot tell: the documented 400 of lists.
"""

import asyncio
import base64
import json
import re
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.limits import Bucket
from appliance.access import saml
from appliance.access.accounts import create_user
from appliance.access.second_factor import code_at
from appliance.access.tokens import create_token
from appliance.house import House, open_house
from appliance.moments import new_id, now_ms
from appliance.receive.stable import force_stable
from appliance.records import deliveries, submissions, users
from appliance.storage import write_durable
from tests.api.conftest import PASSWORD, a_report, an_order, file_phantom, served
from tests.api.test_proof import deidentified
from tests.api.test_quality import with_a_flipped_table
from tests.api.test_sending import with_archives
from tests.certificates import make
from tests.phantoms import a_small_diffusion_study
from tests.servers import Orthanc, an_orthanc

STREAMS = {"streamEvents"}
CONFIGURATION = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422", "423", "428", "429"]
negative_data_rejection.expected-statuses = [
  "400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429"
]

[[operations]]
include-operation-id = LISTS
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403"]
"""


@dataclass
class World:
    """The served API, what it holds, and what it answered to whom."""

    url: str
    house: House
    study: str
    order: str
    report: str
    document: dict[str, Any]
    answered: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    async def bearer(self, role: str) -> str:
        """A token of that role."""
        return (await create_token(self.house.keys, f"tool-{role}", role, created_by="test", now=now_ms())).secret


def _operations(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {
        (method.upper(), path): one["operationId"] for path, item in document["paths"].items() for method, one in item.items()
    }


def _lists(document: dict[str, Any]) -> list[str]:
    """The operations whose filter, sort or cursor has a grammar of its own."""
    found = [
        one["operationId"]
        for item in document["paths"].values()
        for one in item.values()
        if {"q", "cursor"} & {parameter["name"] for parameter in one.get("parameters", ())} and "400" in one["responses"]
    ]
    assert {"listStudies", "searchLogs"} <= set(found)
    return found


def _counted(app: Litestar, answered: dict[str, set[int]], document: dict[str, Any]) -> None:
    """Notes the status of every answer under its operation: the count is the server's, not the tool's."""
    patterns = [
        (method, re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$"), operation)
        for (method, path), operation in _operations(document).items()
    ]
    inner: Callable[..., Awaitable[None]] = app.asgi_handler

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                for method, pattern, operation in patterns:
                    if method == scope["method"] and pattern.match(scope["path"]):
                        answered[operation].add(message["status"])
            await send(message)

        await inner(scope, receive, noting if scope["type"] == "http" else send)

    app.asgi_handler = counting


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    """The API on a port, with nobody slowed down: the tool asks more often than a person."""
    async with open_house(folder / "home", create=True) as house:
        study = await file_phantom(house, a_small_diffusion_study(folder / "phantom"))
        await force_stable(house.records, study, now=now_ms())
        order = await an_order(house, study)
        report = await a_report(house, study, order)
        app = create_app(house)
        app.state.calls = app.state.sign_ins = Bucket(10**9, 1)
        document = json.loads(json.dumps(app.openapi_schema.to_schema()))
        answered: dict[str, set[int]] = defaultdict(set)
        _counted(app, answered, document)
        async with served(app) as url:
            yield World(url, house, study, order, report, document, answered)


async def _attacked(world: World, folder: Path, role: str, *more: str) -> str:
    """What the tool says after a run as somebody of that role; empty when it found nothing."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION.replace("LISTS", json.dumps(_lists(world.document))))
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(folder / "schemathesis.toml"), "run"),
        *(f"{world.url}/schema/openapi.json", "--header", f"Authorization: Bearer {await world.bearer(role)}"),
        *(
            "--checks",
            "all",
            "--exclude-checks",
            "ignored_auth",
            "--exclude-path",
            "/api/events",
            "--no-color",
            "--seed",
            "22",
            *more,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    said = (await process.communicate())[0].decode()
    return "" if process.returncode == 0 else said


@pytest.mark.parametrize("role", ["admin", "user"])
async def test_the_api_answers_as_its_document_says(tmp_path: Path, role: str) -> None:
    """Schemathesis with all checks, 0 findings; a bounded number of examples."""
    async with a_world(tmp_path) as world:
        found = await _attacked(world, tmp_path, role, "--phases", "examples,fuzzing", "--max-examples", "2")
        assert not found, found[-8000:]
        called = set(world.answered)
        assert called >= set(_operations(world.document).values()) - STREAMS
        assert not {operation: seen for operation, seen in world.answered.items() if any(status >= 500 for status in seen)}


@pytest.mark.long
@pytest.mark.parametrize("role", ["admin", "user"])
async def test_the_api_answers_as_its_document_says_to_very_many_requests(tmp_path: Path, role: str) -> None:
    """The same with edge values of every parameter and many examples."""
    async with a_world(tmp_path) as world:
        found = await _attacked(world, tmp_path, role, "--phases", "examples,coverage,fuzzing", "--max-examples", "60")
        assert not found, found[-8000:]


def _uses(world: World) -> list[tuple[str, str, Any]]:
    """One good request of each operation that a machine with a token can use at any time."""
    study, order, report = world.study, world.order, world.report
    pacs = {"protocol": "dicom-pdf", "name": "x", "host": "127.0.0.1", "port": 1}
    gets = [
        *("/health", "/api/health", "/api/sign-in-ways", "/api/me", "/api/status", "/api/tasks"),
        *("/api/tasks/maintenance/history", "/api/retention"),
        *("/api/studies", f"/api/studies/{study}"),
        *(f"/api/study-info/{study}", "/api/filter-words", "/api/orders", f"/api/orders/{order}"),
        *("/api/products", "/api/reports", f"/api/reports/{report}/json", "/api/results", "/api/settings", "/api/certificate"),
        *("/api/settings/schema", "/api/settings/history", "/api/settings/export", "/api/settings/differences?before=0"),
        *("/api/data-flow", "/api/associations", "/api/senders", "/metrics"),
        *(
            "/api/results/bundle?formats=json",
            "/api/notices",
            "/api/audit",
            "/api/audit/verify",
            "/api/audit/anchor",
            "/api/audit/export",
            "/api/users",
            "/api/tokens",
        ),
    ]
    posts: list[tuple[str, str, Any]] = [
        ("PATCH", "/api/settings", {"site": {"name": "gw"}}),
        ("POST", "/api/password-rule", {"password": "short"}),
        ("POST", "/api/reveal", {"studies": [study]}),
        ("POST", "/api/lookup", {"kind": "patient", "value": "PAT-1"}),
        ("POST", "/api/tasks/maintenance/run", None),
        ("PUT", "/api/tasks/maintenance", {"on": True}),
        ("POST", "/api/processing/pause", None),
        ("POST", "/api/processing/resume", None),
        *(("POST", f"/api/{what}/{verb}", None) for what in ("receiving", "delivery") for verb in ("pause", "resume")),
        ("PUT", f"/api/orders/{order}/priority", {"priority": "urgent"}),
        ("POST", "/api/settings/export", {"passphrase": "a passphrase of some length"}),
        ("POST", "/api/settings/import?dry_run=true", {"text": "[ranvier]\nformat = 1\n"}),
        ("POST", "/api/settings/restore?dry_run=true", {"version": 1}),
        ("POST", "/api/settings/test/malware", {"port": 1}),
        ("POST", "/api/delivery/test", pacs),
        ("POST", "/api/delivery/test-object", {"destination": pacs, "patient": "RANVIER-TEST"}),
        ("POST", "/api/users", {"name": "meyer", "password": "Correct-Horse-Battery-1"}),
        ("POST", "/api/tokens", {"name": "his", "role": "service"}),
    ]
    return [*(("GET", path, None) for path in gets), *posts]


def _moves(world: World) -> list[tuple[str, str, str, Any]]:
    """What is done with an order and its study, each with the state that the order is put into before."""
    order, study = f"/api/orders/{world.order}", f"/api/studies/{world.study}"
    why = {"reason": "The radiologist agreed."}
    return [
        ("QC_FAILED", "POST", f"{order}/metadata", {"age": "063Y", "sex": "F"}),
        ("QC_FAILED", "POST", f"{order}/bypass", why),
        ("QC_FAILED", "POST", "/api/bypass-qc", {"order": world.order, **why}),
        ("QC_FAILED", "PUT", "/api/bypass-qc", {"order": world.order, **why}),
        ("FAILED", "POST", f"{order}/retry", None),
        ("QUEUED", "POST", f"{order}/cancel", None),
        ("CANCELLED", "POST", "/api/orders", {"study": world.study}),
        ("CANCELLED", "DELETE", f"{order}?dry_run=true", None),
        ("CANCELLED", "DELETE", f"{study}?dry_run=true", None),
    ]


async def _people(world: World, client: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
    """What a person does with an account: password, second factor, sign-out; and an administrator for them."""
    await create_user("schulz", "user", PASSWORD, now_ms())
    console = {"X-Ranvier": "console", "Authorization": ""}

    async def own(method: str, path: str, body: Any = None) -> httpx.Response:
        return await client.request(method, path, json=body, headers=console)

    async def sign_in(password: str) -> httpx.Response:
        client.cookies.clear()
        answer = await own("POST", "/api/login", {"user": "schulz", "password": password})
        # The cookie is for TLS only; this client carries it by itself.
        cookie = answer.headers.get("set-cookie", "").split(";")[0]
        console["Cookie"] = cookie
        return answer

    async def second_factor() -> AsyncIterator[httpx.Response]:
        begun = await own("POST", "/api/me/second-factor", {"password": PASSWORD})
        yield begun
        code = code_at(base64.b32decode(begun.json()["secret"]), now_ms() // 30_000)
        yield await own("POST", "/api/me/second-factor/confirm", {"code": code})

    yield await sign_in(PASSWORD)
    confirmed = [one async for one in second_factor()]
    for one in confirmed:
        yield one
    yield await own("GET", "/api/me/second-factor")
    removal = {"password": PASSWORD, "code": confirmed[-1].json()["codes"][0]}
    yield await own("POST", "/api/me/second-factor/remove", removal)
    yield await client.post("/api/users/schulz/second-factor/remove")
    yield await own("POST", "/api/me/password", {"old": PASSWORD, "new": f"{PASSWORD}-new"})
    yield await client.post("/api/users/schulz/password", json={"password": PASSWORD})
    yield await client.patch("/api/users/schulz", json={"role": "user", "disabled": False})
    yield await client.post("/api/users/schulz/sign-out")
    yield await sign_in(PASSWORD)
    yield await own("POST", "/api/logout")


async def _machines(world: World, client: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
    """Tokens, and the front door's certificate."""
    made = await client.post("/api/tokens", json={"name": "exchanged", "role": "service"})
    token = made.json()
    who = (token["id"], token["secret"])
    yield await client.post("/api/oauth/token", data={"grant_type": "client_credentials"}, auth=who)
    yield await client.delete(f"/api/tokens/{token['id']}")
    pair = make()
    given = {"certificate": pair.certificate, "key": pair.key}
    yield await client.post("/api/certificate/check", json=given)
    yield await client.put("/api/certificate", json=given)
    yield await client.delete("/api/certificate")


async def _single_sign_on(world: World, client: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
    """Metadata of both sides, a code for the console, signing out; the browser's own pages are no operations."""
    pair, idp = make("idp"), "https://idp.example"
    body = "".join(pair.certificate.split("\n")[1:-2])
    theirs = (
        f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{idp}"><IDPSSODescriptor '
        'protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor use="signing">'
        f'<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{body}</X509Certificate></X509Data>'
        '</KeyInfo></KeyDescriptor><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" '
        f'Location="{idp}/sso"/></IDPSSODescriptor></EntityDescriptor>'
    )
    read = await client.post("/api/saml/read-metadata", json={"metadata": theirs})
    yield read
    section = {**read.json()["values"], "enabled": True, "mode": "both", "sp_base_url": "https://ranvier.example"}
    version = (await client.get("/api/settings")).json()["version"]
    yield await client.patch("/api/settings", json={"saml": section}, headers={"If-Match": f'"{version}"'})
    yield await client.get("/api/saml/metadata")
    now = now_ms()
    account = await users.of_identity_provider(
        users.Account(id=new_id(now), name="saml:x@y.example", role="user", created_at=now)
    )
    code = await saml.hand_over(world.house.keys, account, saml.Subject("x@y.example", "", ""), now)
    signed = await client.post("/api/login/code", json={"code": code}, headers={"Authorization": ""})
    yield signed
    cookie = signed.headers.get("set-cookie", "").split(";")[0]
    console = {"X-Ranvier": "console", "Authorization": "", "Cookie": cookie}
    yield await client.post("/api/saml/logout", headers=console)


async def _findings(world: World, client: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
    """Orders with everything that can happen to them, and a study that still comes in."""
    order, study = await an_order(world.house, world.study, state="QC_FAILED"), world.study
    await with_a_flipped_table(world.house, study, order)
    yield await client.get(f"/api/orders/{order}/qc")
    yield await client.get(f"/api/orders/{order}/qc/image-motion/picture")
    yield await client.post(f"/api/orders/{order}/repair-gradients")
    write_durable(world.house.storage.quarantine(order) / "support-bundle.zip", b"PK\x05\x06" + bytes(18))
    yield await client.get(f"/api/orders/{order}/support-bundle")
    proven = await deidentified(world.house, study)
    yield await client.get(f"/api/orders/{proven}/passport")
    yield await client.get(f"/api/orders/{proven}/passport/pdf")
    yield await client.post(f"/api/orders/{proven}/passport/verify")
    yield await client.post(f"/api/studies/{study}/deidentification-preview", json={})
    yield await client.post(f"/api/studies/{study}/linking")
    (delivery,) = await deliveries.create(world.report, world.order, ["pacs"], now_ms())
    await world.house.records.run("UPDATE deliveries SET state = 'SENT' WHERE id = {}", delivery.id)
    await world.house.records.run("UPDATE orders SET state = 'DELIVERED' WHERE id = {}", world.order)
    yield await client.post(f"/api/deliveries/{delivery.id}/resend")
    await with_archives(world.house)
    yield await client.post(f"/api/orders/{proven}/send", json={"destination": "web"})
    for method, path, body in (
        ("POST", f"/api/studies/{study}/force-stable", None),
        ("POST", "/api/force-stable", {"study": study}),
        ("PUT", "/api/force-stable", {"study": study}),
    ):
        await world.house.records.run("UPDATE studies SET state = 'RECEIVING' WHERE id = {}", study)
        yield await client.request(method, path, json=body)
    await world.house.records.run("UPDATE studies SET state = 'QUARANTINED' WHERE id = {}", study)
    yield await client.post(f"/api/studies/{study}/release")


async def _grouped(world: World, client: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
    """A group with one study: its report in every way, and the group taken back."""
    study = f"/api/studies/{world.study}/group"
    yield await client.post("/api/groups", json={"group": "PARK-01", "products": ["dti"]})
    yield await client.get("/api/groups")
    yield await client.put(study, json={"group": "PARK-01"})
    yield await client.get("/api/groups/PARK-01")
    yield await client.get("/api/groups/PARK-01/statistics")
    yield await client.post("/api/groups/PARK-01/accept-versions")
    yield await client.post("/api/groups/PARK-01/reports", json={"send": True})
    yield await client.post("/api/groups/PARK-01/reports/newest/send")
    yield await client.get("/api/groups/PARK-01/reports/newest/csv")
    yield await client.put(study, json={"group": ""})
    yield await client.delete("/api/groups/PARK-01")


async def _uploaded(world: World, client: httpx.AsyncClient, folder: Path) -> AsyncIterator[httpx.Response]:
    """A code, what waits for an administrator, and a study that was uploaded."""
    made = await client.post("/api/upload-codes", json={"source": "Sankt Example"})
    yield made
    yield await client.get("/api/upload-codes")
    yield await client.delete(f"/api/upload-codes/{made.json()['id']}")
    waiting = []
    for _ in range(2):
        begun = (await client.post("/api/submissions")).json()["submission"]
        await world.house.records.run("UPDATE submissions SET state = 'HELD' WHERE id = {}", begun)
        waiting.append(begun)
    (study,) = await world.house.records.run("SELECT uid_key FROM studies WHERE id = {}", world.study)
    noted = [(new_id(), str(study["uid_key"]), "", submissions.Original())]
    async with world.house.records.transaction():
        await submissions.note_studies(world.house.records, world.house.keys, waiting[0], noted, held=True)
    yield await client.get("/api/submissions")
    of_study, other = (
        f"/api/studies/{world.study}",
        await file_phantom(world.house, a_small_diffusion_study(folder / "other", seed=9)),
    )
    yield await client.get(f"{of_study}/upload")
    yield await client.post(f"{of_study}/upload/reveal")
    yield await client.post(f"{of_study}/review")
    yield await client.delete(f"{of_study}/review")
    yield await client.post(f"{of_study}/link", json={"to": other, "confirm": True})
    yield await client.delete(f"{of_study}/link")
    yield await client.post(f"/api/submissions/{waiting[0]}/accept")
    yield await client.post(f"/api/submissions/{waiting[1]}/reject")


async def _retrieval(world: World, client: httpx.AsyncClient, archive: Orthanc) -> AsyncIterator[httpx.Response]:
    """A PACS node that is asked, pulls, and one that is taken back."""
    node = {"name": "archive", "host": archive.host, "port": archive.port, "called_ae": archive.ae_title}
    version = (await client.get("/api/settings")).json()["version"]
    yield await client.patch("/api/settings", json={"nodes": {"nodes": [node]}}, headers={"If-Match": f'"{version}"'})
    yield await client.get("/api/nodes")
    yield await client.post("/api/nodes/archive/find", json={"patient_id": "4711"})
    yield await client.post(f"/api/studies/{world.study}/priors", json={"node": "archive"})
    asked = await client.post("/api/nodes/archive/pulls", json={"study_uids": ["1.2.3"]})
    yield asked
    pull = asked.json()["items"][0]["pull"]
    yield await client.get("/api/drops")
    yield await client.get("/api/logs", params={"level": "info"})
    yield await client.get("/api/pulls")
    yield await client.get(f"/api/pulls/{pull}")
    yield await client.post(f"/api/pulls/{pull}/cancel")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    """A PACS that anybody may ask."""
    with an_orthanc(tmp_path / "orthanc", DicomAlwaysAllowFind=True) as server:
        yield server


async def test_good_requests_reach_every_operation(tmp_path: Path, archive: Orthanc) -> None:
    """UI-05: every operation but the stream reaches a 2xx, counted at the server."""
    async with a_world(tmp_path) as world, httpx.AsyncClient(base_url=world.url, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {await world.bearer('admin')}"
        failed = []
        for state, method, path, body in [*(("", *one) for one in _uses(world)), *_moves(world)]:
            if state:
                await world.house.records.run("UPDATE orders SET state = {} WHERE id = {}", state, world.order)
            version = (await client.get("/api/settings")).json()["version"]
            headers = {"If-Match": f'"{version}"'} if "/settings" in path else {}
            answer = await client.request(method, path, json=body, headers=headers)
            if answer.status_code >= 300:
                failed.append((method, path, answer.status_code, answer.text[:200]))
        for acts in (
            _people,
            _machines,
            _findings,
            _grouped,
            partial(_uploaded, folder=tmp_path),
            _single_sign_on,
            partial(_retrieval, archive=archive),
        ):
            async for answer in acts(world, client):
                if answer.status_code >= 300:
                    failed.append((answer.request.method, answer.request.url.path, answer.status_code, answer.text[:200]))
        assert not failed
        reached = {operation for operation, seen in world.answered.items() if any(200 <= status < 300 for status in seen)}
        assert set(_operations(world.document).values()) - reached == STREAMS
