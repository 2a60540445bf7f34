"""Lists of 1,000,000 studies on both engines, beside a bare Litestar route, a search by LIKE, and Orthanc's /tools/find.

The appliance's own API runs as a process of its own, as does the bare route; both are asked over loopback by one client. The
bare route answers with the same rows, typed and encoded anew each time, without database, sign-in or filter.
RANVIER_BENCH_STUDIES makes it smaller.
"""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.bench.figures import Figure, figure
from tests.servers import a_free_port, an_orthanc, answers, postgres, until

STUDIES = int(os.environ.get("RANVIER_BENCH_STUDIES", "1000000"))
FEW = min(10_000, STUDIES // 2)
TIMES = 150
PEER_TIMES = 20
MOST_MS = 50.0
PAGE = {"q": "status:failed,qc_failed", "sort": "-received", "limit": "200"}
SEARCH = {"q": "rare-", "limit": "200"}
LIKE = "%rare-%"
BARE = """
import sys, json, msgspec, uvicorn, uvloop
from litestar import Litestar, get
from api.views import StudyList
page = msgspec.json.decode(open(sys.argv[2], "rb").read(), type=StudyList)

@get("/")
async def bare() -> StudyList:
    return page

app = Litestar([bare], openapi_config=None, logging_config=None)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_config=None, access_log=False)
"""
PACKAGES = ("litestar", "msgspec", "uvicorn")


def measure() -> list[Figure]:
    """Both engines, with few studies and with many; then the peer."""
    found: list[Figure] = []
    page_of_few: list[float] = []
    with tempfile.TemporaryDirectory() as folder, postgres() as databases:
        for engine in ("SQLite", "PostgreSQL"):
            times: dict[int, dict[str, list[float]]] = {}
            for count in (FEW, STUDIES):
                url = databases() if engine == "PostgreSQL" else ""
                times[count] = _one(Path(folder) / f"{engine}-{count}", url, count)
            found += _figures(engine, times)
            page_of_few = page_of_few or times[FEW]["page"]
        name = f"list page with filter and sort, {FEW:,} studies, SQLite"
        peer = _of_orthanc(Path(folder))
        found.append(
            figure(name, page_of_few, "Orthanc's /tools/find, as many studies", peer, "ms", "lower", packages=PACKAGES)
        )
    return found


def _figures(engine: str, times: dict[int, dict[str, list[float]]]) -> list[Figure]:
    many, few = times[STUDIES], times[FEW]
    size = f"{STUDIES:,} studies, {engine}"

    def one(name: str, ours: list[float], peer: str, theirs: list[float], goal: float | None) -> Figure:
        return figure(f"{name}, {size}", ours, peer, theirs, "ms", "lower", goal=goal, packages=PACKAGES)

    median = [statistics.median(many["page"])]
    found = [
        one("list page with filter and sort", median, "a bare Litestar route", [statistics.median(many["bare"])], 1 / 3),
        one("list page with filter and sort", median, f"{FEW:,} studies", [statistics.median(few["page"])], 1 / 1.5),
        one("selective search", [statistics.median(many["search"])], "the same by LIKE", [statistics.median(many["like"])], 20),
        one("study info", [statistics.median(many["info"])], "a bare Litestar route", [statistics.median(many["bare"])], None),
    ]
    titles = {
        "page": "list page with filter and sort",
        "plain": "first page of all studies",
        "orders": "first page of orders",
        "results": "first page of results",
        "search": "selective search",
        "info": "study info",
    }
    return found + [
        one(f"{title}, p95", [_p95(many[name])], "50 ms", [MOST_MS], 1 if name != "info" else None)
        for name, title in titles.items()
    ]


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _one(home: Path, url: str, count: int) -> dict[str, list[float]]:
    """Milliseconds of each question to an appliance of so many studies."""
    home.mkdir(parents=True)
    port, bare_port = a_free_port(), a_free_port()
    secrets, study = asyncio.run(_filled(home, url, count, port))
    base = f"http://127.0.0.1:{port}"
    asked: dict[str, tuple[str, dict[str, str]]] = {
        "page": ("/api/studies", PAGE),
        "plain": ("/api/studies", {}),
        "orders": ("/api/orders", {}),
        "results": ("/api/results", {}),
        "search": ("/api/studies", SEARCH),
        "info": (f"/api/study-info/{study}", {}),
    }
    found: dict[str, list[float]] = {}
    with _process([sys.executable, "-m", "api"], port, home), httpx.Client(timeout=120) as client:
        for (name, (path, query)), secret in zip(asked.items(), secrets, strict=True):
            call = _call(client, base + path, query, secret)
            found[name] = _timed(call, TIMES)
            if name == "page":
                page = home / "page.json"
                page.write_bytes(client.get(base + path, params=query, headers=_bearer(secret)).content)
        with _process([sys.executable, "-c", BARE, str(bare_port), str(home / "page.json")], bare_port, home):
            found["bare"] = _timed(_call(client, f"http://127.0.0.1:{bare_port}/", {}, ""), TIMES)
    found["like"] = asyncio.run(_by_like(home, url))
    return found


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"} if secret else {}


def _call(client: httpx.Client, url: str, query: dict[str, str], secret: str) -> Callable[[], None]:
    def call() -> None:
        client.get(url, params=query, headers=_bearer(secret)).raise_for_status()

    return call


def _timed(call: Callable[[], object], times: int) -> list[float]:
    for _ in range(5):
        call()
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        found.append((time.perf_counter() - begun) * 1000)
    return found


async def _filled(home: Path, url: str, count: int, port: int) -> tuple[list[str], str]:
    """Tokens, one for each question so that none meets its limit, and the identifier of some study."""
    from appliance import settings
    from appliance.access.tokens import create_token
    from appliance.house import open_house
    from appliance.moments import now_ms
    from tests.bulk import many_studies

    settings.save_bootstrap(home, settings.Bootstrap(database=url))
    async with open_house(home, create=True) as house:
        change = {"access": {"host": "127.0.0.1", "port": port}}
        result, changed = settings.patched((await house.settings()).settings, change)
        await house.save(result, based_on=0, actor="bench", now=now_ms(), changed=changed)
        made = [await create_token(house.keys, f"bench-{n}", "admin", created_by="bench", now=now_ms()) for n in range(6)]
        await many_studies(house.records, count)
        rows = await house.records.run("SELECT id FROM studies WHERE sender = 'MR_SCANNER_7' ORDER BY id DESC LIMIT 1")
    return [one.secret for one in made], str(rows[0]["id"])


async def _by_like(home: Path, url: str) -> list[float]:
    """The same search without the index of trigrams: every row's own columns."""
    from appliance.house import open_house

    columns = ("s.sender", "s.group_name", "o.products", "o.code")
    where = " OR ".join(f"LOWER({one}) LIKE {{}}" for one in columns)
    sql = (
        "SELECT s.id FROM studies s JOIN study_list l ON l.study = s.id LEFT JOIN orders o ON o.id = l.order_id "
        f"WHERE {where} ORDER BY s.first_at DESC, s.id DESC LIMIT 201"
    )
    found = []
    async with open_house(home) as house:
        for _ in range(4):
            begun = time.perf_counter()
            await house.records.run(sql, *[LIKE] * len(columns))
            found.append((time.perf_counter() - begun) * 1000)
    return found[1:]


@contextlib.contextmanager
def _process(argv: list[str], port: int, home: Path) -> Iterator[None]:
    environment = {**os.environ, "RANVIER_HOME": str(home)}
    with (home / "said").open("ab") as said:
        child = subprocess.Popen(argv, env=environment, stdout=said, stderr=said)
        try:
            until(lambda: child.poll() is not None or answers(port), argv[-1])
            if child.poll() is not None:
                raise RuntimeError((home / "said").read_text()[-2000:])
            yield
        finally:
            child.terminate()
            child.wait()


def _of_orthanc(folder: Path) -> list[float]:
    """Orthanc with as many small studies, asked for those of one station, 200 at most, with their attributes."""
    with an_orthanc(folder / "orthanc") as peer, httpx.Client(timeout=120) as client:
        base = f"http://{peer.host}:{peer.http_port}"
        for number in range(FEW):
            client.post(f"{base}/instances", content=_small(number)).raise_for_status()
        query: dict[str, Any] = {
            "Level": "Study",
            "Query": {"StudyDescription": "FAILED*"},
            "Expand": True,
            "Limit": 200,
        }
        return _timed(lambda: client.post(f"{base}/tools/find", json=query).raise_for_status(), PEER_TIMES)


def _small(number: int) -> bytes:
    import io

    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RawDataStorage

    made = Dataset()
    made.PatientID, made.PatientName = f"P{number}", f"Bench^{number}"
    made.StudyDescription = "FAILED" if number % 25 == 0 else "DELIVERED"
    made.AccessionNumber, made.StudyDate, made.Modality = f"A{number}", "20260101", "MR"
    root = f"2.25.{10**20 + number}"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = root, f"{root}.1", f"{root}.1.1"
    made.SOPClassUID = RawDataStorage
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
