"""A receiver in a process of its own, and what it keeps.

`python -m tests.receiving HOME OPTIONS` runs `appliance.receive.process.run` on a home folder. Options: `die_at` kills the
process with SIGKILL the n-th time it reaches a named step; `sabotage` breaks a promise on purpose, so that the tests are seen
to fail; `record` writes what happens to the disk and to the wire, in order, into `disk-for-test`; `jumping` lets the wall clock
follow the seconds in the file `clock-for-test`. A number in the file `free-for-test` stands for the free space.
"""

import asyncio
import contextlib
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from appliance.records import events, studies
from tests.senders import CALLED, Sent, dataset_bytes, digest
from tests.servers import HOST, program

STEPS: dict[str, tuple[str, str, bool]] = {
    "before the record is written": ("appliance.receive.journal", "os.pwritev", True),
    "after the record is written, before it is synced": ("appliance.receive.journal", "os.fdatasync", True),
    "after the record is synced, before the answer": ("appliance.receive.journal", "os.fdatasync", False),
    "after the answer": ("appliance.receive.association", "acknowledge_at_once", True),
    "before a segment is made": ("appliance.receive.journal", "secrets.token_bytes", True),
    "before the folder of a segment is synced": ("appliance.receive.journal", "sync_folder", True),
    "before files get their place": ("appliance.receive.filing", "place", True),
    "in the middle of writing files": ("appliance.receive.placing", "_copy", False),
    "before the files are synced": ("appliance.receive.placing", "sync_everything", True),
    "before the transaction is committed": ("appliance.records.studies", "save_progress", False),
    "after the commit, before the inbox lets go": ("appliance.receive.filing", "let_go", True),
    "after the inbox let go": ("appliance.receive.filing", "let_go", False),
}
"""Step -> module, function, and whether death comes before the call."""


class Section(msgspec.Struct):
    """The settings of one receiver under test; they may be changed while it runs."""

    quiet_seconds: int = 2
    allowed_callers: tuple[str, ...] = ()
    caller_addresses: tuple[str, ...] = ()
    check_called: bool = False
    maximum_associations: int = 50
    tls: bool = False
    tls_certificate: str = ""
    tls_key: str = ""
    tls_authority: str = ""
    tls_mutual: bool = False
    commitment_addresses: tuple[str, ...] = ()
    idle_seconds: int = 60
    negotiation_seconds: int = 30
    paused: bool = False
    private_classes: tuple[str, ...] = ()


@dataclass
class Receiver:
    """A receiving process on its own home folder; `with` starts and ends it."""

    home: Path
    section: Section = field(default_factory=Section)
    die_at: str = ""
    die_after: int = 0
    drain_seconds: float = 5.0
    sabotage: str = ""
    record: bool = False
    jumping: bool = False
    """Whether its wall clock is moved by the seconds in the file `clock-for-test`."""
    strace: tuple[str, ...] = ()
    """What strace shall see or spoil; the process itself stays our child."""
    time_zone: str = ""
    port: int = 0
    process: "subprocess.Popen[str] | None" = None

    def __enter__(self) -> "Receiver":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def free_file(self) -> Path:
        """Write a number of bytes here and the receiver believes that so much is free."""
        return self.home / "free-for-test"

    def move_clock(self, seconds: float) -> None:
        """From now on its wall clock is off by so much; the monotonic one is not."""
        self.home.mkdir(parents=True, exist_ok=True)
        whole = self.home / "clock-for-test-next"
        whole.write_text(str(int(seconds)))
        whole.rename(self.home / "clock-for-test")

    def configure(self, section: Section) -> None:
        """Other settings from now on; the receiver reads them within five seconds."""
        self.section = section
        (self.home / "section-for-test.json").write_bytes(msgspec.json.encode(section))

    def start(self) -> None:
        """Starts the process and waits until it listens."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.configure(self.section)
        options = {
            "die_at": self.die_at,
            "die_after": self.die_after,
            "port": self.port,
            "drain": self.drain_seconds,
            "sabotage": self.sabotage,
            "record": self.record,
            "jumping": self.jumping,
        }
        output = (self.home / "output-for-test").open("a")
        with output:
            self.process = subprocess.Popen(
                [*self._under_strace(), sys.executable, "-m", "tests.receiving", str(self.home), json.dumps(options)],
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                cwd=Path(__file__).resolve().parents[1],
                env={**os.environ, **({"TZ": self.time_zone} if self.time_zone else {})},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the receiver did not start: " + (self.home / "output-for-test").read_text()[-3000:])
        self.port = int(line)

    def _under_strace(self) -> list[str]:
        if not self.strace:
            return []
        return [program("strace", "strace"), "-D", "-f", "-qq", "--seccomp-bpf", *self.strace]

    def stop(self) -> None:
        """Asks it to end and waits; kills it after half a minute."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            self._forget()

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self._forget()

    def close(self) -> None:
        """Whatever happened, nothing of it goes on."""
        self.kill()

    def _forget(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    def died(self) -> bool:
        """Whether the process has ended by itself."""
        return self.process is not None and self.process.poll() is not None


# --- asking what it keeps ---------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Any]:
    """The house of a receiver, to be read beside it."""
    from appliance.house import open_house

    async with open_house(home, create=True) as house:
        yield house


async def until_async(ready: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Like `tests.servers.until` for a condition that must be awaited."""
    async with asyncio.timeout(seconds) as limit:
        while not await ready():
            await asyncio.sleep(0.05)
    if limit.expired():
        raise TimeoutError(what)


async def kept(house: Any) -> Counter[str]:
    """SHA-256 of the data set behind every row -> how many rows; every file must be whole and where its row says."""
    found: Counter[str] = Counter()
    for study in await every_study(house):
        for row in await studies.instances(study.id, study.version):
            found[digest(dataset_bytes(house.storage.absolute(row.path)))] += 1
    return found


async def all_stable(house: Any) -> bool:
    counts = await studies.counts(house.records)
    return counts.receiving == 0 and counts.stable + counts.quarantined > 0


async def only_study(house: Any) -> studies.StudyRow:
    (found,) = await every_study(house)
    return found


async def every_study(house: Any) -> list[studies.StudyRow]:
    """All studies, asked for in one statement: state by state one that moves meanwhile would be missed."""
    return [await studies.get(one) for one in await studies.states(house.records)]


async def filed(house: Any, count: int) -> None:
    async def ready() -> bool:
        return sum((await kept(house)).values()) >= count

    await until_async(ready, f"{count} instances are filed")


def bytes_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".dcm":
            yield path, path.read_bytes()


async def inbox_empty(house: Any) -> bool:
    """Whether everything acknowledged is filed. A segment of an open association may still hold what is filed."""
    journals = house.storage.root / "journals"
    return not [*journals.rglob("*.dcm"), *journals.rglob("*.journal")]


async def nothing_lost(home: Path, acknowledged: Sequence[Sent]) -> None:
    """Every acknowledged instance is filed, whole and once; nothing else is there."""
    async with opened(home) as house:
        await until_async(lambda: inbox_empty(house), "all is filed")
        assert await kept(house) == Counter(digest(one.data) for one in acknowledged)


async def told(name: str) -> bool:
    return any(row.name == name for row in await events.after(0))


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def echoes(port: int) -> bool:
    """Whether C-ECHO of Debian's echoscu is answered."""
    command = [program("echoscu", "dcmtk"), "-aec", CALLED, HOST, str(port)]
    return subprocess.run(command, capture_output=True, timeout=30).returncode == 0


# --- the process ------------------------------------------------------------------------------------------------------


def arrange_death(place: tuple[str, str, bool], after: int) -> None:
    """From now on this process dies when it is at a place of `STEPS` for the n-th time, counted from 0."""
    module_name, name, before = place
    owner: Any = importlib.import_module(module_name)
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original, left = getattr(owner, name), [after]

    def die() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if asyncio.iscoroutinefunction(original):

        async def deadly_async(*arguments: Any, **named: Any) -> Any:
            answer = await original(*arguments, **named)
            die()
            return answer

        setattr(owner, name, deadly_async)
        return

    @functools.wraps(original)
    def deadly(*arguments: Any, **named: Any) -> Any:
        if before:
            die()
        answer = original(*arguments, **named)
        if not before:
            die()
        return answer

    setattr(owner, name, deadly)


@contextlib.contextmanager
def _pretended_space(home: Path) -> Iterator[None]:
    from appliance.storage import Storage

    real, file = Storage.free_bytes, str(home / "free-for-test")

    def pretended(self: Storage) -> int:
        # Asked for each instance: it must cost the benches nothing.
        return int(Path(file).read_text()) if os.path.exists(file) else real(self)

    Storage.free_bytes = pretended  # type: ignore[method-assign]
    yield


def _move_wall_clock(home: Path) -> None:
    """Makes every wall clock that Python code can read (`time.time`, `time.time_ns`) follow the file."""
    file, real, real_ns = home / "clock-for-test", time.time, time.time_ns
    time.time = lambda: real() + int(file.read_text())
    time.time_ns = lambda: real_ns() + int(file.read_text()) * 10**9


async def _run(home: Path, options: dict[str, Any]) -> None:
    from appliance import logs
    from appliance.fields import Secret
    from appliance.house import open_house
    from appliance.receive import process
    from appliance.receive.section import ReceiveSection
    from tests import sabotage

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def section() -> ReceiveSection:
        chosen = msgspec.json.decode((home / "section-for-test.json").read_bytes(), type=Section)
        values = msgspec.structs.asdict(chosen) | {"tls_key": Secret(chosen.tls_key) if chosen.tls_key else None}
        return ReceiveSection(host=HOST, port=options["port"] or 0, **values)

    async with open_house(home, create=True) as house:
        logs.start(home, "receive")
        if options["record"]:
            sabotage.record(home)
        sabotage.arrange(options["sabotage"])
        if options["die_at"]:
            arrange_death(STEPS[options["die_at"]], options["die_after"])
        await process.run(
            house.storage,
            house.keys,
            house.records,
            await section(),
            reload=section,
            stop=stop,
            started=lambda port: print(port, flush=True),
            drain_seconds=options["drain"],
        )


def main() -> None:
    """Runs one receiver."""
    home, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    if options["jumping"]:
        _move_wall_clock(home)
    with _pretended_space(home):
        asyncio.run(_run(home, options))


if __name__ == "__main__":
    main()
