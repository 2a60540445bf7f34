"""Receiving while the disk, the kernel or the database fails: nothing acknowledged is lost, and each is told."""

import asyncio
import contextlib
import re
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.records import events
from tests.matrix import tried
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section, all_stable, echoes, filed, inbox_empty, nothing_lost, opened, told, until_async
from tests.senders import Sender, instances_of, send
from tests.servers import program, until
from tests.wire import contexts_of

_CALL = re.compile(r"^(\w+)\(\d+<([^>]*)>(.*) = (-?\d+)$")
"""Of strace: the call, what its first argument is, the rest, what it gave."""


def _step(line: str) -> str:
    """What a system call means for receiving; empty when nothing."""
    match = _CALL.match(line)
    if line.startswith("rename("):
        return "rename" if ".journal" in line else ""
    if match is None or int(match[4]) < 0:
        return ""
    call, where = match[1], match[2]
    if call == "sendto":
        return "answer" if match[3].startswith(', "\\4') else ""
    if where.endswith((".journal", ".part")):
        return "write" if call.startswith("pwritev") else "sync"
    return "sync names" if call == "fsync" and "/journals/" in where else ""


# --- the disk ----------------------------------------------------------------------------------------------------------


def test_the_kernel_sees_every_sync_before_its_answer(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 3: system calls in order, thread by thread: write, sync, answer; and the segment's name before all."""
    instances = instances_of(phantom, 5)
    trace = tmp_path / "trace"
    calls = "trace=pwritev,pwritev2,fdatasync,fsync,sendto,rename"
    with Receiver(tmp_path / "home", strace=("-ff", "-y", "-s", "2", "-e", calls, "-o", str(trace))) as receiver:
        assert send(receiver.port, instances) == [0] * 5
    (lines,) = [text for one in tmp_path.glob("trace.*") if "pwritev" in (text := one.read_text())]
    happened = [found for line in lines.splitlines() if (found := _step(line))]
    assert happened == ["sync", "rename", "sync names", *(["write", "sync", "answer"] * 5)]
    tried(
        "success before the sync",
        injected="nothing; strace records the system calls of a running receiver",
        happened="write, sync, answer, in this order, for each instance; the segment's name synced before the first",
    )


@pytest.mark.parametrize(
    ("call", "error", "status", "what"),
    [
        ("pwritev2,pwritev", "EIO", 0x0110, "the disk answers a write with an error"),
        ("pwritev2,pwritev", "EDQUOT", 0xA700, "the quota is used up"),
        ("pwritev2,pwritev", "EROFS", 0x0110, "the file system is read-only"),
        ("fdatasync", "EIO", 0x0110, "the disk answers a sync with an error"),
    ],
)
async def test_a_failing_disk_is_answered_by_cause_and_never_with_success(
    call: str, error: str, status: int, what: str, tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-04, faults row 6: the kernel's own answer; afterwards the same association goes on."""
    instances = instances_of(phantom, 6)
    spoil = f"inject={call}:error={error}:when=2..3"
    with Receiver(tmp_path / "home") as receiver, _traced(receiver, "-e", f"trace={call}", "-e", spoil):
        with Sender(receiver.port, contexts_of(instances)) as sender:
            statuses = [sender.store(one) for one in instances]
            assert echoes(receiver.port)
        assert set(statuses) == {0, status}
        assert statuses[-1] == 0
        acknowledged = [one for one, answer in zip(instances, statuses, strict=True) if answer == 0]
        await nothing_lost(receiver.home, acknowledged)
        async with opened(receiver.home):
            await until_async(lambda: told("association-failed"), "the refusal is told")
            failed = [row.event.text() for row in await events.after(0) if row.name == "association-failed"]
        assert any(f"0x{status:04X}" in one for one in failed)
    tried(
        what,
        injected=f"strace makes {call.split(',')[0]} of the receiver fail with {error}",
        happened=f"0x{status:04X} for what could not be kept; the association goes on and the next instances are kept",
    )


@contextlib.contextmanager
def _traced(receiver: Receiver, *options: str) -> Iterator[None]:
    """Spoils a receiver that has started: what it syncs to begin with is not what shall fail. Counts are per thread."""
    assert receiver.process
    command = [program("strace", "strace"), "-f", "-o", "/dev/null", *options, "-p", str(receiver.process.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr
        assert "attached" in strace.stderr.readline()
        yield
        strace.terminate()


@pytest.fixture
def few_files(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that has room for 32 MB but only a few hundred files."""
    folder, image = tmp_path / "few", tmp_path / "image"
    folder.mkdir()
    image.touch()
    image.open("r+b").truncate(32 << 20)
    make = ["mkfs.ext4", "-q", "-N", "256", "-m", "0", str(image)]
    if any(
        subprocess.run(one, capture_output=True).returncode for one in (make, ["mount", "-o", "loop", str(image), str(folder)])
    ):
        pytest.skip("only root can mount a file system of a file, and not everywhere")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


async def test_without_inodes_instances_are_refused_until_there_are_some(few_files: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 6: 0xA700, and everything goes on once files can be made again."""
    instances = instances_of(phantom, 4)
    with Receiver(few_files / "home") as receiver:
        assert send(receiver.port, instances[:2]) == [0, 0]
        async with opened(receiver.home) as house:
            await filed(house, 2)
            await until_async(lambda: inbox_empty(house), "the inbox is empty")
        taken = []
        with contextlib.suppress(OSError):
            for number in range(400):
                taken.append(few_files / f"taken-{number}")
                taken[-1].touch()
        assert send(receiver.port, instances[2:3]) == [0xA700]
        assert echoes(receiver.port)
        for one in taken:
            one.unlink(missing_ok=True)
        assert send(receiver.port, instances[2:]) == [0, 0]
        await nothing_lost(receiver.home, instances)
    tried(
        "no inodes left",
        injected="ext4 of 32 MB with 256 inodes on a loop device, all of them used",
        happened="0xA700, C-ECHO answered; kept again once files can be made",
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 64 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk, and not everywhere")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


async def test_it_starts_on_a_disk_without_one_free_byte(small_disk: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 5: the reserve is given back, acknowledged instances are filed, new ones refused, the API answers."""
    from litestar.testing import AsyncTestClient

    from api.app import create_app

    instances = instances_of(phantom, 8)
    with contextlib.closing(Receiver(small_disk / "home")) as receiver:
        receiver.start()
        assert (receiver.home / "storage" / "reserve").exists()
        assert send(receiver.port, instances[:6]) == [0] * 6
        receiver.kill()
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        receiver.start()
        assert not (receiver.home / "storage" / "reserve").exists()
        assert send(receiver.port, instances[6:7]) == [0xA700]
        assert echoes(receiver.port)
        await nothing_lost(receiver.home, instances[:6])
        async with opened(receiver.home) as house, AsyncTestClient(create_app(house)) as client:
            health = (await client.get("/api/health")).json()
            assert {one["name"]: one["status"] for one in health["parts"]}["disk"] == "down"
            (event,) = [row for row in await events.after(0) if row.name == "low-disk"]
            assert event.severity == "error"
        filler.unlink()
        await asyncio.to_thread(until, lambda: send(receiver.port, instances[6:7]) == [0], "there is room again")
        assert send(receiver.port, instances[7:]) == [0]
        await nothing_lost(receiver.home, instances)
    tried(
        "restart on a full disk",
        injected="tmpfs of 64 MB filled to the last byte after kill -9",
        happened="it starts on its reserve and says so, files what was acknowledged, answers 0xA700 and C-ECHO; the API works",
    )


async def test_a_full_disk_of_the_database_alone_holds_up_filing_and_nothing_else(
    small_disk: Path, tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-04, faults row 6: the journal lies elsewhere and is the commit point; filing goes on when there is room."""
    instances = instances_of(phantom, 8)
    home, elsewhere = small_disk / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    (home / "storage").symlink_to(elsewhere)
    with Receiver(home) as receiver:
        assert send(receiver.port, instances[:2]) == [0, 0]
        async with opened(home) as house:
            await filed(house, 2)
        with contextlib.closing(sqlite3.connect(home / "ranvier.db")) as database:
            # What is free in the log would be used again, and the full disk not be noticed.
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 12)):
                pass
        assert send(receiver.port, instances[2:]) == [0] * 6
        assert echoes(receiver.port)
        await asyncio.to_thread(until, lambda: not (elsewhere / "reserve").exists(), "filing has met the full disk")
        assert list(elsewhere.rglob("*.journal")), "what was acknowledged waits in the journal"
        filler.unlink()
        await nothing_lost(home, instances)
    tried(
        "full disk of the database alone",
        injected="the database on a tmpfs filled to the last byte, instances on another disk",
        happened="instances are acknowledged as always and filed when there is room again; C-ECHO answered",
    )


# --- the database ------------------------------------------------------------------------------------------------------


async def test_senders_do_not_notice_a_locked_database(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-04, faults row 24: the journal is the commit point; filing waits."""
    instances = instances_of(phantom, 6)
    with Receiver(tmp_path / "home") as receiver:
        lock = sqlite3.connect(receiver.home / "ranvier.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        assert send(receiver.port, instances) == [0] * 6
        assert not list((receiver.home / "storage" / "studies").rglob("*.dcm"))
        lock.rollback()
        lock.close()
        async with opened(receiver.home) as house:
            await filed(house, 6)
        await nothing_lost(receiver.home, instances)
    tried(
        "locked database",
        injected="another process holds SQLite's write lock",
        happened="instances are acknowledged as always and filed when the lock is gone",
    )


@contextlib.asynccontextmanager
async def _nobody_let_in(url: str) -> AsyncIterator[None]:
    """For the time of a block a PostgreSQL server ends every connection to one database and lets nobody in."""
    import asyncpg

    server, _, name = url.rpartition("/")
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        yield
    finally:
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await connection.close()


async def test_senders_do_not_notice_a_database_server_that_is_away(
    tmp_path: Path, phantom: PhantomStudy, postgres_url: str
) -> None:
    """REC-04: PostgreSQL ends all connections and takes none; instances are acknowledged, and filed when it is back."""
    instances = instances_of(phantom, 6)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "ranvier.toml").write_text(f'database = "{postgres_url}"\n')
    with Receiver(home) as receiver:
        assert send(receiver.port, instances[:2]) == [0, 0]
        async with opened(home) as house:
            await filed(house, 2)
        async with _nobody_let_in(postgres_url):
            assert send(receiver.port, instances[2:]) == [0] * 4
            assert echoes(receiver.port)
            said = home / "output-for-test"
            await asyncio.to_thread(until, lambda: "filing waits" in said.read_text(), "filing has met it", 60)
        await nothing_lost(home, instances)
    tried(
        "database server away",
        injected="PostgreSQL ends every connection and lets nobody in",
        happened="instances are acknowledged as always and filed when it is back; C-ECHO answered",
    )


async def test_a_database_that_lost_its_log_or_all_of_it_is_filled_from_the_files(
    tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-04, faults row 24: damage is named; whatever is missing in the records is filed anew from the files."""
    instances = instances_of(phantom, 6)
    with contextlib.closing(Receiver(tmp_path / "home", Section(quiet_seconds=1))) as receiver:
        receiver.start()
        assert send(receiver.port, instances) == [0] * 6
        async with opened(receiver.home) as house:
            await until_async(lambda: all_stable(house), "all is filed and stable")
        receiver.kill()
        database = receiver.home / "ranvier.db"
        for suffix in ("-wal", "-shm"):
            Path(f"{database}{suffix}").unlink(missing_ok=True)
        receiver.start()
        async with opened(receiver.home) as house:
            await filed(house, 6)
        await nothing_lost(receiver.home, instances)
        receiver.stop()
        content = bytearray(database.read_bytes())
        content[:100] = bytes(100)
        database.write_bytes(bytes(content))
        with pytest.raises(AssertionError, match="DatabaseDamaged"):
            receiver.start()
        receiver.kill()
        database.unlink()
        receiver.start()
        async with opened(receiver.home) as house:
            await filed(house, 6)
        await nothing_lost(receiver.home, instances)
    tried(
        "write-ahead log of the database deleted",
        injected="kill -9, then ranvier.db-wal and -shm removed",
        happened="what the records lack is filed anew from the files",
    )
    tried(
        "damaged database",
        injected="its first page overwritten while stopped",
        happened="every process says database-damaged and what to do; moved away, all instances are filed anew",
    )
