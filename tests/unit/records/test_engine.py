"""The engine below the tables, on both databases."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.errors import Misconfigured
from appliance.records import engine
from appliance.records.engine import DatabaseAway, DatabaseDamaged, Records, migrate, of_database
from appliance.records.task_tables import TaskRun
from tests.servers import a_free_port, until

TASKS = 8
ROUNDS = 50


async def _a_counter(name: str = "counter") -> None:
    await TaskRun.insert(TaskRun(name=name)).run()


async def _count(name: str = "counter") -> int:
    row = await TaskRun.select(TaskRun.last_at).where(TaskRun.name == name).first().run()
    return int(row["last_at"]) if row else -1


async def test_eight_tasks_that_read_and_then_write_never_find_the_database_locked(records: Records) -> None:
    """REC-04: a database that others write to never refuses a transaction."""
    await _a_counter()

    async def count_up() -> None:
        for _ in range(ROUNDS):
            async with records.transaction():
                await _count()
                await TaskRun.update({TaskRun.last_at: TaskRun.last_at + 1}).where(TaskRun.name == "counter").run()

    await asyncio.gather(*(count_up() for _ in range(TASKS)))
    assert await _count() == TASKS * ROUNDS


async def test_a_value_read_in_an_sqlite_transaction_cannot_change_before_it_is_written(tmp_path: Path) -> None:
    async with Records(f"sqlite://{tmp_path / 'ranvier.db'}") as records:
        await migrate(records)
        await _a_counter()

        async def count_up() -> None:
            for _ in range(ROUNDS):
                async with records.transaction():
                    seen = await _count()
                    await TaskRun.update({TaskRun.last_at: seen + 1}).where(TaskRun.name == "counter").run()

        await asyncio.gather(*(count_up() for _ in range(TASKS)))
        assert await _count() == TASKS * ROUNDS


async def test_an_exception_rolls_a_transaction_back(records: Records) -> None:
    with pytest.raises(LookupError):
        async with records.transaction():
            await _a_counter()
            raise LookupError
    assert not await TaskRun.exists().run()
    await _a_counter()
    assert await TaskRun.count().run() == 1


async def test_a_nested_transaction_joins_the_outer_one(records: Records) -> None:
    with pytest.raises(LookupError):
        async with records.transaction():
            await _a_counter("outer")
            async with records.transaction():
                await _a_counter("inner")
            assert await TaskRun.count().run() == 2
            raise LookupError
    assert await TaskRun.count().run() == 0


async def test_a_cancelled_task_leaves_neither_rows_nor_a_lock(records: Records) -> None:
    inside = asyncio.Event()

    async def hold() -> None:
        async with records.transaction():
            await _a_counter()
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _a_counter()
    assert await TaskRun.count().run() == 1


async def test_a_transaction_that_cannot_begin_leaks_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_PRAGMAS", (*engine._PRAGMAS[:-2], "busy_timeout=50"))
    path = tmp_path / "ranvier.db"
    async with Records(f"sqlite://{path}") as records:
        await migrate(records)
        before = threading.active_count()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                async with records.transaction():
                    pass
        other.close()
        until(lambda: threading.active_count() <= before, "the threads of the failed transactions end", seconds=10)
        async with records.transaction():
            await _a_counter()
        assert await _count() == 0


TWO_LOOPS = """
import asyncio, sys
from appliance.records.engine import Records, migrate
from appliance.records.task_tables import TaskRun

async def first(records):
    await records.open()
    await migrate(records)
    async with records.transaction():
        await TaskRun.insert(TaskRun(name="first")).run()

async def second(records):
    async with records.transaction():
        await TaskRun.insert(TaskRun(name="second")).run()
    print(await TaskRun.count().run())
    await records.close()

records = Records("sqlite://" + sys.argv[1])
asyncio.run(first(records))
asyncio.run(second(records))
"""


async def test_a_task_cancelled_while_a_connection_opens_leaks_no_thread(tmp_path: Path) -> None:
    """The process that was asked to end in this moment still ends."""
    before = threading.active_count()
    records = Records(f"sqlite:///{tmp_path / 'new.db'}")
    for turns in range(25):
        opening = asyncio.create_task(records.engine.get_connection())  # type: ignore[union-attr]
        for _ in range(turns):
            await asyncio.sleep(0.001 if turns % 5 == 0 else 0)
        if not opening.cancel():
            await (await opening).close()
        else:
            with contextlib.suppress(asyncio.CancelledError):
                await (await opening).close()
    await asyncio.to_thread(until, lambda: threading.active_count() <= before + 1, "every thread has ended")


@pytest.mark.parametrize("damage", [b"this is no database at all" * 40, bytes(100)])
async def test_a_damaged_database_is_named_so_with_what_to_do(damage: bytes, tmp_path: Path) -> None:
    """REC-04, faults row 24: told apart from a database that is away."""
    file = tmp_path / "ranvier.db"
    async with Records(f"sqlite:///{file}") as records:
        await migrate(records)
    content = bytearray(file.read_bytes())
    content[: len(damage)] = damage
    file.write_bytes(bytes(content))
    with pytest.raises(DatabaseDamaged, match="damaged"):
        async with Records(f"sqlite:///{file}") as records:
            await migrate(records)


def test_a_second_event_loop_starts_with_its_own_connections_and_the_process_still_ends(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWO_LOOPS, str(tmp_path / "ranvier.db")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr


async def test_commits_are_synced_and_the_journal_is_a_wal(tmp_path: Path) -> None:
    """REC-04: what is committed stands on the disk."""
    async with Records(f"sqlite://{tmp_path / 'ranvier.db'}") as records:
        full = 2
        assert (await records.run("PRAGMA synchronous"))[0]["synchronous"] == full
        assert (await records.run("PRAGMA journal_mode"))[0]["journal_mode"] == "wal"
        async with records.transaction():
            assert (await records.run("PRAGMA synchronous"))[0]["synchronous"] == full


async def test_a_statement_takes_values_on_either_engine(records: Records) -> None:
    await _a_counter("it's {quoted}")
    rows = await records.run("SELECT name FROM task_runs WHERE name = {} AND last_at = {}", "it's {quoted}", 0)
    assert rows == [{"name": "it's {quoted}"}]


async def test_many_rows_go_in_with_one_statement(records: Records) -> None:
    rows = [(f"task {number}", number) for number in range(500)]
    async with records.transaction():
        await records.run_many(
            "INSERT INTO task_runs (name, last_at, next_at, result, worker, lease_until) VALUES (?, ?, 0, '', '', 0)", rows
        )
    found = await records.run("SELECT name, last_at FROM task_runs ORDER BY last_at")
    assert [(row["name"], row["last_at"]) for row in found] == rows


async def test_many_rows_roll_back_together(records: Records) -> None:
    with pytest.raises(LookupError):
        async with records.transaction():
            await records.run_many("INSERT INTO task_runs (name) VALUES (?)", [("a",), ("b",)])
            raise LookupError
    assert await TaskRun.count().run() == 0


async def test_many_rows_outside_a_transaction_are_refused(records: Records) -> None:
    with pytest.raises(RuntimeError, match="inside a transaction"):
        await records.run_many("INSERT INTO task_runs (name) VALUES (?)", [("a",)])


@pytest.fixture
async def no_server() -> AsyncIterator[str]:
    yield f"postgresql://ranvier@127.0.0.1:{a_free_port()}/nothing"


async def test_a_database_that_does_not_answer_is_named_so(no_server: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseAway):
        await Records(no_server).open()
    with pytest.raises(DatabaseAway):
        await Records(f"sqlite://{tmp_path / 'no folder' / 'ranvier.db'}").open()
    # The failed connection's thread tells this event loop that it ends: the loop must still be there.
    await asyncio.to_thread(until, _no_connection_lives, "the failed connection's thread ends", 10)


def _no_connection_lives() -> bool:
    return not any("_connection_worker_thread" in thread.name for thread in threading.enumerate())


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(Misconfigured):
        Records("mysql://localhost/ranvier")


async def test_a_fault_of_the_database_is_told_from_a_row_that_it_refuses(records: Records) -> None:
    await _a_counter()
    with pytest.raises(Exception) as refused:
        await _a_counter()
    assert not of_database(refused.value)
    with pytest.raises(Exception) as broken:
        await records.run("SELECT 1 FROM there_is_no_such_table")
    assert of_database(broken.value)
    assert not of_database(ValueError())
