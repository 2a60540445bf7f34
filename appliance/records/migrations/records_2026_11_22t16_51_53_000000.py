"""Uploads: codes, submissions, files on their way, the studies and documents that came of them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration

ID = "2026-11-22T16:51:53:000000"
VERSION = "1.38.0"
DESCRIPTION = "uploads and the upload portal"

STATEMENTS = (
    """CREATE TABLE "upload_codes" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "digest" VARCHAR(32) NOT NULL UNIQUE,
        "source" VARCHAR(64) NOT NULL DEFAULT '',
        "phone" VARCHAR(40) NOT NULL DEFAULT '',
        "email" VARCHAR(120) NOT NULL DEFAULT '',
        "products" VARCHAR(255) NOT NULL DEFAULT '',
        "most" INTEGER NOT NULL DEFAULT 1,
        "used" INTEGER NOT NULL DEFAULT 0,
        "expires_at" BIGINT NOT NULL DEFAULT 0,
        "revoked" BOOLEAN NOT NULL DEFAULT FALSE,
        "created_by" VARCHAR(64) NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL
    )""",
    'CREATE INDEX "upload_codes_created_at" ON "upload_codes" ("created_at")',
    """CREATE TABLE "submissions" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "reference" VARCHAR(16) NOT NULL UNIQUE,
        "code" VARCHAR(36) NOT NULL DEFAULT '',
        "source" VARCHAR(64) NOT NULL DEFAULT '',
        "owner" VARCHAR(64) NOT NULL DEFAULT '',
        "address" VARCHAR(64) NOT NULL DEFAULT '',
        "state" VARCHAR(16) NOT NULL,
        "products" VARCHAR(255) NOT NULL DEFAULT '',
        "sealed" {bytes} NOT NULL DEFAULT {empty},
        "consent" TEXT NOT NULL DEFAULT '',
        "reason" VARCHAR(64) NOT NULL DEFAULT '',
        "detail" TEXT NOT NULL DEFAULT '',
        "scanned" VARCHAR(16) NOT NULL DEFAULT '',
        "dicom" INTEGER NOT NULL DEFAULT 0,
        "documents" INTEGER NOT NULL DEFAULT 0,
        "left_out" INTEGER NOT NULL DEFAULT 0,
        "unreadable" INTEGER NOT NULL DEFAULT 0,
        "patients" INTEGER NOT NULL DEFAULT 0,
        "attempt" INTEGER NOT NULL DEFAULT 0,
        "not_before" BIGINT NOT NULL DEFAULT 0,
        "created_at" BIGINT NOT NULL,
        "seen_at" BIGINT NOT NULL DEFAULT 0,
        "sent_at" BIGINT DEFAULT NULL,
        "ended_at" BIGINT DEFAULT NULL
    )""",
    'CREATE INDEX "submissions_code" ON "submissions" ("code")',
    'CREATE INDEX "submissions_owner" ON "submissions" ("owner")',
    'CREATE INDEX "submissions_state" ON "submissions" ("state")',
    'CREATE INDEX "submissions_created_at" ON "submissions" ("created_at")',
    """CREATE TABLE "uploads" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "submission" VARCHAR(36) NOT NULL,
        "length" BIGINT NOT NULL,
        "whole" BOOLEAN NOT NULL DEFAULT FALSE,
        "created_at" BIGINT NOT NULL
    )""",
    'CREATE INDEX "uploads_submission" ON "uploads" ("submission")',
    """CREATE TABLE "submission_studies" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "submission" VARCHAR(36) NOT NULL,
        "uid_key" VARCHAR(32) NOT NULL,
        "original_key" VARCHAR(32) NOT NULL DEFAULT '',
        "held" BOOLEAN NOT NULL DEFAULT TRUE,
        "sealed" {bytes} NOT NULL DEFAULT {empty},
        "before" {bytes} NOT NULL DEFAULT {empty}
    )""",
    'CREATE INDEX "submission_studies_submission" ON "submission_studies" ("submission")',
    'CREATE INDEX "submission_studies_uid_key" ON "submission_studies" ("uid_key")',
    'CREATE INDEX "submission_studies_original_key" ON "submission_studies" ("original_key")',
    """CREATE TABLE "upload_documents" (
        "id" VARCHAR(36) PRIMARY KEY NOT NULL,
        "study" VARCHAR(36) NOT NULL,
        "submission" VARCHAR(36) NOT NULL,
        "sealed" {bytes} NOT NULL DEFAULT {empty},
        "media" VARCHAR(64) NOT NULL DEFAULT '',
        "bytes" BIGINT NOT NULL DEFAULT 0,
        "content_hash" VARCHAR(64) NOT NULL DEFAULT '',
        "path" VARCHAR(255) NOT NULL DEFAULT '',
        "created_at" BIGINT NOT NULL DEFAULT 0
    )""",
    'CREATE INDEX "upload_documents_study" ON "upload_documents" ("study")',
    'CREATE INDEX "upload_documents_submission" ON "upload_documents" ("submission")',
)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, STATEMENTS)
