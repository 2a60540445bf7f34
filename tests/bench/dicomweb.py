"""STOW-RS of 800 instances beside C-STORE of the same on our own port and beside Orthanc's STOW-RS; QIDO-RS at 1,000,000
instances beside Orthanc at 100,000.

Each receiver begins empty; the bodies are made before the clock starts. RANVIER_BENCH_STOW makes the first part smaller,
RANVIER_BENCH_INSTANCES and RANVIER_BENCH_PEER_INSTANCES the second.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from tests.api.front import serving
from tests.bench.figures import Figure, figure
from tests.bench.loads import load, padded, part10
from tests.bench.receive import a_full_home
from tests.bench.receivers import How, ours
from tests.phantoms import a_small_diffusion_study
from tests.senders import Sent
from tests.servers import a_free_port, an_orthanc

STOW = int(os.environ.get("RANVIER_BENCH_STOW", "800"))
INSTANCES = int(os.environ.get("RANVIER_BENCH_INSTANCES", "1000000"))
PEER_INSTANCES = int(os.environ.get("RANVIER_BENCH_PEER_INSTANCES", "100000"))
BYTES = 135_000
RUNS = 3
TIMES = 30
AT_ONCE = 500
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
_BOUNDARY = "bench-of-ranvier"
_TYPE = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'}


def measure() -> list[Figure]:
    """Both parts."""
    with tempfile.TemporaryDirectory() as folder:
        phantom = a_small_diffusion_study(Path(folder) / "phantom")
        template = padded(Sent.of(phantom.files[0]), BYTES)
        return [*_stow(Path(folder), template), *_qido(Path(folder), Sent.of(phantom.files[0]), phantom.files[0])]


def _bodies(template: Sent, count: int, begin: int = 0) -> bytes:
    """A multipart body of instances that differ in their UID."""
    file, uid = part10(template), template.sop_instance.encode()
    parts = []
    for number in range(begin, begin + count):
        own = uid[:-7] + f"{10**6 + number:07d}".encode()
        parts += [f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode(), file.replace(uid, own), b"\r\n"]
    return b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])


def _stow(folder: Path, template: Sent) -> list[Figure]:
    body = _bodies(template, STOW)
    web: list[float] = []
    dicom: list[float] = []
    peer: list[float] = []
    web_mb: list[float] = []
    peer_mb: list[float] = []
    for run in range(RUNS):
        rate, memory = asyncio.run(_of_ours(folder / f"web{run}", body))
        web.append(rate)
        web_mb.append(memory)
        with ours(folder / f"dicom{run}", How()) as receiver:
            dicom.append(load(receiver, template, STOW, 1).rate)
        with _orthanc(folder / f"orthanc{run}") as (url, pid):
            peer.append(_timed_stow(httpx.Client(timeout=600), url, body, {}))
            peer_mb.append(psutil.Process(pid).memory_full_info().pss / 1e6)
    name = f"STOW-RS of {STOW} instances of {BYTES // 1000} kB"
    return [
        figure(name, web, "Orthanc's STOW-RS", peer, "instances/s", "higher"),
        figure(name, web, "C-STORE on our own port", dicom, "instances/s", "higher"),
        figure(f"memory after {name}", web_mb, "Orthanc", peer_mb, "MB", "lower"),
    ]


async def _of_ours(home: Path, body: bytes) -> tuple[float, float]:
    async with serving(home, a_free_port()) as served:
        headers = {"Authorization": f"Bearer {served.token}"}

        def work() -> float:
            with httpx.Client(timeout=600) as client:
                return _timed_stow(client, f"http://localhost:{served.port}/dicom-web", body, headers)

        rate = await asyncio.to_thread(work)
        return rate, psutil.Process(served.pid).memory_full_info().pss / 1e6


def _timed_stow(client: httpx.Client, url: str, body: bytes, headers: dict[str, str]) -> float:
    begun = time.perf_counter()
    client.post(f"{url}/studies", content=body, headers={**_TYPE, **headers}).raise_for_status()
    return STOW / (time.perf_counter() - begun)


@contextlib.contextmanager
def _orthanc(folder: Path) -> Iterator[tuple[str, int]]:
    more = {"Plugins": [PLUGIN], "DicomWeb": {"Enable": True}}
    with an_orthanc(folder, **more) as server:
        pids = [one.pid for one in psutil.Process().children(recursive=True) if one.name() == "Orthanc"]
        yield f"http://{server.host}:{server.http_port}/dicom-web", pids[-1]


# --- QIDO-RS ----------------------------------------------------------------------------------------------------------


def _qido(folder: Path, template: Sent, file: Path) -> list[Figure]:
    study = asyncio.run(_filled(folder / "full", file))
    found = asyncio.run(_asked_of_ours(folder / "full", study))
    with _orthanc(folder / "peer") as (url, _), httpx.Client(timeout=600) as client:
        for begin in range(0, PEER_INSTANCES, AT_ONCE):
            body = _bodies(template, min(AT_ONCE, PEER_INSTANCES - begin), begin)
            client.post(f"{url}/studies", content=body, headers=_TYPE).raise_for_status()
        peer = _asked(client, f"{url}/instances?limit=100", {})
    name = f"QIDO-RS of 100 instances among {INSTANCES:,}"
    against = f"Orthanc among {PEER_INSTANCES:,}"
    return [
        figure(f"{name}, of all", found[0], against, peer, "ms", "lower"),
        figure(f"{name}, of one study", found[1], against, peer, "ms", "lower"),
    ]


async def _filled(home: Path, file: Path) -> str:
    """Records of so many instances whose files are one: reading it is as much work as reading any."""
    from appliance.house import open_house

    await asyncio.to_thread(a_full_home, home, INSTANCES)
    async with open_house(home) as house:
        kept = house.storage.root / "studies" / "bench.dcm"
        shutil.copy(file, kept)
        await house.records.run("UPDATE instances SET path = 'studies/bench.dcm'")
        rows = await house.records.run("SELECT id FROM studies ORDER BY id LIMIT 1")
        study = "1.2.3.4"
        key = house.keys.digest("study-uid", study)
        await house.records.run("UPDATE studies SET uid_key = {} WHERE id = {}", key, rows[0]["id"])
    return study


async def _asked_of_ours(home: Path, study: str) -> tuple[list[float], list[float]]:
    async with serving(home, a_free_port()) as served:
        headers = {"Authorization": f"Bearer {served.token}"}
        base = f"http://localhost:{served.port}/dicom-web"

        def work() -> tuple[list[float], list[float]]:
            with httpx.Client(timeout=600) as client:
                everything = _asked(client, f"{base}/instances?limit=100", headers)
                return everything, _asked(client, f"{base}/studies/{study}/instances?limit=100", headers)

        return await asyncio.to_thread(work)


def _asked(client: httpx.Client, url: str, headers: dict[str, str]) -> list[float]:
    found = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        answer = client.get(url, headers={"Accept": "application/dicom+json", **headers})
        found.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200
        assert len(answer.json()) > 0
    return found
