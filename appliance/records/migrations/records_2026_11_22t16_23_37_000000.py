"""What the list of studies shows of each, as one JSON array beside it: a page reads one table and not four.

Triggers keep it, as they keep the rest of the row: whoever writes a study, an order or an identity writes nothing else. Of an
identity it tells one thing only, whether there is an accession number.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.tables import Study

ID = "2026-11-22T16:23:37:000000"
VERSION = "1.38.0"
DESCRIPTION = "line of each study"

COLUMN = "ALTER TABLE \"study_list\" ADD COLUMN \"line\" TEXT NOT NULL DEFAULT ''"

OF_STUDY = ("version", "state", "group_name", "first_at", "last_at", "instances", "series", "sender", "reason")
OF_ORDER = (
    *("state", "code", "detail", "products", "percent", "step", "qc_asked", "qc_failed", "bypass_by", "delivery_failed"),
    *("priority", "updated_at"),
)
_TEXTS = ("state", "code", "detail", "products", "step", "bypass_by")
_FLAGS = ("delivery_failed",)


def _or_nothing(column: str) -> str:
    nothing = "''" if column in _TEXTS else "FALSE" if column in _FLAGS else "0"
    return f"COALESCE(o.{column}, {nothing})"


_VALUES = ", ".join(
    [
        "s.id",
        *(f"s.{column}" for column in OF_STUDY),
        "COALESCE(i.accession_key, '') <> ''",
        "COALESCE(o.id, '')",
        *(_or_nothing(column) for column in OF_ORDER),
    ]
)
_ARRAY = {"sqlite": f"json_array({_VALUES})", "postgres": f"json_build_array({_VALUES})::text"}

FILL = (
    "INSERT INTO study_list (study, order_id, shown, flagged, first_at, line) SELECT s.id, COALESCE(o.id, ''), "
    "COALESCE(o.state, s.state), COALESCE(o.delivery_failed, FALSE), s.first_at, {line} FROM studies s "
    "LEFT JOIN orders o ON o.study = s.id AND o.id = (SELECT MAX(n.id) FROM orders n WHERE n.study = s.id) "
    "LEFT JOIN identities i ON i.study = s.id"
)

_LINE = (
    "UPDATE study_list SET line = (SELECT {line} FROM studies s LEFT JOIN orders o ON o.id = study_list.order_id "
    "LEFT JOIN identities i ON i.study = s.id WHERE s.id = study_list.study) WHERE study = "
)

# name, when, table, if, of which study
TRIGGERS: tuple[tuple[str, str, str, str, str], ...] = (
    ("line_begun", "AFTER INSERT", "study_list", "", "new.study"),
    ("line_of_another_order", "AFTER UPDATE OF order_id", "study_list", "old.order_id <> new.order_id", "new.study"),
    ("line_of_study", f"AFTER UPDATE OF {', '.join(OF_STUDY)}", "studies", "", "new.id"),
    ("line_of_order", f"AFTER UPDATE OF {', '.join(OF_ORDER)}", "orders", "", "new.study AND order_id = new.id"),
    ("line_named", "AFTER INSERT", "identities", "", "new.study"),
    (
        "line_renamed",
        "AFTER UPDATE OF accession_key",
        "identities",
        "old.accession_key <> new.accession_key",
        "new.study",
    ),
    ("line_unnamed", "AFTER DELETE", "identities", "", "old.study"),
)


def fills(engine_type: str) -> list[str]:
    """What fills the empty table from the rows that are there."""
    return [FILL.format(line=_ARRAY[engine_type])]


def triggers(engine_type: str) -> list[str]:
    """What keeps the lines, and on PostgreSQL the functions that they call."""
    found: list[str] = []
    for name, when, table, changed, study in TRIGGERS:
        step = _LINE.format(line=_ARRAY[engine_type]) + study
        condition = f"WHEN ({changed}) " if changed else ""
        if engine_type == "sqlite":
            found.append(f"CREATE TRIGGER {name} {when} ON {table} {condition}BEGIN {step}; END")
        else:
            # Each statement of a function sees what was committed before it: who waited for the row then reads the newest.
            step = f"PERFORM 1 FROM study_list WHERE study = {study} FOR UPDATE; {step}"
            found.append(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {step}; RETURN NULL; END $$")
            found.append(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")
    return found


def statements(engine_type: str) -> list[str]:
    """All of it for one engine, in order."""
    return [COLUMN, "DELETE FROM study_list", *fills(engine_type), *triggers(engine_type)]


async def create() -> None:
    """Adds the column, fills it and keeps it."""
    engine = Study._meta.db
    for statement in statements(engine.engine_type):
        await engine.run_ddl(statement)


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    manager = MigrationManager(migration_id=ID, app_name="records", description=DESCRIPTION)
    manager.add_raw(create)
    return manager
