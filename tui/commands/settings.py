"""`ranvier settings`: get, set, schema, history."""

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run, verbs
from tui.contract import SettingsSaved, SettingsView


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("settings", "Settings of the appliance.")
    verb = verbs(found)
    get = verb.add_parser("get", help="all settings, or one: receive.port")
    get.add_argument("key", nargs="?", default="")
    put = verb.add_parser("set", help="change settings: receive.port=11112")
    put.add_argument("changes", nargs="+", metavar="KEY=VALUE")
    put.add_argument("--yes", action="store_true", help="accepted for scripts; nothing is asked")
    schema = verb.add_parser("schema", help="the JSON Schema of all settings")
    history = verb.add_parser("history", help="who changed what")
    add_json(get, put, schema, history)
    return run(found, arguments, _settings)


async def _settings(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "get":
            return _show(given, await client.get("/api/settings", SettingsView))
        case "set":
            return await _set(client, given)
        case "schema":
            print(msgspec.json.format((await client.call("GET", "/api/settings/schema")).content, indent=2).decode())
            return exits.DONE
    rows = await client.get("/api/settings/history", list[dict[str, Any]])
    if given.json:
        printing.json_out("settings.history", {"items": rows})
    else:
        names = ("version", "saved_at", "saved_by", "changed")
        cells = [[_text(row.get(name)) for name in names] for row in rows]
        printing.table_out([name.upper() for name in names], cells)
    return exits.DONE


def _show(given: argparse.Namespace, view: SettingsView) -> int:
    flat = {f"{section}.{name}": value for section, fields in view.settings.items() for name, value in fields.items()}
    if given.key:
        matching = {key: value for key, value in flat.items() if key == given.key or key.startswith(given.key + ".")}
        if not matching:
            printing.say(f"There is no setting {given.key}.")
            return exits.NOT_FOUND
        flat = matching
    if given.json:
        printing.json_out("settings.get", {"settings_version": view.version, "settings": flat})
    elif given.key in flat:
        print(_text(flat[given.key]))
    else:
        for key, value in sorted(flat.items()):
            print(f"{key}={_text(value)}")
    return exits.DONE


async def _set(client: Client, given: argparse.Namespace) -> int:
    change: dict[str, dict[str, Any]] = {}
    for one in given.changes:
        key, equals, value = one.partition("=")
        section, dot, name = key.partition(".")
        if not equals or not dot or not name:
            printing.say(f"{one!r} is not of the form section.field=value.")
            return exits.USAGE
        change.setdefault(section, {})[name] = _value(value)
    view = await client.get("/api/settings", SettingsView)
    headers = {"If-Match": f'"{view.version}"'}
    saved = await client.patch("/api/settings", SettingsSaved, change, headers=headers)
    if given.json:
        printing.json_out("settings.set", msgspec.to_builtins(saved))
    else:
        changed = ", ".join(saved.changed) or "nothing"
        restart = f"; restart needed: {', '.join(saved.restart)}" if saved.restart else ""
        printing.say(f"Version {saved.version}: changed {changed}{restart}.")
    return exits.DONE


def _value(text: str) -> Any:
    """JSON where it is JSON (numbers, true, lists), else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value) if value else "[]"
    return msgspec.json.encode(value).decode()
