"""An app around a real house on a temporary folder, people of every role, and a phantom filed as the receiver files it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
import uvicorn
from litestar import Litestar
from litestar.testing import AsyncTestClient

from api.__main__ import Server
from api.app import create_app
from appliance import pipeline
from appliance.access import cookies
from appliance.access.accounts import create_user
from appliance.access.tokens import create_token
from appliance.house import House, open_house
from appliance.moments import new_id, now_ms
from appliance.receive.filing import Filer
from appliance.receive.header import read_header
from appliance.receive.inbox import Arrival, Inbox, content_hash
from appliance.receive.part10 import Origin
from appliance.receive.stable import force_stable
from appliance.records import reports, users
from appliance.reports.content import file_name
from tests.phantoms import PhantomStudy, a_small_diffusion_study
from tests.unit.receive.test_header import encoded

PASSWORD = "Correct-Horse-Battery-1"
ROLES = ("admin", "user", "service", "uploader")
HOUR_MS = 3_600_000


@pytest.fixture
async def house(new_home: Path) -> AsyncIterator[House]:
    """A new appliance."""
    async with open_house(new_home, create=True) as opened:
        yield opened


@dataclass
class Door:
    """The app as callers of every role meet it."""

    house: House
    app: Litestar
    client: AsyncTestClient[Litestar]
    people: dict[str, str] = field(default_factory=dict)

    async def cookie(self, role: str, *, expires_at: int = 0) -> tuple[str, str]:
        """A new session of somebody of that role: its identifier and cookie."""
        now = now_ms()
        if role not in self.people:
            account = users.Account(id=new_id(now), name=f"the-{role}", role=role, password_hash="-", created_at=now)
            await users.add(account)
            self.people[role] = account.id
        session, ends = new_id(now), expires_at or now + HOUR_MS
        await users.add_session(session, self.people[role], "10.0.0.9", now, ends)
        return session, cookies.issue(self.house.keys, session, max(ends, now + HOUR_MS))

    async def call(self, role: str, method: str, path: str, **sent: Any) -> httpx.Response:
        """One request by somebody of that role; an empty role is nobody."""
        headers = {"X-Ranvier": "console", **sent.pop("headers", {})}
        if role:
            headers["Cookie"] = f"ranvier_session={(await self.cookie(role))[1]}"
        self.client.cookies.clear()
        return await self.client.request(method, path, headers=headers, **sent)

    async def get(self, path: str, role: str = "admin", **sent: Any) -> Any:
        """The JSON of a GET that must work."""
        answer = await self.call(role, "GET", path, **sent)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def door(house: House) -> AsyncIterator[Door]:
    """The app, without a network."""
    app = create_app(house)
    async with AsyncTestClient(app) as client:
        yield Door(house, app, client)


@dataclass(frozen=True)
class Filed:
    """A phantom's study in the house."""

    study: str
    phantom: PhantomStudy


async def file_phantom(house: House, phantom: PhantomStudy) -> str:
    """Files every instance as the receiver does; gives our identifier of the study."""
    inbox, arrivals = Inbox(house.storage), []
    for path in phantom.files:
        dataset = pydicom.dcmread(path)
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        data = encoded(dataset, syntax)
        origin = Origin(
            sop_class=str(dataset.SOPClassUID),
            sop_instance=str(dataset.SOPInstanceUID),
            transfer_syntax=syntax,
            sender="MODALITY",
            address="192.0.2.1",
        )
        instance = new_id()
        arrivals.append(
            Arrival(
                id=instance,
                path=inbox.keep(origin, data, instance),
                origin=origin,
                header=read_header(data, syntax),
                content_hash=content_hash(data),
                bytes=len(data),
                received_at=now_ms(),
                association="",
            )
        )
    await Filer(house.storage, house.keys, house.records).file(arrivals, now_ms())
    rows = await house.records.run("SELECT id FROM studies ORDER BY id DESC LIMIT 1")
    return str(rows[0]["id"])


@pytest.fixture
async def filed(house: House, tmp_path: Path) -> Filed:
    """A phantom that is complete and waits for an order."""
    phantom = a_small_diffusion_study(tmp_path / "phantom")
    study = await file_phantom(house, phantom)
    await force_stable(house.records, study, now=now_ms())
    return Filed(study, phantom)


async def an_order(house: House, study: str, *, owner: str = "the-user", state: str = "QC") -> str:
    """An order, put into a state by hand."""
    order = await pipeline.open_order(house, study, actor=owner, now=now_ms())
    await house.records.run("UPDATE orders SET state = {} WHERE id = {}", state, order)
    return order


async def a_report(house: House, study: str, order: str, kind: reports.Kind = "report") -> str:
    """A report with its files on disk and its row."""
    number = await reports.next_version(order, kind)
    folder = house.storage.reports(study, 1, order) / f"{kind}_v{number.version}"
    folder.mkdir(parents=True)
    for name in ("json", "txt", "png", "pdf"):
        (folder / file_name(order, kind, number.version, name)).write_bytes(f"{name} of {order}".encode())
    report = new_id()
    formats = ["json", "txt", "pdf", "png", "dicom-pdf"]
    where = house.storage.relative(folder)
    await reports.add(report, order, kind, number, content="", formats=formats, folder=where, now=now_ms())
    return report


async def a_bearer(house: House, role: str, scopes: frozenset[str] = frozenset()) -> dict[str, str]:
    """The header of a machine with a token."""
    made = await create_token(house.keys, "machine", role, created_by="test", now=now_ms(), scopes=scopes)
    return {"Authorization": f"Bearer {made.secret}"}


@pytest.fixture
async def meyer(house: House) -> str:
    """An administrator with a password."""
    await create_user("meyer", "admin", PASSWORD, now_ms())
    return "meyer"


@asynccontextmanager
async def served(app: Litestar) -> AsyncIterator[str]:
    """The app on a port of the loopback address: streams need a network."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(30):
            while not server.started:
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        app.state.feed.close()
        server.should_exit = True
        await task
        listener.close()
