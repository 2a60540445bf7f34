"""Records of any size, made by the database itself: studies with an order, a report and an identity each, known row by row."""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from appliance.records.engine import Records

NOW = 1_790_000_000_000
EVERY_MS = 60_000
RARE = 100_000
"""One study in so many is of a group of its own, `RARE-<number>`."""

_LISTED = "appliance.records.migrations.records_2026_11_22t08_10_00_000000"
_LINES = "appliance.records.migrations.records_2026_11_22t16_23_37_000000"
_STATE = (
    "CASE WHEN i % 100 < 90 THEN 'DELIVERED' WHEN i % 100 < 94 THEN 'REPORTED' WHEN i % 100 < 97 THEN 'FAILED' "
    "WHEN i % 100 = 97 THEN 'QC_FAILED' WHEN i % 100 = 98 THEN 'CANCELLED' ELSE 'EXPIRED' END"
)
_GROUP = f"CASE WHEN i % {RARE} = 7 THEN 'RARE-' || i WHEN i % 5 = 0 THEN 'COHORT-' || (i % 2000) ELSE '' END"


def _statements(count: int, *, on_sqlite: bool) -> list[str]:
    def digits(expression: str, length: int) -> str:
        # Letters of the identifiers are the same on both engines.
        if on_sqlite:
            return f"printf('%0{length}x', {expression})"
        return f"LPAD(TO_HEX(({expression})::bigint), {length}, '0')"

    def identifier(kind: int) -> str:
        at = f"({NOW} - ({count} - i) * {EVERY_MS}) * 4 + {kind}"
        first, second = digits(f"(({at}) / 65536) % 4294967296", 8), digits(f"({at}) % 65536", 4)
        end = digits(f"(i * {2654435761 + 2 * kind} + {kind}) % 4294967296", 8)
        return f"{first} || '-' || {second} || '-7000-8000-0000' || {end}"

    numbers = f"GENERATE_SERIES(1::bigint, {count}::bigint) AS numbers(i)"
    if on_sqlite:
        numbers = (
            f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n) AS numbers"
        )
    at = f"{NOW} - ({count} - i) * {EVERY_MS}"
    empty = "X'00'" if on_sqlite else "'\\x00'::bytea"
    return [
        "INSERT INTO studies (id, state, uid_key, sender, instances, series, first_at, last_at, stable_at, group_name) "
        f"SELECT {identifier(0)}, 'STABLE', {digits('i', 16)}, 'MR_SCANNER_' || (i % 20), 60 + i % 400, 1 + i % 9, "
        f"{at}, {at} + 1000, {at} + 2000, {_GROUP} FROM {numbers}",
        "INSERT INTO orders (id, study, state, code, products, group_name, owner, qc_verdict, age_years, created_at, "
        f"updated_at) SELECT {identifier(1)}, {identifier(0)}, {_STATE}, "
        "CASE WHEN i % 100 IN (94, 95, 96) THEN 'compute-failed' ELSE '' END, "
        f"CASE WHEN i % 3 = 0 THEN 'dti,dti-fw' ELSE 'dti' END, {_GROUP}, 'admin', 'passed', 20 + i % 70, {at} + 3000, "
        f"{at} + 4000 FROM {numbers}",
        "INSERT INTO reports (id, order_id, formats, created_at) "
        f"SELECT {identifier(2)}, {identifier(1)}, 'json,txt,pdf', {at} + 5000 FROM {numbers}",
        "INSERT INTO identities (study, sealed, patient_key, accession_key) "
        f"SELECT {identifier(0)}, {empty}, {digits('i % 300000', 32)}, {digits('i', 32)} FROM {numbers}",
    ]


async def many_studies(records: Records, count: int) -> None:
    """So many studies in empty, migrated records, with statistics as a database that has run for a while has them."""
    async with at_once(records):
        for statement in _statements(count, on_sqlite=records.on_sqlite):
            await records.engine.run_ddl(statement)


@asynccontextmanager
async def at_once(records: Records) -> AsyncIterator[None]:
    """What is put into empty, migrated records in this block is listed and indexed at its end, and not row by row."""
    listed: Any = importlib.import_module(_LISTED)
    lines: Any = importlib.import_module(_LINES)
    if records.on_sqlite:
        # Rows that can be made again: nobody waits for the disk.
        await records.run("PRAGMA synchronous=OFF")
        await records.run("PRAGMA cache_size=-400000")
    engine_type = "sqlite" if records.on_sqlite else "postgres"
    made = [*listed.statements(engine_type), *lines.statements(engine_type)]
    triggers = [one for one in made if one.startswith("CREATE TRIGGER")]
    for name, table in [(one[0], one[2]) for one in (*listed.TRIGGERS, *lines.TRIGGERS)]:
        await records.engine.run_ddl(f"DROP TRIGGER {name}" + ("" if records.on_sqlite else f" ON {table}"))
    if records.on_sqlite:
        for name in ("words_added", "words_removed", "words_changed"):
            await records.engine.run_ddl(f"DROP TRIGGER {name}")
    else:
        await records.engine.run_ddl("DROP INDEX IF EXISTS study_texts_words")
    yield
    statements = [] if records.on_sqlite else ["ANALYZE"]
    statements += [*lines.fills(engine_type), *listed.fills(engine_type)[1:]]
    statements.append("INSERT INTO study_words (study_words) VALUES ('rebuild')" if records.on_sqlite else listed.PG_TRGM[1])
    for statement in (*statements, *triggers):
        await records.engine.run_ddl(statement)
    if records.on_sqlite:
        await records.run("PRAGMA wal_checkpoint(TRUNCATE)")
        await records.run("PRAGMA synchronous=FULL")
        await records.run("PRAGMA cache_size=-8000")
    else:
        # As the database does by itself where it runs: then an index alone can answer.
        await records.run("VACUUM (ANALYZE)")
