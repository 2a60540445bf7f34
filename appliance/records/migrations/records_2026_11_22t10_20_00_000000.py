"""Requests of storage commitment that are to be answered."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.tables import Study

ID = "2026-11-22T10:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "storage commitment"

_TABLE = """CREATE TABLE "commitments" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "sender" VARCHAR(16) NOT NULL,
        "association" VARCHAR(36) NOT NULL DEFAULT '',
        "sealed" {bytes} NOT NULL,
        "tries" INTEGER NOT NULL DEFAULT 0,
        "asked_at" BIGINT NOT NULL,
        "next_at" BIGINT NOT NULL
    )"""


async def create() -> None:
    """Adds the table."""
    engine = Study._meta.db
    await engine.run_ddl(_TABLE.replace("{bytes}", "BYTEA" if engine.engine_type == "postgres" else "BLOB"))


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    manager = MigrationManager(migration_id=ID, app_name="records", description=DESCRIPTION)
    manager.add_raw(create)
    return manager
