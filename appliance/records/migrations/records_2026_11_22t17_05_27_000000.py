"""What the cloud has of our orders."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T17:05:27:000000"
VERSION = "1.38.0"
DESCRIPTION = "cloud orders"

STATEMENTS = (
    """CREATE TABLE "cloud_orders" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "order_id" VARCHAR(36) NOT NULL,
        "remote" VARCHAR(64) NOT NULL DEFAULT '',
        "sent" INTEGER NOT NULL DEFAULT 0,
        "upload" VARCHAR(128) NOT NULL DEFAULT '',
        "etag" VARCHAR(128) NOT NULL DEFAULT '',
        "started" BOOLEAN NOT NULL DEFAULT FALSE,
        "created_at" BIGINT NOT NULL DEFAULT 0
    )""",
    'CREATE INDEX "cloud_orders_order_id" ON "cloud_orders" ("order_id")',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
