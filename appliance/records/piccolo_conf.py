"""Piccolo's configuration module; `appliance.records.engine.migrate` puts the engine in before it is used."""

from piccolo.conf.apps import AppRegistry
from piccolo.engine.base import Engine

from appliance.records.engine import SQLite

DB: Engine = SQLite(path="ranvier.db")  # type: ignore[type-arg]

APP_REGISTRY = AppRegistry(apps=["appliance.records.piccolo_app"])
