"""Other people's servers for tests: PostgreSQL, Orthanc, DCMTK's storescp. Each is started on a free port of the loopback
address, waited for, and ended by its own process id; PostgreSQL, which refuses to run as root, gets another user then.

All are Debian's packages; a test that needs one fails where it is missing, with the name of the package.
"""

import contextlib
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 20.0


def until(ready: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Returns as soon as `ready()` is true; raises `TimeoutError` naming `what` when that takes longer than `seconds`."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        pause.wait(0.02)


def a_free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        return _bound(probe)


def two_free_ports() -> tuple[int, int]:
    """Two different ports that nobody listens on: held together while they are chosen."""
    with socket.socket() as first, socket.socket() as second:
        return _bound(first), _bound(second)


def _bound(probe: socket.socket) -> int:
    """Binds to a port below those that the system gives to outgoing connections: one of them took it before the server."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def answers(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def program(name: str, package: str) -> str:
    """The absolute path of a Debian program: the environment's own scripts of the same names would be found first."""
    for folder in ("/usr/bin", "/usr/sbin", *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)):
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    pytest.fail(f"{name} is missing: apt-get install {package}")


def for_our_lifetime(argv: Sequence[str], user: str = "") -> list[str]:
    """The command as one that ends with its parent, as another user if named (only root can)."""
    become = ["--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--init-groups"] if user else []
    return [program("setpriv", "util-linux"), *become, "--pdeathsig", "TERM", "--", *argv]


@contextlib.contextmanager
def running(
    argv: Sequence[str], ready: Callable[[], bool], log: Path, *, user: str = "", stop: signal.Signals = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    """A server for the time of a block; `log` gets what it prints and is shown when it does not come up."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            for_our_lifetime(argv, user),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, "TCP_NODELAY": "1"},
        )
    try:
        until(lambda: process.poll() is not None or ready(), argv[0])
        if process.poll() is not None:
            pytest.fail(f"{argv[0]} ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


def _database_user() -> str:
    """Whose server it is: nobody in particular, unless we are root."""
    if os.geteuid() != 0:
        return ""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def postgres() -> Iterator[Callable[..., str]]:
    """A PostgreSQL server for the time of a block; each call gives the address of a new database.

    It is empty, or the copy of the `template` whose address is given.
    """
    user, port = _database_user(), a_free_port()
    folder = Path(tempfile.mkdtemp(prefix="ranvier-postgres-"))
    if user:
        shutil.chown(folder, user)
    here = ["-h", HOST, "-p", str(port), "-U", "ranvier"]
    names = (f"ranvier_{number}" for number in count(1))

    def create(template: str = "") -> str:
        name = next(names)
        like = ["-T", template.rpartition("/")[2]] if template else []
        subprocess.run([program("createdb", "postgresql"), *here, *like, name], check=True, capture_output=True, cwd="/")
        return f"postgresql://ranvier@{HOST}:{port}/{name}"

    def accepts() -> bool:
        return subprocess.run([program("pg_isready", "postgresql"), *here], capture_output=True, cwd="/").returncode == 0

    try:
        initdb = [program("initdb", "postgresql"), "-D", str(folder / "data"), "-U", "ranvier", "-A", "trust", "-E", "UTF8"]
        subprocess.run(for_our_lifetime([*initdb, "--locale=C", "--no-sync"], user), check=True, capture_output=True, cwd="/")
        options = {"listen_addresses": HOST, "port": port, "unix_socket_directories": "", "fsync": "off", "timezone": "UTC"}
        argv = [program("postgres", "postgresql"), "-D", str(folder / "data")]
        argv += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with running(argv, accepts, folder / "log", user=user, stop=signal.SIGINT):
            yield create
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Callable[..., str]]:
    """One server for each test process; it starts with the first test that asks."""
    with postgres() as create:
        yield create


@pytest.fixture
def postgres_url(postgres_server: Callable[..., str]) -> str:
    """The address of this test's own empty PostgreSQL database."""
    return postgres_server()


@pytest.fixture(params=["sqlite", "postgres"])
def records_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database; the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path / 'ranvier.db'}"
    return str(request.getfixturevalue("postgres_url"))


# --- DICOM peers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoreScp:
    """DCMTK's storescp, standing for a PACS."""

    ae_title: str
    host: str
    port: int
    folder: Path
    log: Path

    def files(self) -> list[Path]:
        """What it was sent and kept, by name."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())


@contextlib.contextmanager
def a_storescp(folder: Path, *options: str, ae_title: str = "PACS", port: int = 0) -> Iterator[StoreScp]:
    """A storescp that keeps what it gets below `folder`; `options` go to it, so that it can misbehave (`--refuse`,
    `--abort-after`, `--sleep-after 3`).
    """
    kept = folder / "received"
    kept.mkdir(parents=True)
    server = StoreScp(ae_title, HOST, port or a_free_port(), kept, folder / "storescp.log")
    argv = [program("storescp", "dcmtk"), "-v", "-aet", ae_title, "-od", str(kept), "+xa", *options, str(server.port)]
    with running(argv, lambda: answers(server.port), server.log):
        yield server


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[StoreScp]:
    """A PACS that takes everything."""
    with a_storescp(tmp_path / "storescp") as server:
        yield server


@dataclass(frozen=True, slots=True)
class Orthanc:
    """An Orthanc server: a DICOM node with a REST API to ask it what it has."""

    ae_title: str
    host: str
    port: int
    http_port: int
    folder: Path = field(repr=False)

    def get(self, path: str) -> Any:
        """What its REST API answers, e.g. to `/studies?expand`."""
        with urllib.request.urlopen(f"http://{self.host}:{self.http_port}{path}", timeout=30) as answer:
            return json.load(answer)

    def tags(self, instance: str) -> dict[str, Any]:
        """The attributes of one of its instances by their keywords."""
        found: dict[str, Any] = self.get(f"/instances/{instance}/simplified-tags")
        return found


@contextlib.contextmanager
def an_orthanc(folder: Path, **settings: object) -> Iterator[Orthanc]:
    """An Orthanc that keeps what it gets below `folder`; `settings` are entries of its configuration file."""
    folder.mkdir(parents=True)
    server = Orthanc("ORTHANC", HOST, *two_free_ports(), folder)
    configuration = {
        "Name": "test",
        "DicomAet": server.ae_title,
        "DicomPort": server.port,
        "HttpPort": server.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": False,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [],
        **settings,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    argv = [program("Orthanc", "orthanc"), str(folder / "orthanc.json")]
    with running(argv, lambda: answers(server.http_port) and answers(server.port), folder / "orthanc.log"):
        yield server


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """A PACS that can be asked what it has."""
    with an_orthanc(tmp_path / "orthanc") as server:
        yield server


# --- clamd ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clamd:
    """Debian's malware scanner with signatures of our own."""

    port: int
    socket: Path


@contextlib.contextmanager
def a_clamd(folder: Path, *, knows_the_test_virus: bool = True) -> Iterator[Clamd]:
    """clamd on a free port and a socket of its own; its only signature is one that we wrote, so nothing is downloaded."""
    signature = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR".hex() if knows_the_test_virus else "00ff" * 20
    database = folder / "signatures"
    database.mkdir()
    (database / "ours.ndb").write_text(f"Ranvier.Test.Virus:0:*:{signature}\n")
    found = Clamd(a_free_port(), folder / "clamd.sock")
    lines = {
        "DatabaseDirectory": database,
        "LocalSocket": found.socket,
        "TCPSocket": found.port,
        "TCPAddr": HOST,
        "TemporaryDirectory": folder,
        "Foreground": "yes",
        "ConcurrentDatabaseReload": "no",
        "OfficialDatabaseOnly": "no",
        "MaxThreads": 2,
    }
    (folder / "clamd.conf").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    argv = [program("clamd", "clamav-daemon"), "--config-file", str(folder / "clamd.conf")]
    with running(argv, lambda: answers(found.port) and found.socket.exists(), folder / "clamd.log"):
        yield found
