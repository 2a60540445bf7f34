"""The client of the SDK protocol: what every way of failing means, ZIPs that come out the same, numbers in every shape."""

import base64
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from appliance.cloud import results, zips
from appliance.cloud.errors import (
    CloudAway,
    CloudBusy,
    CloudRefuses,
    CloudRefusesKey,
    CloudUnreadable,
    PartDamaged,
    QuotaUsed,
)
from appliance.cloud.sdk import SdkClient
from appliance.cloud.section import CloudSection
from appliance.errors import RanvierError
from appliance.fields import Secret
from appliance.keys import KeyPair, counter_mode

PAIR = KeyPair()
IV = bytes(16)
Answer = tuple[int, dict[str, str], bytes]


class Cloud:
    """A cloud that answers as a test says; it knows the sessions that it gave."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: dict[str, list[Answer]] = {}
        self.key = b""
        self.url = ""

    def serve(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        name = path.strip("/").split("/")[-1].partition("?")[0]
        self.calls.append((name, headers, body))
        scripted = self.answers.get(name, [])
        if scripted:
            return scripted.pop(0)
        if name == "getPubKey":
            return 200, {}, json.dumps({"pub_key": PAIR.public_pem}).encode()
        if name == "connect":
            self.key = base64.b64decode(json.loads(PAIR.opened(base64.b64decode(body)))["aes_key"])
            return 200, {}, b'{"connectionId": "c"}'
        return 200, {}, self.sealed({"orderId": "o", "uploadId": "u", "presignedUrl": f"{self.url}/bucket/part?signature=1"})

    def sealed(self, told: Any) -> bytes:
        return base64.b64encode(IV + counter_mode(self.key, IV, json.dumps(told).encode()))

    def count(self, name: str) -> int:
        return [one for one, _, _ in self.calls].count(name)


@contextmanager
def a_cloud(**answers: list[Answer]) -> Iterator[tuple[Cloud, SdkClient]]:
    cloud = Cloud()
    cloud.answers = answers

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = cloud.serve(self.path, {k.lower(): v for k, v in self.headers.items()}, sent)
            if not status:
                self.connection.close()
                return
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = serve

        def log_message(self, *_: object) -> None:
            """Stays silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
    section = CloudSection(protocol="sdk", api_url=cloud.url, api_key=Secret("the key"), own_machine=True)
    try:
        yield cloud, SdkClient(section)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def said(status: int, words: str = "", **headers: str) -> Answer:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps({"error": words}).encode()


async def test_a_session_is_made_once_and_once_more_when_the_cloud_has_forgotten_it() -> None:
    """CLD-01: 401 is answered by one new connection."""
    with a_cloud() as (cloud, client):
        assert await client.new_order() == "o"
        cloud.answers["newJob"] = [said(401)]
        assert await client.new_order() == "o"
        assert cloud.count("connect") == 2
        cloud.answers["newJob"] = [said(401), said(401)]
        with pytest.raises(CloudRefusesKey):
            await client.new_order()
        assert cloud.count("connect") == 3
    names = {one for name, headers, _ in cloud.calls for one in headers if name == "newJob"}
    assert "x-api-key" not in names, "the key is shown when connecting and never again"


@pytest.mark.parametrize(
    ("call", "answers", "error", "after"),
    [
        ("newJob", [said(429, retry_after="7")], CloudBusy, 7.0),
        ("newJob", [said(503, retry_after="99999999")], CloudBusy, 3600.0),
        ("newJob", [said(500)], CloudAway, 15.0),
        ("newJob", [(0, {}, b"")], CloudAway, 15.0),
        ("newJob", [(200, {"Content-Length": "400"}, b"short")], CloudAway, 15.0),
        ("newJob", [said(400, "No connection ID in request header.")], CloudRefuses, None),
        ("newJob", [said(409, "Dataset in use")], CloudRefuses, None),
        ("newJob", [said(413)], CloudRefuses, None),
        ("newJob", [(200, {}, b"no base64!")], CloudUnreadable, 30.0),
        ("connect", [said(401, "API key not found.")], CloudRefusesKey, 300.0),
        ("connect", [said(403)], CloudRefusesKey, 300.0),
        ("getPubKey", [said(404)], CloudRefuses, None),
        ("getPubKey", [(200, {}, b'{"pub_key": "no key"}')], CloudUnreadable, 30.0),
    ],
)
async def test_every_way_of_failing_has_its_class(
    call: str, answers: list[Answer], error: type[RanvierError], after: float | None
) -> None:
    """Faults and threats, row 21: what passes is waited for, what does not ends the order, with the cloud's own words."""
    with a_cloud(**{call: list(answers)}) as (cloud, client):
        with pytest.raises(error) as told:
            await client.new_order()
        assert cloud.count(call) == 1
    assert getattr(told.value, "after", None) == after


async def test_a_cloud_that_is_not_there_is_waited_for() -> None:
    """CLD-01: nothing listens; the name is unknown."""
    with a_cloud() as (_, client):
        gone = client.section
    for url in (gone.api_url, "http://nowhere.invalid"):
        with pytest.raises(CloudAway):
            await SdkClient(CloudSection(protocol="sdk", api_url=url, api_key=Secret("k"), own_machine=True)).new_order()


async def test_a_used_up_key_holds_the_order_for_a_person() -> None:
    with (
        a_cloud(runJob=[said(403, "No API key usages remaining.")]) as (_, client),
        pytest.raises(QuotaUsed, match="No API key usages remaining"),
    ):
        await client.start("o", "p")


async def test_a_part_goes_without_any_credential_and_must_arrive_as_it_left() -> None:
    """CLD-01: a presigned host never sees key or session; the ETag is the MD5 of what came."""
    digest = "900150983cd24fb0d6963f7d28e17f72"
    good, bad = (200, {"ETag": f'"{digest}"'}, b""), (200, {"ETag": f'"{digest[::-1]}"'}, b"")
    with a_cloud(part=[good, bad, said(403), (200, {}, b"")]) as (cloud, client):
        assert await client.put("o", 0, "u", b"abc") == f'"{digest}"'
        for error in (PartDamaged, CloudAway, CloudUnreadable):
            with pytest.raises(error):
                await client.put("o", 0, "u", b"abc")
    for name, headers, body in cloud.calls:
        if name == "part":
            assert not {"x-api-key", "connection-id", "authorization", "cookie"} & set(headers)
            assert (headers["content-length"], body) == ("3", b"abc")


async def test_a_line_is_not_filled_beyond_the_setting() -> None:
    """CLD-01: the same bytes, in pieces."""
    data = bytes(range(256)) * 800
    with a_cloud(part=[(200, {"ETag": "opaque-etag"}, b"")]) as (cloud, client):
        section = CloudSection(
            protocol="sdk", api_url=cloud.url, api_key=Secret("the key"), own_machine=True, upload_kb_s=10_000_000
        )
        assert await SdkClient(section).put("o", 0, "u", data) == "opaque-etag"
        assert next(body for name, _, body in cloud.calls if name == "part") == data
        assert client.section != section


def files_of(folder: Path, sizes: list[int]) -> list[Path]:
    found = []
    for number, size in enumerate(sizes):
        found.append(folder / f"{number}")
        found[-1].write_bytes(bytes([number]) * size)
    return found


def test_zips_hold_every_file_once_under_names_of_their_own_and_are_the_same_again(tmp_path: Path) -> None:
    """CLD-01: a part that is made again after a restart has the same digest."""
    files = files_of(tmp_path, [600, 600, 100, 5000, 10])
    planned = zips.planned(files, 1000)
    assert [[one.name for one in part] for part in planned] == [["0"], ["1", "2"], ["3"], ["4"]]
    names: list[str] = []
    for number, part in enumerate(planned):
        first = sum(map(len, planned[:number]))
        made = zips.made(part, first)
        assert made == zips.made(part, first)
        with zipfile.ZipFile(BytesIO(made)) as archive:
            assert [archive.read(one) for one in archive.namelist()] == [one.read_bytes() for one in part]
            names += archive.namelist()
    assert len(set(names)) == len(files)


@pytest.mark.parametrize(
    ("told", "numbers"),
    [
        ({"results": {"Atypical": {"value": "0.913"}, "FWpSN": {"value": 0.28}}}, {"atypical": 0.913, "fwpsn": 0.28}),
        ({"result": {"Atypical": "0.9", "PSPvsMSAp": 0.4}}, {"atypical": 0.9, "pspvsmsap": 0.4}),
        ({"result": {"Atypical": "n/a", "B": True, "C": None, "D": "inf"}}, dict.fromkeys(("atypical", "b", "c", "d"))),
        ({"sections": [{"rows": [{"name": "fa_mean", "label": "FA", "value": 0.5, "unit": "1"}]}]}, {"fa_mean": 0.5}),
        ({"something": "else"}, {}),
        ([], {}),
    ],
)
def test_numbers_are_read_in_every_shape_and_never_guessed(told: Any, numbers: dict[str, float | None]) -> None:
    """CLD-06: what is of no known shape has no numbers."""
    assert {one.name: one.value for one in results.read(json.dumps(told).encode()).numbers} == numbers


def test_a_result_that_is_no_json_has_no_numbers() -> None:
    assert results.read(b"no json").numbers == []
