"""What query and retrieve need: retrievals, and what the source of a study said that it holds."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T10:47:13:000000"
VERSION = "1.38.0"
DESCRIPTION = "pulls and completeness"

STATEMENTS = (
    """CREATE TABLE "pulls" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "node" VARCHAR(40) NOT NULL DEFAULT '',
        "state" VARCHAR(16) NOT NULL DEFAULT '',
        "reason" VARCHAR(16) NOT NULL DEFAULT '',
        "sealed" {bytes} NOT NULL DEFAULT {empty},
        "uid_key" VARCHAR(32) NOT NULL DEFAULT '',
        "level" VARCHAR(8) NOT NULL DEFAULT 'STUDY',
        "remaining" INTEGER,
        "completed" INTEGER NOT NULL DEFAULT 0,
        "failed" INTEGER NOT NULL DEFAULT 0,
        "warnings" INTEGER NOT NULL DEFAULT 0,
        "attempt" INTEGER NOT NULL DEFAULT 0,
        "detail" TEXT NOT NULL DEFAULT '',
        "owner" VARCHAR(64) NOT NULL DEFAULT '',
        "cancel_asked" BOOLEAN NOT NULL DEFAULT FALSE,
        "worker" VARCHAR(64) NOT NULL DEFAULT '',
        "lease_until" BIGINT NOT NULL DEFAULT 0,
        "not_before" BIGINT NOT NULL DEFAULT 0,
        "idempotency_key" VARCHAR(64) NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "ended_at" BIGINT
    )""",
    'CREATE INDEX "pulls_state" ON "pulls" ("state")',
    'CREATE INDEX "pulls_uid_key" ON "pulls" ("uid_key")',
    'CREATE INDEX "pulls_idempotency_key" ON "pulls" ("idempotency_key")',
    'CREATE INDEX "pulls_created_at" ON "pulls" ("created_at")',
    """CREATE TABLE "completeness" (
        "study" VARCHAR(36) PRIMARY KEY NOT NULL,
        "node" VARCHAR(40) NOT NULL DEFAULT '',
        "state" VARCHAR(16) NOT NULL DEFAULT '',
        "row_version" INTEGER NOT NULL DEFAULT 0,
        "expected" INTEGER,
        "held" INTEGER NOT NULL DEFAULT 0,
        "missing" INTEGER NOT NULL DEFAULT 0,
        "pulls" INTEGER NOT NULL DEFAULT 0,
        "detail" TEXT NOT NULL DEFAULT '',
        "asked_at" BIGINT NOT NULL DEFAULT 0
    )""",
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
