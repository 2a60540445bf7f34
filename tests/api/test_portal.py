"""The upload portal as a client of tus meets it, from a code to a study (UPL-06, UPL-07, PU-01 to PU-54 with face A)."""

import asyncio
import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pydicom
import pytest
from tusclient.client import TusClient

from api.app import create_app
from appliance import pipeline, submissions
from appliance.house import House
from appliance.moments import now_ms
from appliance.portal.section import PortalSection
from appliance.receive.stable import force_stable
from appliance.records import events, identities
from appliance.scan import stream
from appliance.scan.clamd import TEST_VIRUS
from appliance.scan.section import ScanSection
from appliance.validation import Validator
from tests.api.conftest import a_bearer, file_phantom, served
from tests.phantoms import PhantomStudy, a_small_diffusion_study
from tests.servers import Clamd, a_clamd

HEAD = {"Tus-Resumable": "1.0.0"}


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    with a_clamd(tmp_path_factory.mktemp("clamd")) as found:
        yield found


async def settle(house: House, clamd: Clamd, **portal: Any) -> None:
    """Switches portal and scanner on."""
    loaded = await house.settings()
    section = PortalSection(enabled=True, source="Sankt Example", phone="+49 30 1234", **portal)
    scan = ScanSection(enabled=True, port=clamd.port, timeout_s=20)
    new = msgspec.structs.replace(loaded.settings, portal=section, scan=scan)
    await house.save(new, based_on=loaded.version, actor="test", now=now_ms(), changed=["portal.enabled"])


async def a_code(house: House, **more: Any) -> str:
    given: dict[str, Any] = {"source": "Sankt Example", "phone": "", "email": "", "products": "", "most": 1} | more
    _, text = await submissions.make_code(house, **given, expires_at=now_ms() + 3_600_000, actor="meyer", now=now_ms())
    return text


@dataclass
class Uploader:
    """A browser without a browser."""

    url: str
    client: httpx.AsyncClient
    submission: str = ""
    sent: dict[str, Any] = field(default_factory=dict)

    async def enter(self, code: str) -> httpx.Response:
        return await self.client.post("/portal/api/open", json={"code": code})

    async def begin(self) -> str:
        answer = await self.client.post("/portal/api/submissions")
        assert answer.status_code == 201, answer.text
        self.submission = answer.json()["submission"]
        return self.submission

    async def upload(self, content: bytes) -> str:
        """One file by tuspy, with the cookie of the page."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        client = TusClient(f"{self.url}/portal/tus", headers={"Cookie": cookie, "X-Ranvier": "test"})

        def send() -> str:
            uploader = client.uploader(
                file_stream=io.BytesIO(content), chunk_size=1 << 18, metadata={"submission": self.submission}
            )
            uploader.upload()
            return str(uploader.url)

        return await asyncio.to_thread(send)

    async def send(self, **more: Any) -> httpx.Response:
        given = {"privacy": True, "sharing": True, "language": "de", **more}
        return await self.client.post(f"/portal/api/submissions/{self.submission}/send", json=given)

    async def state(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"/portal/api/submissions/{self.submission}/state")).json()
        return found


@asynccontextmanager
async def an_uploader(house: House) -> AsyncIterator[Uploader]:
    async with served(create_app(house)) as url, httpx.AsyncClient(base_url=url, headers={"X-Ranvier": "test"}) as client:
        yield Uploader(url, client)


def as_tar(phantom: PhantomStudy, **more: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in phantom.files:
            archive.add(file, f"CD/{file.name}")
        for name, content in more.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


async def looked_through(house: House, uploader: Uploader) -> dict[str, Any]:
    """Lets a validator look until the submission has an end."""
    validator = Validator(house)
    try:
        async with asyncio.timeout(60):
            while True:
                await validator.look()
                state = await uploader.state()
                if state["state"] not in ("VALIDATING",):
                    return state
                await asyncio.sleep(0.05)
    finally:
        await validator.close()


async def test_a_patient_with_a_code_hands_in_a_study(house: House, clamd: Clamd, tmp_path: Path) -> None:
    """PU-01, PU-02, PU-20, PU-35 to PU-42, UPL-06: from a code to a labelled study with numbers of our own."""
    phantom = a_small_diffusion_study(tmp_path / "phantom")
    first = pydicom.dcmread(phantom.files[0], stop_before_pixels=True)
    await settle(house, clamd)
    code = await a_code(house)
    async with an_uploader(house) as uploader:
        assert (await uploader.client.post("/portal/api/submissions")).status_code == 401
        assert (await uploader.enter("ABCDE-ABCDE-ABCDE-ABCDE")).json()["code"] == "upload-code-refused"
        assert (await uploader.enter(code.lower())).status_code == 200
        assert (await uploader.client.get("/portal/api/info")).json()["source"] == "Sankt Example"
        await uploader.begin()
        await uploader.upload(as_tar(phantom, **{"CD/letter.pdf": b"%PDF-1.4 letter", "CD/viewer.exe": b"MZ" * 40}))
        refused = await uploader.send(sharing=False)
        assert (refused.status_code, refused.json()["code"]) == (422, "consent-missing")
        uid = str(first.StudyInstanceUID)
        sent = await uploader.send(comments={uid: "For the second opinion."}, email="who@example.org")
        assert (sent.status_code, sent.json()["state"]) == (202, "VALIDATING"), sent.text
        assert await house.records.run("SELECT id FROM studies") == []
        done = await looked_through(house, uploader)
        assert done["state"] == "DONE", done
        assert (done["images"], done["documents"], done["left_out"]) == (len(phantom.files), 1, 1)
        assert (await uploader.enter(code)).status_code == 403
    rows = await house.records.run("SELECT id, labels, workflow_status, origin, uid_key FROM studies")
    assert [(one["labels"], one["workflow_status"], one["origin"]) for one in rows] == [('["Uploaded"]', "Finalized", "upload")]
    identity = await identities.get(house.keys, str(rows[0]["id"]))
    assert identity is not None
    assert identity.patient_name == str(first.PatientName)
    assert identity.patient_id.startswith("UPL-")
    assert identity.study_instance_uid != uid
    assert str(first.PatientID) not in identity.patient_id
    for kind, value in (("patient", first.PatientID), ("accession", first.AccessionNumber)):
        key = identities.lookup_key(house.keys, kind, str(value))
        assert await identities.find(kind, key, 10) == []  # type: ignore[arg-type]
    assert list((house.storage.root / "uploads").iterdir()) == []


async def test_malware_inside_a_zip_ends_the_submission_and_tells_staff(house: House, clamd: Clamd, tmp_path: Path) -> None:
    """PU-34, UPL-07: EICAR inside a ZIP with images, a real clamd; nothing reaches a study, and every byte goes."""
    phantom = a_small_diffusion_study(tmp_path / "phantom")
    await settle(house, clamd)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(phantom.files[0], "1.dcm")
        archive.writestr("notes.txt", TEST_VIRUS)
    async with an_uploader(house) as uploader:
        await uploader.enter(await a_code(house))
        await uploader.begin()
        await uploader.upload(content.getvalue())
        await uploader.send()
        ended = await looked_through(house, uploader)
    assert (ended["state"], ended["code"]) == ("REJECTED", "malware")
    assert "malware scan" in ended["what"]
    assert await house.records.run("SELECT id FROM studies") == []
    assert not list((house.storage.root / "uploads").rglob("*.*"))
    told = [one.name for one in await events.after(0)]
    assert "submission-rejected" in told
    rows = await house.records.run("SELECT result FROM audit WHERE action = 'upload.rejected'")
    assert [one["result"] for one in rows] == ["malware"]


@pytest.mark.long
async def test_an_archive_that_is_no_good_says_why(house: House, clamd: Clamd, tmp_path: Path) -> None:
    """PU-21, PU-53: a broken ZIP, one with a password, a bomb, and one without images each have their own message."""
    await settle(house, clamd)
    bomb, locked, empty = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("1.dcm", "w") as member:
        member.write(bytes(128) + b"DICM")
        for _ in range(300):
            member.write(bytes(1 << 20))
    with zipfile.ZipFile(locked, "w") as archive:
        archive.writestr("1.dcm", b"x")
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("letter.pdf", b"%PDF-1.4")
    secret = bytearray(locked.getvalue())
    secret[6] |= 1
    secret[secret.index(b"PK\x01\x02") + 8] |= 1
    wanted = {
        "archive-broken": b"PK\x03\x04 and nothing else",
        "archive-locked": bytes(secret),
        "archive-too-large": bomb.getvalue(),
        "no-images": empty.getvalue(),
    }
    async with an_uploader(house) as uploader:
        await uploader.enter(await a_code(house, most=9))
        for code, content in wanted.items():
            await uploader.begin()
            await uploader.upload(content)
            assert (await uploader.send()).status_code == 202
            assert (await looked_through(house, uploader))["code"] == code
    assert await house.records.run("SELECT id FROM studies") == []


async def test_tus_keeps_to_its_word(house: House, clamd: Clamd) -> None:
    """UPL-04, PU-30, PU-31: offsets, checksums, limits, resumption, and nobody else's uploads."""
    await settle(house, clamd)
    async with an_uploader(house) as uploader, an_uploader(house) as other:
        client = uploader.client
        await uploader.enter(await a_code(house))
        await other.enter(await a_code(house))
        offered = await client.options("/portal/tus")
        assert offered.headers["tus-extension"] == "creation,expiration,termination,checksum"
        await uploader.begin()
        named = {"Upload-Metadata": "submission " + base64.b64encode(uploader.submission.encode()).decode()}
        too_large = await client.post("/portal/tus", headers={**HEAD, **named, "Upload-Length": str(6 << 30)})
        assert too_large.status_code == 413
        made = await client.post("/portal/tus", headers={**HEAD, **named, "Upload-Length": "10"})
        assert made.status_code == 201
        assert made.headers["upload-expires"].endswith("GMT")
        place = made.headers["location"]
        assert place.startswith("/portal/tus/")

        async def patch(at: int, body: bytes, **more: str) -> int:
            headers = {**HEAD, "Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream", **more}
            return (await client.patch(place, content=body, headers=headers)).status_code

        assert await patch(0, b"01234") == 204
        assert await patch(3, b"34") == 409
        wrong = {"Upload-Checksum": "sha256 " + base64.b64encode(hashlib.sha256(b"other").digest()).decode()}
        assert await patch(5, b"56789", **wrong) == 460
        assert (await client.head(place, headers=HEAD)).headers["upload-offset"] == "5"
        assert (await uploader.send()).json()["code"] == "not-all-here"
        right = {"Upload-Checksum": "sha256 " + base64.b64encode(hashlib.sha256(b"56789").digest()).decode()}
        assert await patch(5, b"56789", **right) == 204
        assert await patch(10, b"more") == 400
        assert (await other.client.head(place, headers=HEAD)).status_code == 403
        assert (await client.head(place)).status_code == 412
        assert (await client.delete(f"/portal/api/submissions/{uploader.submission}")).status_code == 204
        assert (await client.head(place, headers=HEAD)).status_code == 404
        assert (await uploader.state())["state"] == "CANCELLED"
    assert list((house.storage.root / "uploads").iterdir()) == []


async def test_what_was_left_is_forgotten_after_a_day(house: House, clamd: Clamd) -> None:
    """UPL-04: an abandoned upload leaves no half order and no stray files."""
    await settle(house, clamd)
    async with an_uploader(house) as uploader:
        await uploader.enter(await a_code(house))
        await uploader.begin()
        await uploader.upload(b"some bytes")
        await submissions.forget_idle(house, now_ms())
        assert (await uploader.state())["state"] == "OPEN"
        await submissions.forget_idle(house, now_ms() + submissions.KEPT_MS + 60_000)
        assert (await uploader.state())["state"] == "EXPIRED"
    assert list((house.storage.root / "uploads").iterdir()) == []


@pytest.mark.long
async def test_a_file_that_the_scanner_cannot_look_at_waits_for_an_administrator(
    house: House, clamd: Clamd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UPL-07: what is over the scanner's limit is not scanned, never clean; an administrator decides, and that is audited."""
    monkeypatch.setattr(stream, "_prove", lambda _section, _largest: 16)
    await settle(house, clamd)
    phantom = a_small_diffusion_study(tmp_path / "phantom")
    async with an_uploader(house) as uploader:
        await uploader.enter(await a_code(house))
        await uploader.begin()
        await uploader.upload(as_tar(phantom))
        await uploader.send()
        held = await looked_through(house, uploader)
        assert held["state"] == "HELD"
        admin = await a_bearer(house, "admin")
        listed = (await uploader.client.get("/api/submissions", headers=admin)).json()["items"]
        assert [(one["state"], one["scanned"]) for one in listed] == [("HELD", "not-scanned")]
        path = f"/api/submissions/{uploader.submission}/accept"
        user = await a_bearer(house, "user")
        assert (await uploader.client.post(path, headers=user)).status_code == 403
        assert (await uploader.client.post(path, headers=admin)).status_code == 200
        assert (await looked_through(house, uploader))["state"] == "DONE"


async def test_an_upload_is_reviewed_linked_and_unlinked(house: House, clamd: Clamd, tmp_path: Path) -> None:
    """PU-39, PU-41 to PU-48, UPL-06: no order before staff looked; both sides before a link; the undo."""
    await settle(house, clamd)
    own = a_small_diffusion_study(tmp_path / "own")
    known = await file_phantom(house, own)
    patient_id = str(pydicom.dcmread(own.files[0], stop_before_pixels=True).PatientID)
    key = identities.lookup_key(house.keys, "patient", patient_id)
    async with an_uploader(house) as uploader:
        client = uploader.client
        await uploader.enter(await a_code(house, products="dti"))
        await uploader.begin()
        await uploader.upload(as_tar(own))
        await uploader.send(comments={own.study_uid: "Second opinion"}, phone="+49 30 99")
        assert (await looked_through(house, uploader))["state"] == "DONE"
        client.cookies.clear()
        admin, user = await a_bearer(house, "admin"), await a_bearer(house, "user")
        listed = (await client.get("/api/studies", params={"q": "label:Uploaded"}, headers=user)).json()["items"]
        study = listed[0]["study"]
        assert len(listed) == 1
        assert study != known
        await force_stable(house.records, study, now=now_ms())
        assert await pipeline.open_due_orders(house, now=now_ms()) == []
        shown = (await client.get(f"/api/studies/{study}/upload", headers=user)).json()
        assert (shown["by"], shown["reviewed"], shown["linked"]) == ("code", False, False)
        box = (await client.post(f"/api/studies/{study}/upload/reveal", headers=user)).json()
        assert (box["comment"], box["phone"], box["patient_id"]) == ("Second opinion", "+49 30 99", patient_id)
        before = await identities.get(house.keys, study)
        path = f"/api/studies/{study}/link"
        assert (await client.post(path, json={"to": known}, headers=user)).status_code == 403
        sides = (await client.post(path, json={"to": known}, headers=admin)).json()
        assert (sides["linked"], sides["known"]["patient_id"]) == (False, patient_id)
        assert (await client.post(path, json={"to": known, "confirm": True}, headers=admin)).json()["linked"]
        linked = await identities.get(house.keys, study)
        assert linked is not None
        assert linked.patient_id == patient_id
        assert await identities.find("patient", key, 9) == [
            study,
            known,
        ]
        assert (await client.delete(path, headers=admin)).status_code == 204
        assert await identities.get(house.keys, study) == before
        assert (await client.post(f"/api/studies/{study}/review", headers=user)).status_code == 403
        assert (await client.post(f"/api/studies/{study}/review", headers=admin)).status_code == 200
        assert len(await pipeline.open_due_orders(house, now=now_ms())) == 1
        listed = (await client.get("/api/studies", params={"q": "label:Uploaded-Reviewed"}, headers=user)).json()["items"]
        assert [one["study"] for one in listed] == [study]
        await house.records.run("UPDATE orders SET state = 'CANCELLED', worker = '', lease_until = 0")
        assert (await client.delete(f"/api/studies/{study}", headers=admin)).status_code < 300
        assert await house.records.run("SELECT id FROM submission_studies") == []
        assert [bytes(one["sealed"]) for one in await house.records.run("SELECT sealed FROM submissions")] == [b""]
