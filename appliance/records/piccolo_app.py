"""What Piccolo's migrations need to know about this room."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from appliance.records.tables import TABLES

APP_CONFIG = AppConfig(
    app_name="records",
    migrations_folder_path=str(Path(__file__).parent / "migrations"),
    table_classes=list(TABLES),
    migration_dependencies=[],
    commands=[],
)
