"""Requests of storage commitment that are to be answered."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T10:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "storage commitment"

STATEMENTS = (
    """CREATE TABLE "commitments" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "sender" VARCHAR(16) NOT NULL,
        "association" VARCHAR(36) NOT NULL DEFAULT '',
        "sealed" {bytes} NOT NULL,
        "tries" INTEGER NOT NULL DEFAULT 0,
        "asked_at" BIGINT NOT NULL,
        "next_at" BIGINT NOT NULL
    )""",
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
