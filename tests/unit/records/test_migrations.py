"""The migrations bring an empty database to the tables of `tables.py`, on both engines."""

import importlib
import re
import subprocess
import sys
from typing import Any

from piccolo.columns import BigInt, BigSerial, Boolean, Bytea, Column, Integer, Text, Varchar
from piccolo.table import Table

from appliance.records.engine import Records, migrate
from appliance.records.tables import TABLES, StudyListed, StudyText

MIGRATE = """
import asyncio, sys
from appliance.records.engine import Records, migrate

async def main():
    async with Records(sys.argv[1]) as records:
        print(len(await migrate(records)))

asyncio.run(main())
"""


async def test_migrating_again_changes_nothing(records_url: str) -> None:
    async with Records(records_url) as records:
        assert await migrate(records)
        assert await migrate(records) == []


def test_two_processes_that_migrate_at_once_do_it_once(records_url: str) -> None:
    argv = [sys.executable, "-c", MIGRATE, records_url]
    started = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], answers
    counts = sorted(int(said) for said, _ in answers)
    assert counts[0] == 0
    assert counts[1] > 0


KEPT_BY_TRIGGERS = (StudyListed, StudyText)


# What a column is: (SQLite's declared type, PostgreSQL's type and length).
def _types(column: Column) -> tuple[str, tuple[str, int | None]]:
    match column:
        case Varchar():
            return f"VARCHAR({column.length})", ("character varying", column.length)
        case Text():
            return "TEXT", ("text", None)
        case BigSerial():
            return "INTEGER", ("bigint", None)
        case BigInt():
            return "BIGINT", ("bigint", None)
        case Integer():
            return "INTEGER", ("integer", None)
        case Boolean():
            return "BOOLEAN", ("boolean", None)
        case Bytea():
            return "BLOB", ("bytea", None)
    raise AssertionError(f"the test does not know columns of type {type(column).__name__}")


async def _columns(records: Records, table: str) -> dict[str, tuple[Any, bool]]:
    """Column -> (type as the engine says it, whether it may be null)."""
    if records.on_sqlite:
        rows = await records.run(f'PRAGMA table_info("{table}")')
        return {row["name"]: (row["type"].upper(), not row["notnull"] and not row["pk"]) for row in rows}
    rows = await records.run(
        "SELECT column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = {}",
        table,
    )
    return {
        row["column_name"]: ((row["data_type"], row["character_maximum_length"]), row["is_nullable"] == "YES") for row in rows
    }


async def _indexes(records: Records, table: str) -> set[tuple[str, bool]]:
    """The first column of each index, and whether the index is unique and has no other."""
    if records.on_sqlite:
        found = set()
        for index in await records.run(f'PRAGMA index_list("{table}")'):
            columns = [row["name"] for row in await records.run(f'PRAGMA index_info("{index["name"]}")')]
            found.add((columns[0], bool(index["unique"]) and len(columns) == 1))
        return found
    rows = await records.run("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = {}", table)
    parsed = [(row["indexdef"], re.search(r"\(([^)]*)\)", row["indexdef"])) for row in rows]
    listed = [
        ("UNIQUE" in text, [one.strip().strip('"') for one in match.group(1).split(",")]) for text, match in parsed if match
    ]
    return {(columns[0], unique and len(columns) == 1) for unique, columns in listed}


async def test_the_migrated_columns_are_those_of_the_classes(records: Records) -> None:
    side = 0 if records.on_sqlite else 1
    found = {table._meta.tablename: await _columns(records, table._meta.tablename) for table in TABLES}
    assert found == {
        table._meta.tablename: {
            column._meta.db_column_name: (_types(column)[side], bool(column._meta.null)) for column in table._meta.columns
        }
        for table in TABLES
    }


async def test_every_column_declared_as_indexed_or_unique_is(records: Records) -> None:
    for table in TABLES:
        indexes = await _indexes(records, table._meta.tablename)
        for column in table._meta.columns:
            name, place = column._meta.db_column_name, table._meta.tablename
            if column._meta.unique:
                assert (name, True) in indexes, f"{place}.{name}"
            elif column._meta.index and not column._meta.primary_key:
                assert name in {first for first, _ in indexes}, f"{place}.{name}"


async def test_no_table_stands_in_the_database_that_the_code_does_not_know(records: Records) -> None:
    if records.on_sqlite:
        # The text index of SQLite keeps tables of its own behind `study_words`.
        rows = await records.run(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'study_words%'"
        )
    else:
        rows = await records.run("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    assert {row["name"] for row in rows} - {"migration"} == {table._meta.tablename for table in TABLES}


async def test_each_table_takes_and_gives_back_a_row(records: Records) -> None:
    for table in TABLES:
        if table in KEPT_BY_TRIGGERS:
            continue
        filled: dict[str, Any] = {
            column._meta.name: _a_value(column) for column in table._meta.columns if not isinstance(column, BigSerial)
        }
        await table.insert(table(**filled)).run()
        row = await table.select().first().run()
        assert row is not None
        assert _plain(table, row) == filled


def _a_value(column: Column) -> object:
    if isinstance(column, Boolean):
        return True
    if isinstance(column, Bytea):
        return b"\x00\xff'"
    if isinstance(column, BigInt):
        return 2**53 + 1
    if isinstance(column, Integer):
        return 2**31 - 1
    length = column.length or 200 if isinstance(column, Varchar) else 200
    return "äß'\"{}?$1"[:length]


def _plain(table: type[Table], row: dict[str, Any]) -> dict[str, Any]:
    """A selected row by the names of the class: Piccolo gives the names of the database."""
    found = {}
    for column in table._meta.columns:
        value = row[column._meta.db_column_name]
        if not isinstance(column, BigSerial):
            found[column._meta.name] = bytes(value) if isinstance(column, Bytea) else value
    return found


async def test_saved_settings_lose_the_fields_that_nothing_read(records: Records) -> None:
    """A document of an earlier version is still understood: unknown fields are refused, so they are taken out."""
    from appliance.records.migrations import records_2026_11_22t13_07_31_000000 as move

    document = '{"groups":{"schedule":"0 6 * * 1","delivery":"none","recipients":"","url":""},"site":{"name":"A"}}'
    await records.run("INSERT INTO settings (version, document, saved_at, saved_by) VALUES (1, {}, 0, 'x')", document)
    await move.tidy()
    (row,) = await records.run("SELECT document FROM settings")
    assert row["document"] == '{"groups":{"schedule":"0 6 * * 1"},"site":{"name":"A"}}'


async def test_orders_of_before_get_the_counts_of_their_checks(records: Records) -> None:
    findings = ", ".join(f'{{"verdict": "{one}"}}' for one in ("passed", "failed", "not-applicable", "warning"))
    for name, report in (("looked-at", f'{{"findings": [{findings}]}}'), ("not-yet", "")):
        await records.run("INSERT INTO orders (id, study, state, qc_report) VALUES ({}, 's', 'QC', {})", name, report)
    migration: Any = importlib.import_module("appliance.records.migrations.records_2026_11_22t13_47_29_000000")
    await records.run(migration.statements("sqlite" if records.on_sqlite else "postgres")[-1])
    rows = await records.run("SELECT id, qc_asked, qc_failed FROM orders ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [("looked-at", 3, 1), ("not-yet", 0, 0)]
