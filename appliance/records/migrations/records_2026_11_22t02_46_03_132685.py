"""The first tables.

Written as SQL that both engines read, so that it stays as it is when `tables.py` goes on.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.tables import Study

ID = "2026-11-22T02:46:03:132685"
VERSION = "1.38.0"
DESCRIPTION = "the first tables"

TABLES = (
    """CREATE TABLE "studies" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "version" INTEGER NOT NULL DEFAULT 1,
        "state" VARCHAR(16) NOT NULL DEFAULT '',
        "uid_key" VARCHAR(32) UNIQUE NOT NULL DEFAULT '',
        "pseudonym" VARCHAR(32) NOT NULL DEFAULT '',
        "sender" VARCHAR(64) NOT NULL DEFAULT '',
        "address" VARCHAR(64) NOT NULL DEFAULT '',
        "origin" VARCHAR(16) NOT NULL DEFAULT 'dicom',
        "instances" INTEGER NOT NULL DEFAULT 0,
        "series" INTEGER NOT NULL DEFAULT 0,
        "bytes" BIGINT NOT NULL DEFAULT 0,
        "first_at" BIGINT NOT NULL DEFAULT 0,
        "last_at" BIGINT NOT NULL DEFAULT 0,
        "stable_at" BIGINT,
        "reason" VARCHAR(64) NOT NULL DEFAULT '',
        "conflicts" INTEGER NOT NULL DEFAULT 0,
        "priority" INTEGER NOT NULL DEFAULT 0,
        "product_tag" TEXT NOT NULL DEFAULT '',
        "labels" TEXT NOT NULL DEFAULT '[]',
        "workflow_status" VARCHAR(32) NOT NULL DEFAULT '',
        "group_name" VARCHAR(64) NOT NULL DEFAULT '',
        "row_version" INTEGER NOT NULL DEFAULT 1
    )""",
    """CREATE TABLE "series" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "study" VARCHAR(36) NOT NULL DEFAULT '',
        "uid_key" VARCHAR(32) NOT NULL DEFAULT '',
        "number" INTEGER NOT NULL DEFAULT 0,
        "modality" VARCHAR(16) NOT NULL DEFAULT '',
        "label" VARCHAR(128) NOT NULL DEFAULT '',
        "sop_class" VARCHAR(64) NOT NULL DEFAULT '',
        "transfer_syntax" VARCHAR(64) NOT NULL DEFAULT '',
        "instances" INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE "instances" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "study" VARCHAR(36) NOT NULL DEFAULT '',
        "series" VARCHAR(36) NOT NULL DEFAULT '',
        "version" INTEGER NOT NULL DEFAULT 1,
        "sop_key" VARCHAR(32) NOT NULL DEFAULT '',
        "sop_class" VARCHAR(64) NOT NULL DEFAULT '',
        "transfer_syntax" VARCHAR(64) NOT NULL DEFAULT '',
        "content_hash" VARCHAR(64) NOT NULL DEFAULT '',
        "bytes" BIGINT NOT NULL DEFAULT 0,
        "path" VARCHAR(255) NOT NULL DEFAULT '',
        "conflict" BOOLEAN NOT NULL DEFAULT FALSE,
        "sender" VARCHAR(64) NOT NULL DEFAULT '',
        "received_at" BIGINT NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE "identities" (
        "study" VARCHAR(36) PRIMARY KEY NOT NULL,
        "sealed" {bytes} NOT NULL DEFAULT {empty},
        "linking" {bytes} NOT NULL DEFAULT {empty},
        "patient_key" VARCHAR(32) NOT NULL DEFAULT '',
        "accession_key" VARCHAR(32) NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE "activities" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "kind" VARCHAR(16) NOT NULL DEFAULT '',
        "process" VARCHAR(64) NOT NULL DEFAULT '',
        "study" VARCHAR(36) NOT NULL DEFAULT '',
        "sender" VARCHAR(64) NOT NULL DEFAULT '',
        "opened_at" BIGINT NOT NULL DEFAULT 0,
        "seen_at" BIGINT NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE "orders" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "study" VARCHAR(36) NOT NULL DEFAULT '',
        "study_version" INTEGER NOT NULL DEFAULT 1,
        "state" VARCHAR(16) NOT NULL DEFAULT '',
        "code" VARCHAR(64) NOT NULL DEFAULT '',
        "detail" TEXT NOT NULL DEFAULT '',
        "products" VARCHAR(255) NOT NULL DEFAULT '',
        "priority" INTEGER NOT NULL DEFAULT 0,
        "group_name" VARCHAR(64) NOT NULL DEFAULT '',
        "owner" VARCHAR(64) NOT NULL DEFAULT '',
        "qc_verdict" VARCHAR(16) NOT NULL DEFAULT '',
        "qc_report" TEXT NOT NULL DEFAULT '',
        "bypass_by" VARCHAR(64) NOT NULL DEFAULT '',
        "bypass_reason" TEXT NOT NULL DEFAULT '',
        "metadata" TEXT NOT NULL DEFAULT '{{}}',
        "inputs" TEXT NOT NULL DEFAULT '{{}}',
        "passport" TEXT NOT NULL DEFAULT '',
        "stage" VARCHAR(32) NOT NULL DEFAULT '',
        "step" VARCHAR(64) NOT NULL DEFAULT '',
        "percent" INTEGER NOT NULL DEFAULT 0,
        "worker" VARCHAR(64) NOT NULL DEFAULT '',
        "attempt" INTEGER NOT NULL DEFAULT 0,
        "lease_until" BIGINT NOT NULL DEFAULT 0,
        "not_before" BIGINT NOT NULL DEFAULT 0,
        "failures" INTEGER NOT NULL DEFAULT 0,
        "delivery_failed" BOOLEAN NOT NULL DEFAULT FALSE,
        "cancel_asked" BOOLEAN NOT NULL DEFAULT FALSE,
        "idempotency_key" VARCHAR(64) NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "updated_at" BIGINT NOT NULL DEFAULT 0,
        "row_version" INTEGER NOT NULL DEFAULT 1
    )""",
    """CREATE TABLE "product_runs" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "order_id" VARCHAR(36) NOT NULL DEFAULT '',
        "product" VARCHAR(64) NOT NULL DEFAULT '',
        "product_version" VARCHAR(32) NOT NULL DEFAULT '',
        "state" VARCHAR(16) NOT NULL DEFAULT '',
        "attempt" INTEGER NOT NULL DEFAULT 0,
        "code" VARCHAR(64) NOT NULL DEFAULT '',
        "detail" TEXT NOT NULL DEFAULT '',
        "result" TEXT NOT NULL DEFAULT '',
        "started_at" BIGINT,
        "ended_at" BIGINT
    )""",
    """CREATE TABLE "reports" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "order_id" VARCHAR(36) NOT NULL DEFAULT '',
        "kind" VARCHAR(16) NOT NULL DEFAULT 'report',
        "version" INTEGER NOT NULL DEFAULT 1,
        "supersedes" VARCHAR(36) NOT NULL DEFAULT '',
        "content" TEXT NOT NULL DEFAULT '',
        "formats" VARCHAR(255) NOT NULL DEFAULT '',
        "folder" VARCHAR(255) NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE "deliveries" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "report" VARCHAR(36) NOT NULL DEFAULT '',
        "order_id" VARCHAR(36) NOT NULL DEFAULT '',
        "destination" VARCHAR(64) NOT NULL DEFAULT '',
        "state" VARCHAR(24) NOT NULL DEFAULT '',
        "attempt" INTEGER NOT NULL DEFAULT 0,
        "answer" TEXT NOT NULL DEFAULT '',
        "idempotency_key" VARCHAR(64) NOT NULL DEFAULT '',
        "sop_instance_uid" VARCHAR(64) NOT NULL DEFAULT '',
        "worker" VARCHAR(64) NOT NULL DEFAULT '',
        "lease_until" BIGINT NOT NULL DEFAULT 0,
        "not_before" BIGINT NOT NULL DEFAULT 0,
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "sent_at" BIGINT
    )""",
    """CREATE TABLE "events" (
        "seq" {serial},
        "at" BIGINT NOT NULL DEFAULT 0,
        "name" VARCHAR(48) NOT NULL DEFAULT '',
        "severity" VARCHAR(8) NOT NULL DEFAULT '',
        "study" VARCHAR(36) NOT NULL DEFAULT '',
        "order_id" VARCHAR(36) NOT NULL DEFAULT '',
        "body" TEXT NOT NULL DEFAULT '{{}}'
    )""",
    """CREATE TABLE "audit" (
        "seq" {serial},
        "at" BIGINT NOT NULL DEFAULT 0,
        "actor" VARCHAR(64) NOT NULL DEFAULT '',
        "action" VARCHAR(48) NOT NULL DEFAULT '',
        "target" VARCHAR(128) NOT NULL DEFAULT '',
        "origin" VARCHAR(64) NOT NULL DEFAULT '',
        "result" VARCHAR(32) NOT NULL DEFAULT '',
        "detail" TEXT NOT NULL DEFAULT '',
        "hash" VARCHAR(64) NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE "settings" (
        "version" INTEGER PRIMARY KEY NOT NULL,
        "document" TEXT NOT NULL DEFAULT '',
        "saved_at" BIGINT NOT NULL DEFAULT 0,
        "saved_by" VARCHAR(64) NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE "users" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "name" VARCHAR(64) UNIQUE NOT NULL DEFAULT '',
        "role" VARCHAR(16) NOT NULL DEFAULT '',
        "password_hash" VARCHAR(255) NOT NULL DEFAULT '',
        "totp" {bytes} NOT NULL DEFAULT {empty},
        "disabled" BOOLEAN NOT NULL DEFAULT FALSE,
        "failures" INTEGER NOT NULL DEFAULT 0,
        "locked_until" BIGINT NOT NULL DEFAULT 0,
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "row_version" INTEGER NOT NULL DEFAULT 1
    )""",
    """CREATE TABLE "sessions" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "user_id" VARCHAR(36) NOT NULL DEFAULT '',
        "kind" VARCHAR(16) NOT NULL DEFAULT 'session',
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "seen_at" BIGINT NOT NULL DEFAULT 0,
        "expires_at" BIGINT NOT NULL DEFAULT 0,
        "address" VARCHAR(64) NOT NULL DEFAULT '',
        "revoked" BOOLEAN NOT NULL DEFAULT FALSE
    )""",
    """CREATE TABLE "api_tokens" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "name" VARCHAR(64) NOT NULL DEFAULT '',
        "digest" VARCHAR(64) UNIQUE NOT NULL DEFAULT '',
        "role" VARCHAR(16) NOT NULL DEFAULT '',
        "scopes" VARCHAR(255) NOT NULL DEFAULT '',
        "created_by" VARCHAR(64) NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL DEFAULT 0,
        "expires_at" BIGINT NOT NULL DEFAULT 0,
        "revoked" BOOLEAN NOT NULL DEFAULT FALSE
    )""",
    """CREATE TABLE "task_runs" (
        "name" VARCHAR(48) PRIMARY KEY NOT NULL,
        "last_at" BIGINT NOT NULL DEFAULT 0,
        "next_at" BIGINT NOT NULL DEFAULT 0,
        "result" VARCHAR(255) NOT NULL DEFAULT '',
        "worker" VARCHAR(64) NOT NULL DEFAULT '',
        "lease_until" BIGINT NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE "processes" (
        "id" VARCHAR(64) PRIMARY KEY NOT NULL,
        "kind" VARCHAR(16) NOT NULL DEFAULT '',
        "pid" INTEGER NOT NULL DEFAULT 0,
        "host" VARCHAR(64) NOT NULL DEFAULT '',
        "started_at" BIGINT NOT NULL DEFAULT 0,
        "seen_at" BIGINT NOT NULL DEFAULT 0,
        "note" VARCHAR(255) NOT NULL DEFAULT ''
    )""",
)

INDEXES = (
    ("studies", "state"),
    ("studies", "pseudonym"),
    ("studies", "first_at"),
    ("studies", "last_at"),
    ("studies", "group_name"),
    ("series", "study"),
    ("series", "uid_key"),
    ("instances", "study"),
    ("instances", "series"),
    ("instances", "sop_key"),
    ("identities", "patient_key"),
    ("identities", "accession_key"),
    ("activities", "process"),
    ("activities", "study"),
    ("orders", "study"),
    ("orders", "state"),
    ("orders", "group_name"),
    ("orders", "lease_until"),
    ("orders", "idempotency_key"),
    ("orders", "created_at"),
    ("orders", "updated_at"),
    ("product_runs", "order_id"),
    ("reports", "order_id"),
    ("reports", "created_at"),
    ("deliveries", "report"),
    ("deliveries", "order_id"),
    ("deliveries", "state"),
    ("events", "at"),
    ("events", "name"),
    ("events", "study"),
    ("events", "order_id"),
    ("audit", "at"),
    ("audit", "actor"),
    ("audit", "action"),
    ("sessions", "user_id"),
    ("orders", "state", "not_before"),
    ("studies", "state", "last_at"),
    ("deliveries", "state", "not_before"),
)


DIALECT = {
    "sqlite": {"serial": "INTEGER PRIMARY KEY AUTOINCREMENT", "bytes": "BLOB", "empty": "X''"},
    "postgres": {"serial": "BIGSERIAL PRIMARY KEY", "bytes": "BYTEA", "empty": "''"},
}


async def create() -> None:
    """Makes every table and index."""
    engine = Study._meta.db
    for statement in TABLES:
        await engine.run_ddl(statement.format(**DIALECT[engine.engine_type]))
    for table, *columns in INDEXES:
        listed = ", ".join(f'"{column}"' for column in columns)
        await engine.run_ddl(f'CREATE INDEX "{table}_{"_".join(columns)}" ON "{table}" ({listed})')


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    manager = MigrationManager(migration_id=ID, app_name="records", description=DESCRIPTION)
    manager.add_raw(create)
    return manager
