"""What the lists need: the age in years as a column of its own, and indexes in the order of their pages."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T03:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "columns and indexes of the lists"

STATEMENTS = (
    'ALTER TABLE "orders" ADD COLUMN "age_years" INTEGER',
    'CREATE INDEX "studies_first_at_id" ON "studies" ("first_at", "id")',
    'CREATE INDEX "studies_last_at_id" ON "studies" ("last_at", "id")',
    'CREATE INDEX "orders_study_id" ON "orders" ("study", "id")',
    'CREATE INDEX "orders_created_at_id" ON "orders" ("created_at", "id")',
    'CREATE INDEX "orders_updated_at_id" ON "orders" ("updated_at", "id")',
    'CREATE INDEX "reports_created_at_id" ON "reports" ("created_at", "id")',
    # The last eight digits, by which people name a study: a UUIDv7 begins with the time, so neighbours begin alike.
    'CREATE INDEX "studies_end" ON "studies" (SUBSTR("id", 29))',
    'CREATE INDEX "orders_end" ON "orders" (SUBSTR("id", 29))',
    'CREATE INDEX "reports_end" ON "reports" (SUBSTR("id", 29))',
    'CREATE INDEX "deliveries_end" ON "deliveries" (SUBSTR("id", 29))',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
