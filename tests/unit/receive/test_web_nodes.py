"""REC-10: what a DICOMweb node answers wrongly, slowly or in part is told in words, and what came of it is kept."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from appliance.errors import RanvierError
from appliance.receive.multipart import NotMultipart, Parts
from appliance.receive.nodes import web
from appliance.receive.nodes.association import NodeAway, NodeRefuses
from appliance.receive.nodes.find import Query, QueryRefused
from appliance.receive.nodes.retrieve import Outcome, Progress, RetrieveFailed
from appliance.receive.nodes.stop import Stop
from appliance.receive.posted import Outcome as Stored
from appliance.receive.section import WebNode
from appliance.records.pulls import Wanted
from tests.servers import HOST, until

JSON = "application/dicom+json"
MULTIPART = 'multipart/related; type="application/dicom"; boundary=B'
STUDY = b'[{"0020000D": {"vr": "UI", "Value": ["1.2.%d"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}}]'
WANTED = Wanted(study_uid="1.2.3")

Answer = tuple[int, str, bytes]


class Archive:
    """Answers each request as the test says; `silent` holds the answer back until the test is over."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        self.silent, self.over = False, threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                if outer.silent:
                    outer.over.wait(30)
                status, kind, body = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stays silent."""

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.node = WebNode(
            name="web", url=f"http://{HOST}:{self.server.server_address[1]}/dicom-web/", own_machine=True, timeout_s=1
        )


@pytest.fixture
def archive() -> Iterator[Archive]:
    found = Archive()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.over.set()
    found.server.shutdown()
    found.server.server_close()
    thread.join()


class Pile:
    """Counts the instances of a body as they become complete."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.outcomes: list[Stored] = []

    def feed(self, data: bytes) -> None:
        for told in self.parts.feed(data):
            if type(told).__name__ == "End":
                self.outcomes.append(Stored(sop_class="", sop_instance="", study="", series="", status=0))

    def finish(self) -> None:
        if not self.parts.complete:
            raise NotMultipart("the body ends too early")


def pulled(archive: Archive, stop: Stop | None = None) -> Outcome:
    def takes(parts: Parts) -> Any:
        return contextlib.nullcontext(Pile(parts))

    return web.retrieve(archive.node, WANTED, takes=takes, tell=lambda _progress: None, stop=stop or Stop())


def a_body(count: int) -> bytes:
    return b"".join(b"\r\n--B\r\nContent-Type: application/dicom\r\n\r\n" + b"x" * 9 for _ in range(count)) + b"\r\n--B--"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((503, JSON, b""), NodeAway, "HTTP 503 Service Unavailable"),
        ((429, JSON, b""), NodeAway, "HTTP 429"),
        ((401, JSON, b""), NodeRefuses, "does not accept these credentials"),
        ((302, JSON, b""), NodeRefuses, "sends on to another address"),
        ((400, JSON, b""), QueryRefused, "HTTP 400"),
        ((200, JSON, b"<html>sign in</html>"), NodeAway, "no DICOM JSON"),
        ((200, JSON, b'{"not": "a list"}'), NodeAway, "no DICOM JSON"),
    ],
)
def test_a_search_that_is_answered_wrongly_says_how(
    answer: Answer, error: type[RanvierError], words: str, archive: Archive
) -> None:
    archive.answers = [answer]
    with pytest.raises(error) as told:
        web.Session(archive.node).page(Query(), limit=5)
    assert words in told.value.what


def test_a_slow_archive_is_not_waited_for_longer_than_its_time_out(archive: Archive) -> None:
    archive.answers, archive.silent = [(200, JSON, b"[]")], True
    with pytest.raises(NodeAway) as told:
        web.Session(archive.node).page(Query(), limit=5)
    assert "took longer than 1 s" in told.value.what


def test_a_search_that_nobody_waits_for_any_more_is_left_at_once(archive: Archive) -> None:
    """The connection is closed though the archive has not answered; its time-out has not passed."""
    archive.answers, archive.silent = [(200, JSON, b"[]")], True
    node, stop = msgspec.structs.replace(archive.node, timeout_s=600), Stop()
    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(web.Session(node).page, Query(), limit=5, stop=stop)
        until(lambda: bool(archive.asked), "the question")
        stop.ask()
        assert searching.result(60) == ([], False)


def test_nobody_there_is_told_as_such(archive: Archive) -> None:
    node = WebNode(name="web", url="http://127.0.0.1:1/dicom-web", own_machine=True, timeout_s=1)
    with pytest.raises(NodeAway) as told:
        web.Session(node).page(Query(), limit=5)
    assert "refused the connection" in told.value.what


def test_an_archive_that_knows_no_pages_is_asked_until_nothing_new_comes(archive: Archive) -> None:
    archive.answers = [(200, JSON, STUDY % 1)]
    (found,) = web.Session(archive.node).all(Query(patient_id="4711"))
    assert (found.study_uid, found.patient_name) == ("1.2.1", "A^B")
    assert ["offset=0" in one for one in archive.asked] == [True, False]
    assert all("00100020=4711" in one for one in archive.asked)


def test_an_archive_with_a_limit_of_its_own_is_read_to_its_end(archive: Archive) -> None:
    archive.answers = [(200, JSON, STUDY % 1), (200, JSON, STUDY % 2), (204, JSON, b"")]
    assert [one.study_uid for one in web.Session(archive.node).all(Query())] == ["1.2.1", "1.2.2"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((200, MULTIPART, a_body(3)[:-20]), NodeAway, "broke off"),
        ((200, "application/zip", b"PK"), NodeAway, "no multipart body"),
        ((404, JSON, b""), RetrieveFailed, "HTTP 404"),
        ((403, JSON, b""), NodeRefuses, "does not accept these credentials"),
        ((500, JSON, b""), NodeAway, "HTTP 500"),
    ],
)
def test_a_retrieval_that_is_answered_in_part_or_not_says_how(
    answer: Answer, error: type[RanvierError], words: str, archive: Archive
) -> None:
    archive.answers = [answer]
    with pytest.raises(error) as told:
        pulled(archive)
    assert words in told.value.what


def test_a_whole_answer_is_counted_and_one_can_be_stopped(archive: Archive) -> None:
    archive.answers = [(200, MULTIPART, a_body(3))]
    assert pulled(archive) == Outcome(progress=Progress(completed=3))
    stop = Stop()
    stop.ask()
    assert pulled(archive, stop).cancelled
    assert archive.asked[0].startswith("/dicom-web/studies/1.2.3")
