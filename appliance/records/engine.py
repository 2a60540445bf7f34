"""The engine below the tables: SQLite with pooled connections and immediate transactions, or PostgreSQL with a pool.

Piccolo's own SQLite engine opens a connection for each query and begins transactions deferred; two writers then fail with
'database is locked' however long they are willing to wait. Here statements outside a transaction share one connection,
transactions are IMMEDIATE and take a connection from a small pool, and every commit is synced (`synchronous=FULL`).
"""

import asyncio
import contextlib
import fcntl
import importlib
import io
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

import aiosqlite
from piccolo.engine.base import Engine
from piccolo.engine.postgres import PostgresEngine
from piccolo.engine.sqlite import SQLiteEngine, SQLiteTransaction, TransactionType
from piccolo.table import Table

from appliance.errors import Misconfigured

BUSY_MS = 30_000
IDLE_CONNECTIONS = 4
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=1",
    f"busy_timeout={BUSY_MS}",
    "cache_size=-8000",
    # What is deleted is overwritten: a sealed identity does not stay in a free page.
    "secure_delete=1",
)


class DatabaseAway(Misconfigured):
    """The database does not answer."""

    code = "database-away"
    next_step = "Check `database` in ranvier.toml, and that the database server is up."


class DatabaseDamaged(Misconfigured):
    """The database file is damaged."""

    code = "database-damaged"
    next_step = (
        "Stop the appliance and restore a backup. Without one, move ranvier.db, its -wal and -shm away: studies are filed anew "
        "from their files; accounts, settings, orders and reports are only in a backup."
    )


class MigrationFailed(Misconfigured):
    """The database could not be brought to this version's tables."""

    code = "migration-failed"
    next_step = "Restore the database from a backup and report the log lines above."


class _Transaction(SQLiteTransaction):
    """An immediate transaction on a pooled connection; a failed BEGIN gives the connection back."""

    engine: "SQLite"

    async def get_connection(self) -> aiosqlite.Connection:
        return await self.engine.take_connection()

    async def begin(self) -> None:
        try:
            await super().begin()  # type: ignore[no-untyped-call]
        except BaseException:
            await self.connection.close()
            raise

    async def __aexit__(self, exception_type: Any, exception: Any, traceback: Any) -> bool:
        if self._parent:
            return exception is None
        self.engine.current_transaction.reset(self.context)
        try:
            if exception is not None:
                await self.rollback()  # type: ignore[no-untyped-call]
            else:
                await self.commit()  # type: ignore[no-untyped-call]
        except BaseException:
            await self.connection.close()
            raise
        await self.engine.give_back(self.connection)
        return exception is None


class SQLite(SQLiteEngine):
    """Piccolo's engine with a shared connection, a pool for transactions and IMMEDIATE as the only kind of them."""

    __slots__ = ("_idle", "_lock", "_loop", "_shared")

    def __init__(self, path: str) -> None:
        # Values as they are stored: a converter in Python for each of them would cost more than the query.
        super().__init__(path=path, detect_types=0)
        self._shared: aiosqlite.Connection | None = None
        self._idle: list[aiosqlite.Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: asyncio.Lock | None = None

    async def get_connection(self) -> aiosqlite.Connection:
        """A new connection with this house's pragmas."""
        connection = await aiosqlite.connect(**self.connection_kwargs)
        try:
            connection.row_factory = sqlite3.Row
            for pragma in _PRAGMAS:
                await connection.execute("PRAGMA " + pragma)
        except BaseException:
            # Its thread would keep a process from ending that was asked to in this very moment.
            await connection.close()
            raise
        return connection

    async def take_connection(self) -> aiosqlite.Connection:
        """A connection for one transaction."""
        self._enter_loop()
        return self._idle.pop() if self._idle else await self.get_connection()

    async def give_back(self, connection: aiosqlite.Connection) -> None:
        """Returns a transaction's connection to the pool."""
        if len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            await connection.close()

    def _enter_loop(self) -> asyncio.Lock:
        # Connections belong to the loop that opened them: a second loop (a test, a command) starts with its own.
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            for connection in (*self._idle, *([self._shared] if self._shared else [])):
                connection.stop()
            self._loop, self._lock, self._shared, self._idle = loop, asyncio.Lock(), None, []
        assert self._lock is not None
        return self._lock

    async def _run_in_new_connection(
        self, query: str, args: list[Any] | None = None, query_type: str = "generic", table: type[Table] | None = None
    ) -> Any:
        async with self._enter_loop():
            if self._shared is None:
                self._shared = await self.get_connection()
            # One way to the connection's thread and back, not one for each of execute, fetch and close.
            return await self._shared.execute_fetchall(query, args or [])

    async def _run_in_existing_connection(
        self,
        connection: aiosqlite.Connection,
        query: str,
        args: list[Any] | None = None,
        query_type: str = "generic",
        table: type[Table] | None = None,
    ) -> Any:
        return await connection.execute_fetchall(query, args or [])

    def transform_response_to_dicts(self, results: Any) -> list[dict[str, Any]]:
        """Rows as Piccolo wants them."""
        return _as_dicts(results)

    def transaction(
        self, transaction_type: TransactionType = TransactionType.immediate, allow_nested: bool = True
    ) -> _Transaction:
        """An immediate transaction, whatever kind was asked for."""
        return _Transaction(engine=self, transaction_type=TransactionType.immediate, allow_nested=allow_nested)

    async def close(self) -> None:
        """Closes every connection of the running loop, so that the process can end."""
        connections = [*self._idle, *([self._shared] if self._shared else [])]
        self._idle, self._shared = [], None
        for connection in connections:
            await connection.close()


class Records:
    """The open database of one process; `async with` opens and closes it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: SQLite | PostgresEngine = _engine(url)

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return isinstance(self.engine, SQLite)

    async def open(self, pool: int = 4) -> "Records":
        """Binds the tables to this engine and checks that it answers; raises `DatabaseAway`."""
        _bind(self.engine)
        try:
            if isinstance(self.engine, PostgresEngine):
                await self.engine.start_connection_pool(min_size=1, max_size=pool, init=_for_small_questions, reset=_as_it_is)
            await self.run("SELECT 1 AS one")
        except (OSError, aiosqlite.Error) as fault:
            raise (DatabaseDamaged if _is_damaged(fault) else DatabaseAway)(field="database") from fault
        return self

    async def close(self) -> None:
        """Gives all connections back."""
        if isinstance(self.engine, SQLite):
            await self.engine.close()
        else:
            await self.engine.close_connection_pool()

    async def __aenter__(self) -> "Records":
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def transaction(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """One transaction; nested use joins the outer one."""
        return self.engine.transaction()

    async def run(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """One statement with `{}` in place of each value, on either engine."""
        return _as_dicts(await self._ask(sql, values))

    async def tuples(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The same, with each row as its values in the order asked for: cheaper where there are many."""
        return [tuple(row) for row in await self._ask(sql, values)]

    async def _ask(self, sql: str, values: Sequence[Any]) -> Any:
        return await _asked(self.engine, sql, values)

    async def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """One statement (`?` for each value) for many rows, inside the current transaction: far cheaper than row by row."""
        transaction = self.engine.current_transaction.get()
        if transaction is None:
            raise RuntimeError("run_many belongs inside a transaction")
        if isinstance(self.engine, SQLite):
            await transaction.connection.executemany(sql, rows)
        else:
            parts = sql.split("?")
            numbered = parts[0] + "".join(f"${number}{part}" for number, part in enumerate(parts[1:], 1))
            await transaction.connection.executemany(numbered, rows)


async def rows_of(table: type[Table], sql: str, *values: Any) -> list[dict[str, Any]]:
    """As `Records.run`, where there is a table at hand and not the records."""
    engine: Any = table._meta.db
    return _as_dicts(await _asked(engine, sql, values))


async def _asked(engine: SQLite | PostgresEngine, sql: str, values: Sequence[Any]) -> Any:
    # Past Piccolo's query strings, which are taken apart anew each time: half the cost of a small question.
    transaction = engine.current_transaction.get()
    if isinstance(engine, SQLite):
        text = _placed(sql, numbered=False)
        if transaction is None:
            return await engine._run_in_new_connection(text, list(values))
        return await engine._run_in_existing_connection(transaction.connection, text, list(values))
    text = _placed(sql, numbered=True)
    if transaction is not None:
        return await transaction.connection.fetch(text, *values)
    return await (engine._run_in_pool if engine.pool else engine._run_in_new_connection)(text, values)


def _as_dicts(rows: Any) -> list[dict[str, Any]]:
    if not rows:
        return []
    names = tuple(rows[0].keys())
    return [dict(zip(names, row, strict=True)) for row in rows]


@lru_cache(maxsize=1024)
def _placed(sql: str, *, numbered: bool) -> str:
    """A statement with the engine's own sign in each place of a value."""
    parts = [(literal, field is not None) for literal, field, _, _ in Formatter().parse(sql)]
    found, number = "", 0
    for literal, value in parts:
        number += value
        found += literal + ((f"${number}" if numbered else "?") if value else "")
    return found


async def _for_small_questions(connection: Any) -> None:
    # Compiling a statement takes longer than the few rows of any of ours, whatever a large table lets the planner think.
    await connection.execute("SET jit = off")


async def _as_it_is(_connection: Any) -> None:
    """Nobody sets anything on a connection of the pool that its next user could trip over: the server need not be asked."""


def _is_damaged(fault: BaseException) -> bool:
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def of_database(fault: BaseException) -> bool:
    """Whether a fault is the database's own, so that the same work can succeed later; false for rows that it refuses."""
    from asyncpg import DataError, IntegrityConstraintViolationError, InterfaceError, PostgresError

    if isinstance(fault, (sqlite3.IntegrityError, sqlite3.DataError, DataError, IntegrityConstraintViolationError)):
        return False
    return isinstance(fault, (sqlite3.Error, InterfaceError, PostgresError))


def _engine(url: str) -> SQLite | PostgresEngine:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return SQLite(path=url.removeprefix("sqlite://"))
    if parts.scheme in ("postgresql", "postgres"):
        return PostgresEngine(config={"dsn": url})
    raise Misconfigured(field="database")


def _bind(engine: Engine[Any]) -> None:
    # Piccolo looks an engine up in a configuration module; ours is chosen at run time by one setting.
    from piccolo.apps.migrations.tables import Migration

    from appliance.records.tables import TABLES

    bound: tuple[Any, ...] = (*TABLES, Migration)
    for table in bound:
        table._meta._db = engine


async def migrate(records: Records) -> list[str]:
    """Brings the tables to this version; gives the names of the migrations that ran.

    Safe to call from several processes at once only on SQLite's lock or PostgreSQL's advisory lock, which it takes.
    """
    os.environ["PICCOLO_CONF"] = "appliance.records.piccolo_conf"
    configuration = importlib.import_module("appliance.records.piccolo_conf")
    configuration.__dict__["DB"] = records.engine
    try:
        return await _migrate(records)
    except sqlite3.DatabaseError as fault:
        if _is_damaged(fault):
            raise DatabaseDamaged(field="database") from fault
        raise


async def _migrate(records: Records) -> list[str]:
    async with _alone(records):
        before = await _done(records)
        wanted = sorted(file.stem for file in (Path(__file__).parent / "migrations").glob("records_*.py"))
        if set(wanted) <= before:
            return []
        from piccolo.apps.migrations.commands.forwards import run_forwards

        with contextlib.redirect_stdout(io.StringIO()) as said:
            result = await run_forwards(app_name="records")
        if not result.success:
            print(said.getvalue(), file=sys.stderr)
            raise MigrationFailed(field="database")
        return sorted(await _done(records) - before)


async def _done(records: Records) -> set[str]:
    from piccolo.apps.migrations.tables import Migration

    await Migration.create_table(if_not_exists=True).run()  # type: ignore[no-untyped-call]
    return {row["name"] for row in await Migration.select(Migration.name).run()}


@contextlib.asynccontextmanager
async def _alone(records: Records) -> AsyncIterator[None]:
    """One migrating process at a time."""
    if isinstance(records.engine, SQLite):
        mark = os.open(f"{records.engine.path}.migrating", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, mark, fcntl.LOCK_EX)
            yield
        finally:
            os.close(mark)
        return
    connection = await records.engine.get_new_connection()
    try:
        await connection.execute("SELECT pg_advisory_lock(7263841)")
        yield
    finally:
        await connection.close()
