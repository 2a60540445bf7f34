"""What single sign-on needs: things that count once, and whom a session stands for at the identity provider."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T09:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "single sign-on"

STATEMENTS = (
    """CREATE TABLE "single_use" (
        "key" VARCHAR(64) PRIMARY KEY NOT NULL,
        "kind" VARCHAR(16) NOT NULL DEFAULT '',
        "until" BIGINT NOT NULL DEFAULT 0,
        "body" TEXT NOT NULL DEFAULT ''
    )""",
    'CREATE INDEX "single_use_until" ON "single_use" ("until")',
    'ALTER TABLE "sessions" ADD COLUMN "subject_key" VARCHAR(64) NOT NULL DEFAULT \'\'',
    'ALTER TABLE "sessions" ADD COLUMN "subject" TEXT NOT NULL DEFAULT \'\'',
    'CREATE INDEX "sessions_subject_key" ON "sessions" ("subject_key")',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
