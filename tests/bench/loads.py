"""Senders of the bench of receiving: everything encoded before the clock starts, or DCMTK's programs as they are."""

import contextlib
import multiprocessing
import os
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.receivers import Peer
from tests.senders import Sent
from tests.servers import HOST, program
from tests.wire import PDU, Caller, message, variants

SMALL_BYTES = 43_000
LARGE_BYTES = 524_000
STOCK = 49
LONGEST_SECONDS = 300
_PAUSE = threading.Event()


@dataclass(frozen=True)
class Run:
    """What one receiver did with one load: instances a second acknowledged and filed, CPU of each, memory after it."""

    rate: float
    through: float
    cpu_ms: float
    memory_mb: float

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s, through {self.through:.0f}/s, {self.cpu_ms:.2f} ms CPU, {self.memory_mb:.0f} MB"


def padded(sent: Sent, size: int) -> Sent:
    """The instance with as many pixels as make this size: 43 KB is a usual MR slice, half a megabyte a CT slice."""
    missing = size - len(sent.data)
    at = sent.data.rindex(b"\xe0\x7f\x10\x00OW\0\0")
    pixels = int.from_bytes(sent.data[at + 8 : at + 12], "little") + missing + missing % 2
    data = sent.data[: at + 8] + pixels.to_bytes(4, "little") + sent.data[at + 12 :] + bytes(missing + missing % 2)
    return Sent(sent.sop_class, sent.sop_instance, sent.transfer_syntax, data)


def load(peer: Peer, template: Sent, count: int, associations: int, *, offset: int = 0) -> Run:
    """Sends `count` instances from a process for each association; all are encoded before the clock starts."""
    context = multiprocessing.get_context("fork")
    ready, go = context.Barrier(associations + 1), context.Event()
    send = _floor_sender if peer.name == "floor" else _sender
    share = max(1, count // associations)
    before_rows = _rows(peer) if peer.ours else 0
    senders = [
        context.Process(target=send, args=(peer, template, share, offset + number * share, ready, go))
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
    total = share * associations
    through = _filed(peer, before_rows + total, begin) if peer.ours else sent
    return Run(total / sent, total / through, (peer.cpu() - before) / total * 1000, peer.memory_mb())


def _sender(peer: Peer, template: Sent, count: int, offset: int, ready: Any, go: Any) -> None:
    contexts = [(template.sop_class, template.transfer_syntax)]
    with Caller(peer.port, contexts, called="ANY", patience=120, tls=_trusting() if peer.tls else None) as caller:
        size = min(PDU, caller.longest)
        bodies = [message(one, 1, number % 60_000 + 1, size) for number, one in enumerate(variants(template, count, offset))]
        ready.wait()
        go.wait()
        for body in bodies:
            caller.wire.sendall(body)
            if status := caller.status():
                raise RuntimeError(f"an instance was answered 0x{status:04X}")


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _floor_sender(peer: Peer, template: Sent, count: int, _offset: int, ready: Any, go: Any) -> None:
    body = message(template, size=PDU)
    with socket.create_connection((HOST, peer.port)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(len(body).to_bytes(8, "big"))
        ready.wait()
        go.wait()
        for _ in range(count):
            wire.sendall(body)
            wire.recv(1)


def _rows(peer: Peer) -> int:
    # Closed at once: a reader that stays would keep the write-ahead log from being taken over.
    with contextlib.closing(sqlite3.connect(f"file:{peer.folder / 'ranvier.db'}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT COUNT(*) FROM instances").fetchone()[0])


def _filed(peer: Peer, count: int, begin: float) -> float:
    """Seconds until the journal is empty, and all are rows."""
    journals = peer.folder / "storage" / "journals"
    while list(journals.rglob("*.journal")):
        if time.monotonic() - begin > LONGEST_SECONDS:
            raise TimeoutError("instances are not filed")
        _PAUSE.wait(0.01)
    seconds = time.monotonic() - begin
    if _rows(peer) < count:
        raise RuntimeError(f"{_rows(peer)} rows of {count}")
    return seconds


def dcmtk_sender(peer: Peer, folder: Path, template: Sent, sender: str, *, nagle: bool) -> float:
    """Seconds that Debian's storescu or dcmsend needs for a few files; with its own defaults Nagle's algorithm is on."""
    folder.mkdir(parents=True)
    offset = 1_000_000 if sender == "dcmsend" else 2_000_000
    for number, one in enumerate(variants(template, STOCK, offset)):
        (folder / f"{number}.dcm").write_bytes(part10(one))
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    if not nagle:
        environment["TCP_NODELAY"] = "1"
    options = ["+sd", "-R"] if sender == "storescu" else ["+sd", "+fo"]
    command = [program(sender, "dcmtk"), *options, "-aec", "ANY", HOST, str(peer.port), str(folder)]
    begin = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=LONGEST_SECONDS)
    return time.monotonic() - begin


def part10(sent: Sent) -> bytes:
    """The instance as a file."""
    from appliance.receive.part10 import Origin, prefix

    origin = Origin(sop_class=sent.sop_class, sop_instance=sent.sop_instance, transfer_syntax=sent.transfer_syntax)
    return prefix(origin) + sent.data
