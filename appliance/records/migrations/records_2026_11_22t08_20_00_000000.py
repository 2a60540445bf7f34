"""What the data-flow page needs: when each destination was last used."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T08:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "last use of destinations"

STATEMENTS = ('CREATE INDEX "deliveries_destination_sent_at" ON "deliveries" ("destination", "sent_at")',)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
