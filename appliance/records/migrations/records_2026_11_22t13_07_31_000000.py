"""Groups with their reports, and notices; what a group is delivered to is now a list of destinations like any other."""

import json

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration
from appliance.records.tables import SettingsRow

ID = "2026-11-22T13:07:31:000000"
VERSION = "1.38.0"
DESCRIPTION = "groups and notices"

STATEMENTS = (
    """CREATE TABLE "cohorts" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "name" VARCHAR(64) UNIQUE NOT NULL,
        "products" VARCHAR(1024) NOT NULL DEFAULT '',
        "created_by" VARCHAR(64) NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "completed_key" VARCHAR(64) NOT NULL DEFAULT '',
        "schedule" VARCHAR(128) NOT NULL DEFAULT '',
        "scheduled_at" BIGINT NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE "cohort_reports" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "cohort" VARCHAR(36) NOT NULL,
        "version" INTEGER NOT NULL DEFAULT 1,
        "reason" VARCHAR(16) NOT NULL DEFAULT '',
        "members" INTEGER NOT NULL DEFAULT 0,
        "done" INTEGER NOT NULL DEFAULT 0,
        "failed" INTEGER NOT NULL DEFAULT 0,
        "folder" VARCHAR(255) NOT NULL DEFAULT '',
        "stem" VARCHAR(255) NOT NULL DEFAULT '',
        "formats" VARCHAR(64) NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL DEFAULT 0
    )""",
    'CREATE UNIQUE INDEX "cohort_reports_version" ON "cohort_reports" ("cohort", "version")',
    """CREATE TABLE "notices" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "seq" BIGINT NOT NULL DEFAULT 0,
        "subject" VARCHAR(32) NOT NULL,
        "severity" VARCHAR(8) NOT NULL,
        "route" VARCHAR(16) NOT NULL,
        "state" VARCHAR(16) NOT NULL,
        "reason" VARCHAR(255) NOT NULL DEFAULT '',
        "digest" BOOLEAN NOT NULL DEFAULT FALSE,
        "attempt" INTEGER NOT NULL DEFAULT 0,
        "worker" VARCHAR(64) NOT NULL DEFAULT '',
        "lease_until" BIGINT NOT NULL DEFAULT 0,
        "not_before" BIGINT NOT NULL DEFAULT 0,
        "at" BIGINT NOT NULL DEFAULT 0,
        "sent_at" BIGINT,
        "topic" VARCHAR(128) NOT NULL DEFAULT '',
        "body" TEXT NOT NULL DEFAULT '{}'
    )""",
    'CREATE INDEX "notices_state" ON "notices" ("state", "not_before")',
    'CREATE INDEX "notices_topic" ON "notices" ("topic", "at")',
    'CREATE INDEX "notices_seq" ON "notices" ("seq")',
    'CREATE INDEX "notices_at" ON "notices" ("at")',
    """CREATE TABLE "marks" ("name" VARCHAR(32) PRIMARY KEY NOT NULL, "seq" BIGINT NOT NULL DEFAULT 0)""",
)

_GONE = ("delivery", "recipients", "url")


async def tidy() -> None:
    """Takes fields out of saved settings that nothing ever read."""
    for row in await SettingsRow.select(SettingsRow.version, SettingsRow.document).run():
        document = json.loads(row["document"])
        groups = document.get("groups", {})
        if [name for name in _GONE if groups.pop(name, None) is not None]:
            changed = json.dumps(document, separators=(",", ":"))
            await SettingsRow.update({SettingsRow.document: changed}).where(SettingsRow.version == row["version"]).run()


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    manager = migration(ID, DESCRIPTION, STATEMENTS)
    manager.add_raw(tidy)
    return manager
