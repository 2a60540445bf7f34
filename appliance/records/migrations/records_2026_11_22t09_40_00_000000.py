"""Senders with their pauses, and free space over time."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T09:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "senders and free space"

STATEMENTS = (
    """CREATE TABLE "senders" (
        "sender" VARCHAR(16) PRIMARY KEY NOT NULL,
        "address" VARCHAR(64) NOT NULL DEFAULT '',
        "studies" INTEGER NOT NULL DEFAULT 0,
        "instances" BIGINT NOT NULL DEFAULT 0,
        "pauses" TEXT NOT NULL DEFAULT '{}',
        "first_at" BIGINT NOT NULL DEFAULT 0,
        "last_at" BIGINT NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE "disk_samples" (
        "at" BIGINT PRIMARY KEY NOT NULL,
        "free" BIGINT NOT NULL,
        "total" BIGINT NOT NULL
    )""",
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
