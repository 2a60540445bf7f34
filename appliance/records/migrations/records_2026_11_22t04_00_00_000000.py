"""What the queue's figures need: how long each stage takes here."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "durations of stages"

STATEMENTS = (
    'CREATE TABLE "stage_times" ("stage" VARCHAR(96) PRIMARY KEY NOT NULL, "runs" INTEGER NOT NULL DEFAULT 0, '
    '"mean_ms" BIGINT NOT NULL DEFAULT 0)',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
