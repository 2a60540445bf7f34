"""What a million studies need: the newest order and state of each in the order of the list, and their text by trigrams.

Both tables are kept by triggers: whoever writes a study, an order or a report writes nothing else. On SQLite the trigrams are an
FTS5 index over the texts, on PostgreSQL an index of pg_trgm; where that extension may not be made, search reads all texts.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.tables import Study

ID = "2026-11-22T08:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "newest order and text of each study"

TABLES = (
    """CREATE TABLE "study_list" (
        "study" VARCHAR(36) PRIMARY KEY NOT NULL,
        "order_id" VARCHAR(36) NOT NULL DEFAULT '',
        "shown" VARCHAR(16) NOT NULL DEFAULT '',
        "flagged" BOOLEAN NOT NULL DEFAULT FALSE,
        "first_at" BIGINT NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE "study_texts" (
        "nr" {serial},
        "study" VARCHAR(36) UNIQUE NOT NULL,
        "body" TEXT NOT NULL DEFAULT ''
    )""",
)

_OF_STUDY = (
    "LOWER(SUBSTR(s.id, 29) || ' ' || s.sender || ' ' || s.group_name || ' ' || s.labels || ' ' || s.reason "
    "|| COALESCE((SELECT {join}(' ' || SUBSTR(o.id, 29) || ' ' || o.group_name || ' ' || o.products || ' ' || o.code, '') "
    "FROM orders o WHERE o.study = s.id), '') "
    "|| COALESCE((SELECT {join}(' ' || SUBSTR(r.id, 29), '') FROM orders n CROSS JOIN reports r "
    "WHERE n.study = s.id AND r.order_id = n.id), ''))"
)

FILL = (
    "INSERT INTO study_list (study, order_id, shown, flagged, first_at) SELECT s.id, COALESCE(o.id, ''), "
    "COALESCE(o.state, s.state), COALESCE(o.delivery_failed, FALSE), s.first_at FROM studies s "
    "LEFT JOIN orders o ON o.study = s.id AND o.id = (SELECT MAX(n.id) FROM orders n WHERE n.study = s.id)",
    "INSERT INTO study_texts (study, body) SELECT s.id, {body} FROM studies s ORDER BY s.first_at, s.id",
)

INDEXES = (
    'CREATE INDEX "study_list_first_at_study" ON "study_list" ("first_at", "study")',
    'CREATE INDEX "study_list_shown_first_at_study" ON "study_list" ("shown", "first_at", "study")',
    'CREATE INDEX "study_list_flagged" ON "study_list" ("first_at", "study") WHERE "flagged"',
    'CREATE INDEX "studies_group_name_id" ON "studies" ("group_name", "id")',
    'CREATE INDEX "studies_sender_id" ON "studies" ("sender", "id")',
    'CREATE INDEX "studies_instances_id" ON "studies" ("instances", "id")',
    'CREATE INDEX "orders_priority_id" ON "orders" ("priority", "id")',
    'CREATE INDEX "orders_state_created_at_id" ON "orders" ("state", "created_at", "id")',
    'CREATE INDEX "orders_delivery_failed" ON "orders" ("created_at", "id") WHERE "delivery_failed"',
)

_REMAINING = (
    "UPDATE study_list SET order_id = COALESCE((SELECT MAX(o.id) FROM orders o WHERE o.study = old.study), '') "
    "WHERE study = old.study",
    "UPDATE study_list SET shown = COALESCE((SELECT o.state FROM orders o WHERE o.id = study_list.order_id), "
    "(SELECT s.state FROM studies s WHERE s.id = study_list.study), ''), "
    "flagged = COALESCE((SELECT o.delivery_failed FROM orders o WHERE o.id = study_list.order_id), FALSE) "
    "WHERE study = old.study",
)
_TEXT = "UPDATE study_texts SET body = (SELECT {body} FROM studies s WHERE s.id = study_texts.study) WHERE study = "

# name, when, table, on SQLite only if, what
TRIGGERS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "study_listed",
        "AFTER INSERT",
        "studies",
        "",
        (
            "INSERT INTO study_list (study, shown, first_at) VALUES (new.id, new.state, new.first_at)",
            "INSERT INTO study_texts (study, body) SELECT s.id, {body} FROM studies s WHERE s.id = new.id",
        ),
    ),
    (
        "study_moved",
        "AFTER UPDATE OF state, first_at",
        "studies",
        "old.state <> new.state OR old.first_at <> new.first_at",
        (
            "UPDATE study_list SET first_at = new.first_at, shown = CASE WHEN order_id = '' THEN new.state ELSE shown END "
            "WHERE study = new.id",
        ),
    ),
    (
        "study_renamed",
        "AFTER UPDATE OF sender, group_name, labels, reason",
        "studies",
        "old.sender <> new.sender OR old.group_name <> new.group_name OR old.labels <> new.labels OR old.reason <> new.reason",
        (_TEXT + "new.id",),
    ),
    (
        "study_unlisted",
        "AFTER DELETE",
        "studies",
        "",
        ("DELETE FROM study_list WHERE study = old.id", "DELETE FROM study_texts WHERE study = old.id"),
    ),
    (
        "order_listed",
        "AFTER INSERT",
        "orders",
        "",
        (
            "UPDATE study_list SET order_id = new.id, shown = new.state, flagged = new.delivery_failed "
            "WHERE study = new.study AND order_id < new.id",
            _TEXT + "new.study",
        ),
    ),
    (
        "order_moved",
        "AFTER UPDATE OF state, delivery_failed",
        "orders",
        "old.state <> new.state OR old.delivery_failed <> new.delivery_failed",
        (
            "UPDATE study_list SET shown = new.state, flagged = new.delivery_failed "
            "WHERE study = new.study AND order_id = new.id",
        ),
    ),
    (
        "order_renamed",
        "AFTER UPDATE OF group_name, products, code",
        "orders",
        "old.group_name <> new.group_name OR old.products <> new.products OR old.code <> new.code",
        (_TEXT + "new.study",),
    ),
    ("order_unlisted", "AFTER DELETE", "orders", "", (*_REMAINING, _TEXT + "old.study")),
    (
        "report_listed",
        "AFTER INSERT",
        "reports",
        "",
        (_TEXT + "(SELECT o.study FROM orders o WHERE o.id = new.order_id)",),
    ),
    (
        "report_unlisted",
        "AFTER DELETE",
        "reports",
        "",
        (_TEXT + "(SELECT o.study FROM orders o WHERE o.id = old.order_id)",),
    ),
)

# FTS5 keeps no copy of the texts and no positions: half the size, and the texts themselves decide.
FTS5 = (
    "CREATE VIRTUAL TABLE study_words USING fts5("
    "body, content='study_texts', content_rowid='nr', tokenize='trigram', detail='none')",
    "INSERT INTO study_words (study_words) VALUES ('rebuild')",
    "CREATE TRIGGER words_added AFTER INSERT ON study_texts BEGIN "
    "INSERT INTO study_words (rowid, body) VALUES (new.nr, new.body); END",
    "CREATE TRIGGER words_removed AFTER DELETE ON study_texts BEGIN "
    "INSERT INTO study_words (study_words, rowid, body) VALUES ('delete', old.nr, old.body); END",
    "CREATE TRIGGER words_changed AFTER UPDATE OF body ON study_texts WHEN old.body <> new.body BEGIN "
    "INSERT INTO study_words (study_words, rowid, body) VALUES ('delete', old.nr, old.body); "
    "INSERT INTO study_words (rowid, body) VALUES (new.nr, new.body); END",
)

PG_TRGM = (
    "DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm; EXCEPTION WHEN insufficient_privilege OR undefined_file "
    "OR feature_not_supported THEN NULL; END $$",
    "DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm') THEN "
    'CREATE INDEX "study_texts_words" ON "study_texts" USING gin ("body" gin_trgm_ops); END IF; END $$',
)

SERIAL = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgres": "BIGSERIAL PRIMARY KEY"}


def _body(engine_type: str) -> str:
    return _OF_STUDY.format(join="GROUP_CONCAT" if engine_type == "sqlite" else "STRING_AGG")


def fills(engine_type: str) -> list[str]:
    """What fills both tables from the rows that are there."""
    return [one.format(body=_body(engine_type)) for one in FILL]


def statements(engine_type: str) -> list[str]:
    """All of it for one engine, in order."""
    sqlite, body = engine_type == "sqlite", _body(engine_type)
    found = [one.format(serial=SERIAL[engine_type]) for one in TABLES]
    found += fills(engine_type)
    found += INDEXES
    for name, when, table, changed, what in TRIGGERS:
        steps = "; ".join(one.format(body=body) for one in what)
        condition = f"WHEN ({changed}) " if changed else ""
        if sqlite:
            found.append(f"CREATE TRIGGER {name} {when} ON {table} {condition}BEGIN {steps}; END")
        else:
            found.append(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {steps}; RETURN NULL; END $$")
            found.append(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")
    return found + list(FTS5 if sqlite else PG_TRGM)


async def create() -> None:
    """Makes tables, rows, indexes and triggers."""
    engine = Study._meta.db
    for statement in statements(engine.engine_type):
        await engine.run_ddl(statement)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    manager = MigrationManager(migration_id=ID, app_name="records", description=DESCRIPTION)
    manager.add_raw(create)
    return manager
