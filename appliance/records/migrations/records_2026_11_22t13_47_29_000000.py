"""How many checks quality control asked and how many failed, as columns: lists need not read whole reports for it."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from appliance.records.migrating import migration
from appliance.records.tables import Order

ID = "2026-11-22T13:47:29:000000"
VERSION = "1.38.0"
DESCRIPTION = "counts of checks"

_COLUMNS = ("qc_asked", "qc_failed")
_FINDINGS = {
    "sqlite": ("json_each(qc_report, '$.findings') AS one", "json_extract(one.value, '$.verdict')"),
    "postgres": ("jsonb_array_elements(qc_report::jsonb -> 'findings') AS one(value)", "one.value ->> 'verdict'"),
}


def statements(engine_type: str) -> list[str]:
    """The columns, and what they are for the orders that are there."""
    findings, verdict = _FINDINGS[engine_type]
    counted = f"(SELECT COUNT(*) FROM {findings} WHERE {verdict} "
    return [
        *(f'ALTER TABLE "orders" ADD COLUMN "{one}" INTEGER NOT NULL DEFAULT 0' for one in _COLUMNS),
        f"UPDATE orders SET qc_asked = {counted} <> 'not-applicable'), qc_failed = {counted} = 'failed') "
        "WHERE qc_report <> ''",
    ]


async def forwards() -> MigrationManager:
    """What Piccolo runs once."""
    return migration(ID, DESCRIPTION, statements(Order._meta.db.engine_type))
