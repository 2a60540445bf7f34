"""What watched folders need: drops, and the studies that each brought."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T13:07:41:000000"
VERSION = "1.38.0"
DESCRIPTION = "drops of watched folders"

STATEMENTS = (
    """CREATE TABLE "drops" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "folder" VARCHAR(40) NOT NULL DEFAULT '',
        "state" VARCHAR(16) NOT NULL DEFAULT '',
        "sealed" {bytes} NOT NULL DEFAULT {empty},
        "stored" INTEGER NOT NULL DEFAULT 0,
        "left_out" INTEGER NOT NULL DEFAULT 0,
        "detail" TEXT NOT NULL DEFAULT '',
        "attempt" INTEGER NOT NULL DEFAULT 0,
        "not_before" BIGINT NOT NULL DEFAULT 0,
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "ended_at" BIGINT
    )""",
    'CREATE INDEX "drops_folder" ON "drops" ("folder")',
    'CREATE INDEX "drops_state" ON "drops" ("state")',
    'CREATE INDEX "drops_created_at" ON "drops" ("created_at")',
    """CREATE TABLE "drop_studies" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "drop_id" VARCHAR(36) NOT NULL DEFAULT '',
        "folder" VARCHAR(40) NOT NULL DEFAULT '',
        "uid_key" VARCHAR(32) NOT NULL DEFAULT ''
    )""",
    'CREATE INDEX "drop_studies_drop_id" ON "drop_studies" ("drop_id")',
    'CREATE INDEX "drop_studies_uid_key" ON "drop_studies" ("uid_key")',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
