"""Receiving: instances a second until acknowledged and until filed, and CPU, beside storescp, Orthanc, pynetdicom and the disk.

All receivers run in turn in one run, each on a fresh folder that is deleted only at the end: deleting files slows down the
making of the next ones. Ours syncs every instance before it answers, and its figures include filing and indexing; Orthanc syncs
as well (its default), storescp +B and pynetdicom's handler do not. The floor appends and syncs the same bytes of loopback.
"""

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.figures import Figure, figure
from tests.phantoms import a_small_diffusion_study
from tests.receiving import Receiver, Section
from tests.senders import Sent
from tests.servers import HOST, a_free_port, an_orthanc, answers, program
from tests.wire import PDU, Caller, message, variants

RUNS = int(os.environ.get("RANVIER_BENCH_RUNS", "5"))
COUNT = int(os.environ.get("RANVIER_BENCH_COUNT", "1000"))
SLOW_COUNT = 200
MR_BYTES = 43_000
STOCK = 49
_PAUSE = threading.Event()
_PYNETDICOM = """
import sys
from pynetdicom import AE, AllStoragePresentationContexts, evt
def store(event):
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    dataset.save_as(f"{sys.argv[2]}/{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
    return 0
ae = AE("ANY"); ae.supported_contexts = AllStoragePresentationContexts
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)])
"""
_FLOOR = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
handle = os.open(sys.argv[2] + "/floor", os.O_WRONLY | os.O_CREAT, 0o600)
buffer = memoryview(bytearray(1 << 20))
while True:
    wire, _ = server.accept()
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = int.from_bytes(wire.recv(8, socket.MSG_WAITALL) or b"", "big")
    while size and wire.recv_into(buffer[:size], size, socket.MSG_WAITALL) == size:
        os.write(handle, buffer[:size]); os.fdatasync(handle); wire.send(b"!")
"""


@dataclass
class Peer:
    """A receiver that is running."""

    name: str
    port: int
    pid: int
    folder: Path
    ours: bool = False

    def cpu(self) -> float:
        """CPU seconds of the process, its threads and its children so far."""
        process = psutil.Process(self.pid)
        found = process.cpu_times()
        total = found.user + found.system + found.children_user + found.children_system
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
        return float(total)


@dataclass
class Run:
    """What one receiver did with one load."""

    rate: float
    through: float
    cpu_ms: float
    memory_mb: float


def measure() -> list[Figure]:
    """All receivers in turn."""
    with tempfile.TemporaryDirectory(prefix="ranvier-bench-") as name:
        folder = Path(name)
        template = padded(Sent.of(a_small_diffusion_study(folder / "study").files[0]))
        found: dict[tuple[str, int], list[Run]] = {}
        stock: dict[str, list[float]] = {}
        loads = {"ours": COUNT, "storescp +B": COUNT, "Orthanc": COUNT // 2, "floor": COUNT, "pynetdicom": SLOW_COUNT}
        starters: dict[str, Callable[[Path], contextlib.AbstractContextManager[Peer]]] = {
            "ours": ours,
            "storescp +B": storescp,
            "Orthanc": orthanc,
            "floor": floor,
            "pynetdicom": pynetdicom,
        }
        for run in range(RUNS):
            for associations in (1, 4):
                names = list(starters)
                for which in names[run % len(names) :] + names[: run % len(names)]:
                    if which in ("floor", "pynetdicom") and associations > 1:
                        continue
                    with starters[which](folder / f"{run}-{associations}-{which.split()[0]}") as peer:
                        one = load(peer, template, loads[which], associations)
                        found.setdefault((which, associations), []).append(one)
                        print(run, associations, which, one, flush=True)
            for which in ("ours", "storescp +B"):
                with starters[which](folder / f"{run}-stock-{which.split()[0]}") as peer:
                    stock.setdefault(which, []).append(stock_sender(peer, folder / f"stock{run}{peer.ours}", template))
        return figures_of(found, stock)


def figures_of(found: dict[tuple[str, int], list[Run]], stock: dict[str, list[float]]) -> list[Figure]:
    """The table."""
    figures = []
    goals = {("Orthanc", 1): 8.0, ("Orthanc", 4): 6.0, ("storescp +B", 1): 1.0, ("floor", 1): 0.5, ("pynetdicom", 1): 16.0}
    for (which, associations), runs in found.items():
        if which == "ours":
            continue
        mine = found["ours", associations]
        name = f"acknowledged, {associations} association{'s' * (associations > 1)}, 43 KB"
        rates = [one.rate for one in mine], [one.rate for one in runs]
        figures.append(figure(name, rates[0], which, rates[1], "/s", "higher", goal=goals.get((which, associations))))
        if which.startswith("storescp"):
            # Its children end with their associations and are not waited for, so that nobody knows what they used.
            continue
        cpu = [one.cpu_ms for one in mine], [one.cpu_ms for one in runs]
        goal = 5.0 if which == "Orthanc" else None
        figures.append(figure(f"CPU, {associations} assoc.", cpu[0], which, cpu[1], "ms/instance", "lower", goal=goal))
    for associations in (1, 4):
        mine = found["ours", associations]
        figures.append(
            figure(
                f"filed and indexed, {associations} assoc.",
                [one.through for one in mine],
                "ours until acknowledged",
                [one.rate for one in mine],
                "/s",
                "higher",
                goal=0.77,
            )
        )
    memory = [one.memory_mb for one in found["ours", 4]]
    figures.append(
        figure("memory (PSS), 4 assoc.", memory, "Orthanc", [r.memory_mb for r in found["Orthanc", 4]], "MB", "lower")
    )
    figures.append(
        figure("stock storescu, 49 instances", stock["ours"], "storescp +B", stock["storescp +B"], "s", "lower", goal=15.0)
    )
    return figures


def padded(sent: Sent) -> Sent:
    """The instance with as many pixels as make a usual MR slice of 256 x 256 (43 KB with its header, compressed or cropped)."""
    missing = MR_BYTES - len(sent.data)
    at = sent.data.rindex(b"\xe0\x7f\x10\x00OW\0\0")
    size = int.from_bytes(sent.data[at + 8 : at + 12], "little") + missing + missing % 2
    data = sent.data[: at + 8] + size.to_bytes(4, "little") + sent.data[at + 12 :] + bytes(missing + missing % 2)
    return Sent(sent.sop_class, sent.sop_instance, sent.transfer_syntax, data)


# --- senders ----------------------------------------------------------------------------------------------------------


def load(peer: Peer, template: Sent, count: int, associations: int) -> Run:
    """Sends `count` instances from a process for each association; all are encoded before the clock starts."""
    context = multiprocessing.get_context("fork")
    ready, go = context.Barrier(associations + 1), context.Event()
    send = _floor_sender if peer.name == "floor" else _sender
    share = count // associations
    senders = [
        context.Process(target=send, args=(peer.port, template, share, number * share, ready, go))
        for number in range(associations)
    ]
    for one in senders:
        one.start()
    ready.wait(120)
    before, begin = peer.cpu(), time.monotonic()
    go.set()
    for one in senders:
        one.join()
    sent = time.monotonic() - begin
    if any(one.exitcode for one in senders):
        raise RuntimeError(f"a sender to {peer.name} failed")
    through = _filed(peer, share * associations, begin) if peer.ours else sent
    memory = psutil.Process(peer.pid).memory_full_info().pss / 1e6
    total = share * associations
    return Run(total / sent, total / through, (peer.cpu() - before) / total * 1000, memory)


def _sender(port: int, template: Sent, count: int, offset: int, ready: object, go: object) -> None:
    with Caller(port, [(template.sop_class, template.transfer_syntax)], called="ANY", patience=120) as caller:
        size = min(PDU, caller.longest)
        bodies = [message(one, 1, number % 60_000 + 1, size) for number, one in enumerate(variants(template, count, offset))]
        ready.wait()  # type: ignore[attr-defined]
        go.wait()  # type: ignore[attr-defined]
        for body in bodies:
            caller.wire.sendall(body)
            if status := caller.status():
                raise RuntimeError(f"an instance was answered 0x{status:04X}")


def _floor_sender(port: int, template: Sent, count: int, _offset: int, ready: object, go: object) -> None:
    body = message(template, size=PDU)
    with socket.create_connection((HOST, port)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(len(body).to_bytes(8, "big"))
        ready.wait()  # type: ignore[attr-defined]
        go.wait()  # type: ignore[attr-defined]
        for _ in range(count):
            wire.sendall(body)
            wire.recv(1)


def _filed(peer: Peer, count: int, begin: float) -> float:
    """Seconds until all are rows and the journal is empty."""
    import sqlite3

    while True:
        with sqlite3.connect(f"file:{peer.folder / 'ranvier.db'}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT COUNT(*) FROM instances").fetchone()[0]
        if rows >= count and not list((peer.folder / "storage" / "journals").rglob("*.journal")):
            return time.monotonic() - begin
        if time.monotonic() - begin > 300:
            raise TimeoutError(f"{rows} of {count} filed")
        _PAUSE.wait(0.02)


def stock_sender(peer: Peer, folder: Path, template: Sent) -> float:
    """Seconds that Debian's storescu needs for a few files with its own defaults (Nagle's algorithm on)."""
    folder.mkdir()
    for number, one in enumerate(variants(template, STOCK)):
        (folder / f"{number}.dcm").write_bytes(_part10(one))
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    command = [program("storescu", "dcmtk"), "+sd", "-R", "-aec", "ANY", HOST, str(peer.port), str(folder)]
    begin = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.monotonic() - begin


def _part10(sent: Sent) -> bytes:
    from appliance.receive.part10 import Origin, prefix

    origin = Origin(sop_class=sent.sop_class, sop_instance=sent.sop_instance, transfer_syntax=sent.transfer_syntax)
    return prefix(origin) + sent.data


# --- receivers --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Peer]:
    """This appliance's receiver with filing and indexing."""
    with Receiver(folder, Section(quiet_seconds=60)) as receiver:
        assert receiver.process is not None
        yield Peer("ours", receiver.port, receiver.process.pid, folder, ours=True)


@contextlib.contextmanager
def _child(name: str, folder: Path, argv: list[str], port: int) -> Iterator[Peer]:
    folder.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, TCP_NODELAY="1") if name != "stock" else dict(os.environ)
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            while not (name == "floor" or answers(port)):
                _PAUSE.wait(0.05)
            if name == "floor":
                _PAUSE.wait(0.5)
            yield Peer(name, port, process.pid, folder)
        finally:
            process.kill()


@contextlib.contextmanager
def storescp(folder: Path) -> Iterator[Peer]:
    """DCMTK's storescp, bit by bit, a process for each association."""
    port = a_free_port()
    argv = [program("storescp", "dcmtk"), "+B", "--fork", "-pdu", str(PDU), "-od", str(folder), str(port)]
    with _child("storescp", folder, argv, port) as peer:
        yield peer


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[Peer]:
    """Orthanc as Debian configures it: it syncs what it stores."""
    with an_orthanc(folder, DicomCheckCalledAet=False) as server:
        (pid,) = [
            one.pid for one in psutil.process_iter(["cmdline"]) if str(folder / "orthanc.json") in (one.info["cmdline"] or [])
        ][:1]
        yield Peer("Orthanc", server.port, pid, folder)


@contextlib.contextmanager
def floor(folder: Path) -> Iterator[Peer]:
    """The same bytes over loopback, appended and synced, in the same language."""
    port = a_free_port()
    with _child("floor", folder, [sys.executable, "-c", _FLOOR, str(port), str(folder)], port) as peer:
        yield peer


@contextlib.contextmanager
def pynetdicom(folder: Path) -> Iterator[Peer]:
    """pynetdicom's own way of storing."""
    port = a_free_port()
    with _child("pynetdicom", folder, [sys.executable, "-c", _PYNETDICOM, str(port), str(folder)], port) as peer:
        yield peer
