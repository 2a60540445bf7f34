"""A whole appliance in a folder of the test: its three processes, real senders, real sinks, and questions about them."""

import asyncio
import base64
import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from appliance import settings
from appliance.access.accounts import create_user
from appliance.house import HOME_VARIABLE, House, open_house
from appliance.moments import now_ms
from appliance.records import orders
from appliance.records.orders import OrderRow
from appliance.states import ORDER_FACTS, OrderState
from tests.servers import HOST, program, two_free_ports, until

REPOSITORY = Path(__file__).resolve().parents[2]
PASSWORD = "Correct-horse-battery-1"
PATIENCE_S = 240.0
WORDS = {"receive": ("-m", "appliance", "receive"), "work": ("-m", "appliance", "work"), "api": ("-m", "api")}
Found = TypeVar("Found")


class HospitalSystem:
    """A REST server that takes reports; a key it knows gets 409, as the delivery's contract expects."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.requests = 0
        self.answers: list[int] = []
        """Statuses to answer first, before it takes anything."""
        self.hold: threading.Event | None = None
        """When set, a body is kept and the answer waits for this event."""
        self.received = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(outer.take(self.headers["Idempotency-Key"], body))
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stays silent."""

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}/reports"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def take(self, key: str, body: bytes) -> int:
        """One request; gives the status."""
        self.requests += 1
        if self.answers:
            return self.answers.pop(0)
        known = key in self.bodies
        self.bodies.setdefault(key, body)
        self.received.set()
        if self.hold is not None:
            self.hold.wait(60)
        return 409 if known else 201

    def close(self) -> None:
        """Ends the server."""
        if self.hold:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()


@dataclass
class World:
    """One appliance; its processes are started one by one and can be killed."""

    home: Path
    dicom_port: int
    api_port: int
    ae_title: str = "RANVIER_SCP"
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, word: str, *instead: str) -> subprocess.Popen[bytes]:
        """Starts one process of the appliance, or `instead` one that stands for it."""
        log = (self.home.parent / f"{word}.out").open("ab")
        environment = {**os.environ, HOME_VARIABLE: str(self.home), "PYTHONPATH": str(REPOSITORY)}
        child = subprocess.Popen(
            [sys.executable, *(instead or WORDS[word])],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.home,
        )
        log.close()
        self.running[word] = child
        return child

    def kill(self, word: str) -> None:
        """Kills one process as a power cut would."""
        child = self.running.pop(word)
        child.kill()
        child.wait()

    def stop(self) -> None:
        """Asks every process to end, then makes sure."""
        for child in self.running.values():
            child.send_signal(signal.SIGTERM)
        for word, child in self.running.items():
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise TimeoutError(f"{word} did not drain: {self.output(word)[-3000:]}") from None

    def output(self, word: str) -> str:
        """What a process printed."""
        file = self.home.parent / f"{word}.out"
        return file.read_text(errors="replace") if file.exists() else ""

    def send(self, folder: Path, *options: str) -> None:
        """Sends a folder with DCMTK's storescu; fails unless every instance was acknowledged."""
        self._sent("storescu", "-aec", self.ae_title, "-aet", "SCANNER", "+sd", "+r", *options, folder=folder)

    def send_any(self, folder: Path) -> None:
        """Sends whatever DICOM files a folder holds, in their own transfer syntaxes, with DCMTK's dcmsend."""
        self._sent("dcmsend", "-aec", self.ae_title, "-aet", "SCANNER", "+sd", "+r", "--no-halt", folder=folder)

    def _sent(self, *command: str, folder: Path) -> None:
        done = subprocess.run(
            [program(command[0], "dcmtk"), *command[1:], HOST, str(self.dicom_port), str(folder)],
            env={**os.environ, "TCP_NODELAY": "1"},
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:] + self.output("receive")[-2000:]

    def ask(self, question: Callable[[House], Awaitable[Found]]) -> Found:
        """One question to the appliance's records."""

        async def asking() -> Found:
            async with open_house(self.home) as house:
                return await question(house)

        return asyncio.run(asking())

    def orders(self) -> list[OrderRow]:
        """Every order, oldest first."""

        async def question(house: House) -> list[OrderRow]:
            rows = await house.records.run("SELECT id FROM orders ORDER BY id")
            return [await orders.get(str(row["id"])) for row in rows]

        return self.ask(question)

    def the_order(self) -> OrderRow:
        """The only order, as soon as it is there."""
        until(lambda: bool(self.orders()), "an order", PATIENCE_S)
        (row,) = self.orders()
        return row

    def wait_for(self, order: str, *states: OrderState) -> OrderRow:
        """Waits until an order is in one of these states; fails early when it has ended otherwise."""
        found: list[OrderRow] = []

        def there() -> bool:
            found[:] = [one for one in self.orders() if one.id == order]
            row = found[0]
            ended = (ORDER_FACTS[row.state].terminal or ORDER_FACTS[row.state].needs_person) and row.state not in states
            assert not ended, f"{row.state} {row.code}: {row.detail}\n{self.output('work')[-3000:]}"
            return row.state in states

        until(there, f"order in {', '.join(states)}", PATIENCE_S)
        return found[0]

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the records."""
        return self.ask(lambda house: house.records.run(sql, *values))

    def stage_child(self, stage: str) -> psutil.Process | None:
        """The child process that runs a stage now."""
        try:
            children = psutil.Process(self.running["work"].pid).children()
        except psutil.NoSuchProcess:
            return None
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                words = child.cmdline()
                if "stage" in words and words[words.index("stage") + 1] == stage:
                    return child
        return None


@contextlib.contextmanager
def a_world(folder: Path, change: dict[str, Any] | None = None, database: str = "") -> Iterator[World]:
    """An appliance with its settings saved and nothing started; whatever the test starts is ended with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(folder / "home", *two_free_ports())
    base: dict[str, Any] = {
        "receive": {"host": HOST, "port": world.dicom_port, "quiet_seconds": 1},
        "access": {"host": HOST, "port": world.api_port},
    }
    for section, fields in (change or {}).items():
        base[section] = {**base.get(section, {}), **fields}

    async def prepare() -> None:
        world.home.mkdir(parents=True, mode=0o700)
        settings.save_bootstrap(world.home, settings.Bootstrap(database=database))
        async with open_house(world.home, create=True) as house:
            wanted, changed = settings.patched(settings.Settings(), base)
            await settings.save(house.keys, wanted, based_on=0, actor="test", now=now_ms(), changed=changed)
            await create_user("admin", "admin", PASSWORD, now_ms())

    asyncio.run(prepare())
    try:
        yield world
    finally:
        world.stop()


class Visitor:
    """Somebody who speaks HTTP with the appliance, signed in as its administrator."""

    def __init__(self, world: World) -> None:
        self._base = f"http://{HOST}:{world.api_port}"
        self._cookie = ""
        answer = self._send("POST", "/api/login", {"user": "admin", "password": PASSWORD})
        self._cookie = str(answer.headers["Set-Cookie"]).split(";")[0]

    @property
    def token(self) -> str:
        """The session, for programs that sign in with a token."""
        return self._cookie.partition("=")[2]

    def get(self, path: str) -> Any:
        """The JSON of a GET."""
        return json.load(self._send("GET", path))

    def bytes_of(self, path: str) -> bytes:
        """The body of a GET."""
        return bytes(self._send("GET", path).read())

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON of a POST."""
        return json.loads(self._send("POST", path, body).read() or b"null")

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Cookie": self._cookie, "X-Ranvier": "console", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._base + path, data=data, headers=headers, method=method)
        return urllib.request.urlopen(request, timeout=60)


def ready(world: World) -> None:
    """Waits until the receiver listens and the API says that every part is well."""

    def healthy() -> bool:
        for word, child in world.running.items():
            assert child.poll() is None, f"{word} ended: {world.output(word)[-3000:]}"
        if "receive" in world.running and "listening on" not in world.output("receive"):
            return False
        if "api" not in world.running:
            return True
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://{HOST}:{world.api_port}/api/health", timeout=5) as found,
        ):
            return bool(json.load(found)["status"] == "ok")
        return False

    until(healthy, "the appliance", 90)


def places_of(token: str, folder: Path, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Files below a folder that hold a token, in their bytes (UTF-8, UTF-16, base64) or in their path."""
    plain = token.encode()
    needles = {plain, plain.lower(), plain.upper(), token.encode("utf-16-le"), base64.b64encode(plain).rstrip(b"=")[:-1]}
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(file.relative_to(folder))
        if any(part in name for part in leave_out):
            continue
        content = file.read_bytes()
        if token.lower() in name.lower() or any(needle in content for needle in needles):
            found.append(name)
    return found
