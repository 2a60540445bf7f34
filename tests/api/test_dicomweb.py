"""DICOMweb with other people's clients: dicomweb-client and Orthanc's plugin. REC-09."""

import asyncio
import io
import json
import threading
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image

from appliance.house import House
from appliance.receive.multipart import Begin, End, NotMultipart, Parts, Piece
from appliance.records import audit, studies
from appliance.storage import OutOfSpace
from tests.api.conftest import Door
from tests.api.dicomweb import Web, a_web, multipart
from tests.servers import an_orthanc

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@pytest.fixture
async def web(door: Door, tmp_path: Path) -> AsyncIterator[Web]:
    """Served."""
    async with a_web(door, tmp_path) as found:
        yield found


async def test_another_client_stores_finds_and_fetches_what_it_stored(web: Web) -> None:
    """dicomweb-client: STOW-RS, QIDO-RS on all three levels, WADO-RS instances, metadata, frames, pictures."""
    sent = web.datasets()
    client = web.client()
    answer = await asyncio.to_thread(client.store_instances, sent)
    assert len(answer.ReferencedSOPSequence) == len(sent)
    assert "FailedSOPSequence" not in answer
    study = await web.filed(len(sent))
    row = await studies.get(study)
    assert (row.sender, row.address) == ("token:viewer", "127.0.0.1")
    first = sent[0]

    def look() -> None:
        (found,) = client.search_for_studies(search_filters={"PatientID": first.PatientID})
        assert found["0020000D"]["Value"] == [first.StudyInstanceUID]
        assert found["00100010"]["Value"] == [{"Alphabetic": str(first.PatientName)}]
        assert found["00201208"]["Value"] == [len(sent)]
        for filters in ({"PatientName": "*"}, {"StudyDate": f"{first.StudyDate}-"}, {"ModalitiesInStudy": "MR"}):
            assert len(client.search_for_studies(search_filters=filters)) == 1, filters
        for filters in ({"PatientName": "Nobody*"}, {"StudyDate": "19000101"}, {"PatientID": "x"}, {"ModalitiesInStudy": "CT"}):
            assert client.search_for_studies(search_filters=filters) == [], filters
        uid = first.StudyInstanceUID
        series = client.search_for_series(uid)
        assert {one["0020000E"]["Value"][0] for one in series} == {one.SeriesInstanceUID for one in sent}
        instances = client.search_for_instances(uid)
        assert {one["00080018"]["Value"][0] for one in instances} == {one.SOPInstanceUID for one in sent}
        assert len(client.search_for_instances(uid, limit=2, offset=1)) == 2
        (alone,) = client.search_for_instances(search_filters={"SOPInstanceUID": first.SOPInstanceUID})
        assert alone["00280010"]["Value"] == [first.Rows]
        place = (uid, first.SeriesInstanceUID, first.SOPInstanceUID)
        again = client.retrieve_instance(*place)
        assert again == first
        assert len(client.retrieve_study(uid)) == len(sent)
        assert len(client.retrieve_series(uid, first.SeriesInstanceUID)) > 0
        told = pydicom.Dataset.from_json(client.retrieve_instance_metadata(*place), lambda *_: b"")
        assert told.PatientName == first.PatientName
        assert len(client.retrieve_study_metadata(uid)) == len(sent)
        (frame,) = client.retrieve_instance_frames(*place, [1])
        assert np.array_equal(np.frombuffer(frame, first.pixel_array.dtype).reshape(first.pixel_array.shape), first.pixel_array)
        picture = client.retrieve_instance_rendered(*place, media_types=("image/png",))
        assert Image.open(io.BytesIO(picture)).size == (first.Columns, first.Rows)

    await asyncio.to_thread(look)
    async with httpx.AsyncClient(headers=web.headers) as browser:
        small = await browser.get(f"{web.url}/dicom-web/studies/{first.StudyInstanceUID}/thumbnail")
    assert small.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(small.content)).size) <= 128
    noted = [(row.action, row.target) async for row in audit.in_order() if row.action.startswith("dicomweb")]
    assert ("dicomweb.store", "") in noted
    assert ("dicomweb.search", study) in noted
    assert ("dicomweb.retrieve", study) in noted


async def test_orthanc_sends_finds_and_fetches(web: Web, tmp_path: Path) -> None:
    """Orthanc's DICOMweb plugin as client."""
    servers = {"ranvier": {"Url": f"{web.url}/dicom-web/", "HttpHeaders": web.headers}}
    more = {"Plugins": [PLUGIN], "DicomWeb": {"Enable": True, "Servers": servers}, "OverwriteInstances": True}

    def work() -> None:
        with an_orthanc(tmp_path / "orthanc", **more) as orthanc:

            def ask(method: str, path: str, body: bytes) -> Any:
                address = f"http://{orthanc.host}:{orthanc.http_port}{path}"
                with urllib.request.urlopen(urllib.request.Request(address, data=body, method=method), timeout=60) as answer:
                    return json.load(answer)

            for path in web.phantom.files:
                ask("POST", "/instances", path.read_bytes())
            (study,) = orthanc.get("/studies")
            ask("POST", "/dicom-web/servers/ranvier/stow", json.dumps({"Resources": [study], "Synchronous": True}).encode())
            uid = orthanc.get(f"/studies/{study}")["MainDicomTags"]["StudyInstanceUID"]
            arrived.set()
            assert filed.wait(60)
            found = ask("POST", "/dicom-web/servers/ranvier/qido", json.dumps({"Uri": "/studies"}).encode())
            assert len(found) == 1
            urllib.request.urlopen(
                urllib.request.Request(f"http://{orthanc.host}:{orthanc.http_port}/studies/{study}", method="DELETE")
            ).close()
            assert orthanc.get("/instances") == []
            wanted = {"Resources": [{"Study": uid}], "Synchronous": True}
            ask("POST", "/dicom-web/servers/ranvier/retrieve", json.dumps(wanted).encode())
            assert len(orthanc.get("/instances")) == len(web.phantom.files)

    arrived, filed = threading.Event(), threading.Event()
    task = asyncio.create_task(asyncio.to_thread(work))
    while not arrived.is_set() and not task.done():
        await asyncio.sleep(0.05)
    if not task.done():
        await web.filed(len(web.phantom.files))
        filed.set()
    await task


async def test_the_same_rules_hold_as_for_dicom(web: Web) -> None:
    """Resent once, conflicting kept apart, unreadable refused, of another study refused; failures do not stop the others."""
    files = [path.read_bytes() for path in web.phantom.files[:3]]
    body, kind = multipart(files)
    assert (await web.send(body, kind)).status_code == 200
    study = await web.filed(3)
    assert (await web.send(body, kind)).status_code == 200
    changed = pydicom.dcmread(web.phantom.files[0])
    changed.ImageComments = "other bytes under the same UID"
    written = io.BytesIO()
    changed.save_as(written)
    mixed, kind = multipart([written.getvalue(), b"no DICOM at all" * 20, web.phantom.files[3].read_bytes()])
    answer = await web.send(mixed, kind)
    assert answer.status_code == 202
    assert [one["00081197"]["Value"] for one in answer.json()["00081198"]["Value"]] == [[0xC000]]
    assert len(answer.json()["00081199"]["Value"]) == 2
    await web.filed(4)
    async with asyncio.timeout(60):
        while (await studies.get(study)).conflicts != 1:
            await asyncio.sleep(0.05)
    other = await web.send(*multipart(files), path="studies/1.2.3")
    assert other.status_code == 409
    assert {one["00081197"]["Value"][0] for one in other.json()["00081198"]["Value"]} == {0xC409}
    assert (await web.send(files[0], "application/dicom")).status_code == 200
    assert (await web.send(files[0], "application/json")).status_code == 415
    assert (await web.send(files[0], "multipart/related; type=application/dicom")).status_code == 415


async def test_a_body_that_breaks_off_keeps_what_was_whole(web: Web) -> None:
    body, kind = multipart([path.read_bytes() for path in web.phantom.files[:3]])
    answer = await web.send(body[: -web.phantom.files[2].stat().st_size // 2], kind)
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable-body")
    await web.filed(2)


async def test_a_full_disk_refuses_and_says_so(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutOfSpace

    monkeypatch.setattr("appliance.receive.inbox.Inbox.require_space", full)
    answer = await web.send(*multipart([web.phantom.files[0].read_bytes()]))
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]


async def test_roles_decide_who_stores_and_who_reads(web: Web) -> None:
    """A machine of role service stores and sees no identity; an uploader does neither."""
    body, kind = multipart([web.phantom.files[0].read_bytes()])
    expected = {"admin": (200, 200), "user": (200, 200), "service": (200, 403), "uploader": (403, 403), "": (401, 401)}
    for role, wanted in expected.items():
        cookie = f"ranvier_session={(await web.door.cookie(role))[1]}" if role else ""
        headers = {"X-Ranvier": "test", "Content-Type": kind, **({"Cookie": cookie} if role else {})}
        async with httpx.AsyncClient(base_url=web.url, headers=headers) as client:
            stored = await client.post("/dicom-web/studies", content=body)
            await web.filed(1)
            found = await client.get("/dicom-web/studies")
        assert (stored.status_code, found.status_code) == wanted, role


async def test_what_is_not_there_or_cannot_be_asked_is_said(web: Web) -> None:
    assert (await web.send(*multipart([web.phantom.files[0].read_bytes()]))).status_code == 200
    await web.filed(1)
    first = pydicom.dcmread(web.phantom.files[0], stop_before_pixels=True)
    here = f"/dicom-web/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}/instances/{first.SOPInstanceUID}"
    get = web.door.call
    assert (await get("user", "GET", "/dicom-web/studies/1.2.3")).status_code == 404
    assert (await get("user", "GET", f"{here}/frames/9")).status_code == 400
    assert (await get("user", "GET", f"{here}/frames/x")).status_code == 400
    assert (await get("user", "GET", f"{here}/frames/0/rendered")).status_code == 400
    assert (await get("user", "GET", f"{here}/frames/1/rendered")).status_code == 200
    assert (await get("user", "GET", "/dicom-web/studies?Colour=red")).json()["code"] == "bad-search"
    assert (await get("user", "GET", "/dicom-web/studies?limit=-1")).status_code == 400
    assert (await get("user", "GET", f"{here}/rendered", headers={"Accept": "image/gif"})).status_code == 406
    wrong = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50'}
    assert (await get("user", "GET", here, headers=wrong)).status_code == 400
    alone = await get("user", "GET", here, headers={"Accept": "application/dicom"})
    assert pydicom.dcmread(io.BytesIO(alone.content)).SOPInstanceUID == first.SOPInstanceUID
    assert (await get("user", "GET", "/dicom-web/studies/1.2.3/series")).status_code == 204


async def test_an_instance_that_was_answered_outlives_the_process(web: Web, house: House) -> None:
    """Same durability: what is synced and not filed is adopted by the next receiver."""
    from appliance.receive.journal import read_segment
    from appliance.receive.unfiled import Unfiled

    monkey = pytest.MonkeyPatch()
    monkey.setattr("appliance.receive.intake.Intake.journalled", lambda *_: None)
    try:
        answer = await web.send(*multipart([path.read_bytes() for path in web.phantom.files[:2]]))
    finally:
        monkey.undo()
    assert answer.status_code == 200
    (segment,) = (house.storage.root / "journals").rglob("*.journal")
    assert len(read_segment(segment, Unfiled()).entries) == 2


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_parts_are_the_same_however_the_body_is_cut(size: int) -> None:
    """A boundary may lie across any two pieces."""
    files = [b"one", b"", b"\r\n--almost\r\n" * 5, b"--b0undary", bytes(range(256)) * 3]
    body, _ = multipart(files)
    parts, found, current = Parts("b0undary"), [], b""
    for start in range(0, len(body), size):
        for told in parts.feed(body[start : start + size]):
            if isinstance(told, Begin):
                assert told.fields == {"content-type": "application/dicom"}
                current = b""
            elif isinstance(told, Piece):
                current += told.data
            elif isinstance(told, End):
                found.append(current)
    assert (found, parts.complete) == (files, True)


@pytest.mark.parametrize("body", [b"--b0undary" + b"x" * 300, b"--b0undary\r\n" + b"A: b\r\n" * 5000])
def test_what_is_no_multipart_is_refused(body: bytes) -> None:
    with pytest.raises(NotMultipart):
        list(Parts("b0undary").feed(body))
