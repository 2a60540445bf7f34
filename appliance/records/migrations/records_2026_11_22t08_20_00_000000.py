"""What the data-flow page needs: when each destination was last used."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.tables import Study

ID = "2026-11-22T08:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "last use of destinations"

STATEMENTS = ('CREATE INDEX "deliveries_destination_sent_at" ON "deliveries" ("destination", "sent_at")',)


async def create() -> None:
    """Adds the index."""
    engine = Study._meta.db
    for statement in STATEMENTS:
        await engine.run_ddl(statement)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    manager = MigrationManager(migration_id=ID, app_name="records", description=DESCRIPTION)
    manager.add_raw(create)
    return manager
