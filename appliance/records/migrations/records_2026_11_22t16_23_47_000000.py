"""What clients of the hub connect, upload and order."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T16:23:47:000000"
VERSION = "1.38.0"
DESCRIPTION = "hub"

STATEMENTS = (
    """CREATE TABLE "hub_sessions" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "token" VARCHAR(36) NOT NULL,
        "sealed" {bytes} NOT NULL,
        "expires_at" BIGINT NOT NULL DEFAULT 0
    )""",
    'CREATE INDEX "hub_sessions_expires_at" ON "hub_sessions" ("expires_at")',
    """CREATE TABLE "hub_orders" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "token" VARCHAR(36) NOT NULL,
        "uid_key" VARCHAR(32) NOT NULL DEFAULT '',
        "sop_keys" TEXT NOT NULL DEFAULT '[]',
        "bytes" BIGINT NOT NULL DEFAULT 0,
        "complete" BOOLEAN NOT NULL DEFAULT FALSE,
        "product" VARCHAR(64) NOT NULL DEFAULT '',
        "order_id" VARCHAR(36) NOT NULL DEFAULT '',
        "refused" VARCHAR(255) NOT NULL DEFAULT '',
        "qc_report" TEXT NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "asked_at" BIGINT NOT NULL DEFAULT 0
    )""",
    'CREATE INDEX "hub_orders_token" ON "hub_orders" ("token")',
    'CREATE INDEX "hub_orders_created_at" ON "hub_orders" ("created_at")',
    'CREATE INDEX "hub_orders_uid_key" ON "hub_orders" ("uid_key")',
    'CREATE INDEX "hub_orders_asked_at" ON "hub_orders" ("asked_at")',
    """CREATE TABLE "hub_uploads" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "hub_order" VARCHAR(36) NOT NULL,
        "zip_index" INTEGER NOT NULL DEFAULT 0,
        "done" BOOLEAN NOT NULL DEFAULT FALSE,
        "created_at" BIGINT NOT NULL DEFAULT 0
    )""",
    'CREATE INDEX "hub_uploads_hub_order" ON "hub_uploads" ("hub_order")',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
