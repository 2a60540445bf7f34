"""Which call asked for a group's report: the same key again gives the same report."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T16:53:41:000000"
VERSION = "1.38.0"
DESCRIPTION = "idempotency keys of group reports"

STATEMENTS = (
    'ALTER TABLE "cohort_reports" ADD COLUMN "idempotency_key" VARCHAR(64) NOT NULL DEFAULT \'\'',
    'CREATE UNIQUE INDEX "cohort_reports_key" ON "cohort_reports" ("idempotency_key") WHERE "idempotency_key" <> \'\'',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
