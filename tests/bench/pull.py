"""Pulls of 3,900 instances of 43 KB from Orthanc and from dcmqrscp, by C-MOVE and C-GET, beside DCMTK's movescu and getscu.

Both sides of a pair begin with an empty folder and take from the same archive; DCMTK's programs do not sync what they write,
ours syncs each instance before it is acknowledged. Ours is timed from the request at the API until the pull has ended, so
that taking it up (at most a second) is in the figure, and until the last instance is filed. RANVIER_BENCH_PULL makes it
smaller.
"""

import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figures import Figure, figure
from tests.bench.loads import SMALL_BYTES, padded, part10
from tests.journeys.archives import filled, node, set_nodes
from tests.journeys.world import Visitor, World, a_world, ready
from tests.phantoms import a_small_diffusion_study
from tests.senders import Sent
from tests.servers import HOST, program, two_free_ports, until

COUNT = int(os.environ.get("RANVIER_BENCH_PULL", "3900"))
RUNS = int(os.environ.get("RANVIER_BENCH_RUNS", "1"))
AT_ONCE = 1_000
PATIENCE_S = 1_800.0
_PROGRAMS = {"move": "movescu", "get": "getscu"}
Times = defaultdict[tuple[str, str, str], list[float]]


def measure() -> list[Figure]:
    """Each archive, each way, in turn."""
    found: Times = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ranvier-bench-") as name:
        folder = Path(name)
        phantom = a_small_diffusion_study(folder / "study")
        files = _copies(padded(Sent.of(phantom.files[0]), SMALL_BYTES), folder / "copies")
        place = World(folder / "nowhere", *two_free_ports())
        for archive in ("Orthanc", "dcmqrscp"):
            with filled(archive, folder / archive, place, files, at_once=AT_ONCE) as (port, called):
                for run in range(RUNS):
                    for way in ("move", "get"):
                        key = (archive, way)
                        home = folder / f"{archive}-{way}-{run}"
                        peer = _by_dcmtk(way, home / "dcmtk", place, port, called, phantom.study_uid)
                        ended, filed = _by_us(way, home / "ours", place, port, called, phantom.study_uid)
                        for what, value in (("dcmtk", peer), ("ended", ended), ("filed", filed)):
                            found[(*key, what)].append(value)
                        print(run, archive, way, f"{peer:.1f} s, ours {ended:.1f} s, filed {filed:.1f} s", flush=True)
    return [one for archive in ("Orthanc", "dcmqrscp") for way in _PROGRAMS for one in _figures(found, archive, way)]


def _figures(found: Times, archive: str, way: str) -> Iterator[Figure]:
    peer = [COUNT / one for one in found[archive, way, "dcmtk"]]
    for what, words in (("ended", "acknowledged"), ("filed", "filed")):
        name = f"pull of {COUNT:,} from {archive} by C-{way.upper()}, {words}"
        ours = [COUNT / one for one in found[archive, way, what]]
        yield figure(name, ours, _PROGRAMS[way], peer, "instances/s", "higher")


def _copies(template: Sent, folder: Path) -> list[Path]:
    """Part 10 files that differ in their SOP Instance UID."""
    folder.mkdir()
    whole, uid = part10(template), template.sop_instance.encode()
    files = []
    for number in range(COUNT):
        file = folder / f"{number:05}.dcm"
        file.write_bytes(whole.replace(uid, uid[:-7] + f"{10**6 + number:07d}".encode()))
        files.append(file)
    return files


def _by_dcmtk(way: str, folder: Path, place: World, port: int, called: str, study_uid: str) -> float:
    folder.mkdir(parents=True)
    argv = [program(_PROGRAMS[way], "dcmtk"), "-S", "-aet", "RANVIER_SCP", "-aec", called, "-od", str(folder)]
    argv += ["-aem", "RANVIER_SCP", "+P", str(place.dicom_port)] if way == "move" else []
    argv += ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}", HOST, str(port)]
    begun = time.perf_counter()
    done = subprocess.run(argv, env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True, timeout=PATIENCE_S, check=False)
    seconds = time.perf_counter() - begun
    came = sum(1 for _ in folder.iterdir())
    assert came == COUNT, f"{came} came: {done.stderr.decode(errors='replace')[-2000:]}"
    return seconds


def _by_us(way: str, folder: Path, place: World, port: int, called: str, study_uid: str) -> tuple[float, float]:
    """Seconds until the pull has ended, and until everything is filed."""
    change = {"receive": {"port": place.dicom_port, "open_orders": False, "quiet_seconds": 3_600}}
    with a_world(folder, change) as world:
        for word in ("receive", "api", "work"):
            world.start(word)
        ready(world)
        visitor = Visitor(world)
        set_nodes(world, node("archive", port, called, retrieve=way))
        begun = time.perf_counter()
        (pull,) = visitor.post("/api/nodes/archive/pulls", {"study_uids": [study_uid]})["items"]

        def ended() -> bool:
            state = visitor.get(f"/api/pulls/{pull['pull']}")
            assert state["state"] not in ("FAILED", "CANCELLED"), state
            return bool(state["state"] == "DONE")

        until(ended, "the pull", PATIENCE_S)
        acknowledged = time.perf_counter() - begun
        until(lambda: world.rows("SELECT COUNT(*) AS n FROM instances")[0]["n"] == COUNT, "the filing", PATIENCE_S)
        return acknowledged, time.perf_counter() - begun
