"""What the queue's figures need: how long each stage takes here."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.tables import Study

ID = "2026-11-22T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "durations of stages"

STATEMENTS = (
    'CREATE TABLE "stage_times" ("stage" VARCHAR(96) PRIMARY KEY NOT NULL, "runs" INTEGER NOT NULL DEFAULT 0, '
    '"mean_ms" BIGINT NOT NULL DEFAULT 0)',
)


async def create() -> None:
    """Adds the table."""
    engine = Study._meta.db
    for statement in STATEMENTS:
        await engine.run_ddl(statement)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    manager = MigrationManager(migration_id=ID, app_name="records", description=DESCRIPTION)
    manager.add_raw(create)
    return manager
