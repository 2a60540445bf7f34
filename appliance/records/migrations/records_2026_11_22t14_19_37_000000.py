"""Storage commitment of delivered reports: under which transaction it was asked for, and what was answered."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T14:19:37:000000"
VERSION = "1.38.0"
DESCRIPTION = "storage commitment of reports"

STATEMENTS = (
    'ALTER TABLE "deliveries" ADD COLUMN "transaction_uid" VARCHAR(64) NOT NULL DEFAULT \'\'',
    'ALTER TABLE "deliveries" ADD COLUMN "asked_at" BIGINT NOT NULL DEFAULT 0',
    'ALTER TABLE "deliveries" ADD COLUMN "commitment" INTEGER NOT NULL DEFAULT -1',
    'ALTER TABLE "deliveries" ADD COLUMN "warned" BOOLEAN NOT NULL DEFAULT FALSE',
    'CREATE INDEX "deliveries_transaction_uid" ON "deliveries" ("transaction_uid")',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
