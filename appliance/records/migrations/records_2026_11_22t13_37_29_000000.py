"""What the clock and the trail of the audit need: last results of scheduled tasks, and how much of the audit was taken."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T13:37:29:000000"
VERSION = "1.38.0"
DESCRIPTION = "results of tasks, and the trail of the audit"

STATEMENTS = (
    'ALTER TABLE "task_runs" ADD COLUMN "failed" BOOLEAN NOT NULL DEFAULT FALSE',
    'ALTER TABLE "task_runs" ADD COLUMN "took_ms" BIGINT NOT NULL DEFAULT 0',
    'ALTER TABLE "task_runs" ADD COLUMN "asked_at" BIGINT NOT NULL DEFAULT 0',
    """CREATE TABLE "audit_sent" (
        "destination" VARCHAR(300) PRIMARY KEY NOT NULL,
        "seq" BIGINT NOT NULL DEFAULT 0,
        "at" BIGINT NOT NULL DEFAULT 0,
        "failing_since" BIGINT NOT NULL DEFAULT 0,
        "detail" VARCHAR(255) NOT NULL DEFAULT ''
    )""",
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
