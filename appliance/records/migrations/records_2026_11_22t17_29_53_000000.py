"""Scheduled tasks: switched off by a person, and what each has said; what the log lines must lose."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T17:29:53:000000"
VERSION = "1.38.0"
DESCRIPTION = "history of scheduled tasks, erasures"

STATEMENTS = (
    'ALTER TABLE "task_runs" ADD COLUMN "off" BOOLEAN NOT NULL DEFAULT FALSE',
    """CREATE TABLE "task_results" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "name" VARCHAR(48) NOT NULL DEFAULT '',
        "first_at" BIGINT NOT NULL DEFAULT 0,
        "last_at" BIGINT NOT NULL DEFAULT 0,
        "times" BIGINT NOT NULL DEFAULT 1,
        "took_ms" BIGINT NOT NULL DEFAULT 0,
        "result" VARCHAR(255) NOT NULL DEFAULT '',
        "failed" BOOLEAN NOT NULL DEFAULT FALSE
    )""",
    """CREATE TABLE "erasures" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "at" BIGINT NOT NULL DEFAULT 0
    )""",
    'CREATE INDEX "task_results_name" ON "task_results" ("name", "last_at")',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
