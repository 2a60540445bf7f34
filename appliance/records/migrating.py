"""What migrations have in common: statements that both engines read, run one after the other in Piccolo's turn."""

from collections.abc import Sequence

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.tables import Study

DIALECT = {
    "sqlite": {"{serial}": "INTEGER PRIMARY KEY AUTOINCREMENT", "{bytes}": "BLOB", "{empty}": "X''"},
    "postgres": {"{serial}": "BIGSERIAL PRIMARY KEY", "{bytes}": "BYTEA", "{empty}": "''"},
}
"""What stands in a statement where the engines differ, as each writes it."""


def migration(identifier: str, description: str, statements: Sequence[str]) -> MigrationManager:
    """A migration that runs these statements in their order, each as the engine at hand writes it."""

    async def run() -> None:
        engine = Study._meta.db
        for statement in statements:
            await engine.run_ddl(_in_dialect(statement, engine.engine_type))

    manager = MigrationManager(migration_id=identifier, app_name="records", description=description)
    manager.add_raw(run)
    return manager


def _in_dialect(statement: str, engine_type: str) -> str:
    for sign, word in DIALECT[engine_type].items():
        statement = statement.replace(sign, word)
    return statement
