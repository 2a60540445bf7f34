"""The last look: what is sought in what leaves without identity, sealed; and what was looked through, by its digest."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T16:33:27:000000"
VERSION = "1.38.0"
DESCRIPTION = "the last look"

STATEMENTS = (
    'ALTER TABLE "identities" ADD COLUMN "sought" {bytes} NOT NULL DEFAULT {empty}',
    'ALTER TABLE "reports" ADD COLUMN "searched" TEXT NOT NULL DEFAULT \'{}\'',
    'ALTER TABLE "cohort_reports" ADD COLUMN "searched" TEXT NOT NULL DEFAULT \'{}\'',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
