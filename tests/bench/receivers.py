"""The receivers that the bench of receiving compares, each on a fresh folder and a free port, plain or over TLS."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import psutil

from tests.certificates import make
from tests.receiving import Receiver, Section
from tests.servers import HOST, a_free_port, an_orthanc, answers, program

PDU = 128 * 1024
_PAUSE = threading.Event()
_PYNETDICOM = """
import ssl, sys
from pynetdicom import AE, AllStoragePresentationContexts, evt
def store(event):
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    dataset.save_as(f"{sys.argv[2]}/{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
    return 0
context = None
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
ae = AE("ANY"); ae.supported_contexts = AllStoragePresentationContexts
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)], ssl_context=context)
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


@dataclass(frozen=True)
class Peer:
    """A receiver that is running."""

    name: str
    port: int
    pid: int
    folder: Path
    tls: bool = False

    @property
    def ours(self) -> bool:
        """Whether it is this appliance's."""
        return self.name == "ours"

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

    def memory_mb(self) -> float:
        """Its proportional set size."""
        return float(psutil.Process(self.pid).memory_full_info().pss / 1e6)


@dataclass(frozen=True, kw_only=True)
class How:
    """What is asked of a receiver."""

    tls: bool = False
    nagle: bool = False
    """Nagle's algorithm on, as Debian's DCMTK has it, and as no other bench of a receiver should have it."""
    several: bool = False
    """More than one association at once."""


Starter = Callable[[Path, How], contextlib.AbstractContextManager[Peer]]


@cache
def pair() -> tuple[str, str]:
    """A certificate and its key that all receivers of a run share."""
    made = make()
    return made.certificate, made.key


def _pair_files(folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(pair()[0])
    key.write_text(pair()[1])
    return certificate, key


@contextlib.contextmanager
def ours(folder: Path, how: How) -> Iterator[Peer]:
    """This appliance's receiver with filing and indexing."""
    certificate, key = pair() if how.tls else ("", "")
    section = Section(quiet_seconds=60, tls=how.tls, tls_certificate=certificate, tls_key=key)
    with Receiver(folder, section) as receiver:
        assert receiver.process is not None
        yield Peer("ours", receiver.port, receiver.process.pid, folder, how.tls)


@contextlib.contextmanager
def _child(name: str, folder: Path, argv: list[str], port: int, how: How) -> Iterator[Peer]:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    if not how.nagle:
        environment["TCP_NODELAY"] = "1"
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            while name != "floor" and not answers(port):
                _PAUSE.wait(0.05)
            if name == "floor":
                _PAUSE.wait(0.5)
            yield Peer(name, port, process.pid, folder, how.tls)
        finally:
            process.kill()


@contextlib.contextmanager
def storescp(folder: Path, how: How) -> Iterator[Peer]:
    """DCMTK's storescp, bit by bit; a process for each association where there are several."""
    port = a_free_port()
    argv = [program("storescp", "dcmtk"), "+B", "-pdu", str(PDU), "-od", str(folder)]
    argv += ["--fork"] if how.several else []
    if how.tls:
        certificate, key = _pair_files(folder.with_name(folder.name + "-keys"))
        argv += ["+tls", str(key), str(certificate), "-ic"]
    with _child("storescp +B", folder, [*argv, str(port)], port, how) as peer:
        yield peer


@contextlib.contextmanager
def orthanc(folder: Path, how: How) -> Iterator[Peer]:
    """Orthanc as Debian configures it: it syncs what it stores."""
    settings: dict[str, object] = {"DicomCheckCalledAet": False}
    if how.tls:
        certificate, key = _pair_files(folder.with_name(folder.name + "-keys"))
        settings |= {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(certificate),
            "DicomTlsPrivateKey": str(key),
            "DicomTlsTrustedCertificates": str(certificate),
            "DicomTlsRemoteCertificateRequired": False,
        }
    with an_orthanc(folder, **settings) as server:
        wanted = str(folder / "orthanc.json")
        found = next(one.pid for one in psutil.process_iter(["cmdline"]) if wanted in (one.info["cmdline"] or []))
        yield Peer("Orthanc", server.port, found, folder, how.tls)


@contextlib.contextmanager
def _script(name: str, script: str, folder: Path, how: How) -> Iterator[Peer]:
    port = a_free_port()
    keys = [str(one) for one in _pair_files(folder.with_name(folder.name + "-keys"))] if how.tls else []
    with _child(name, folder, [sys.executable, "-c", script, str(port), str(folder), *keys], port, how) as peer:
        yield peer


floor: Starter = partial(_script, "floor", _FLOOR)
"""The same bytes over loopback, appended and synced, in the same language."""
pynetdicom: Starter = partial(_script, "pynetdicom", _PYNETDICOM)
"""pynetdicom's own way of storing."""

STARTERS: dict[str, Starter] = {
    "ours": ours,
    "storescp +B": storescp,
    "Orthanc": orthanc,
    "floor": floor,
    "pynetdicom": pynetdicom,
}
__all__ = ["HOST", "STARTERS", "How", "Peer", "Starter", "pair"]
