"""`ranvier settings`: get, set, test, schema, history, diff, restore, export, import."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing, settings_file
from tui.commands.session import add_json, parser, run, verbs
from tui.contract import SettingsSaved, SettingsView
from tui.flows import TEST_PATIENT, ProbeFound, test_object_effect


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
    test = verb.add_parser("test", help="test a connection before it is saved: cloud api_url=https://...")
    test.add_argument("what", choices=("echo", "delivery", "notification", "saml", "cloud", "malware", "object"))
    test.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help="as in a form; what is missing is as it is saved")
    settings_file.add(verb)
    test.add_argument("--yes", action="store_true", help="object: store the marked test object without asking")
    add_json(get, put, test, schema, history)
    return run(found, arguments, _settings)


async def _settings(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "get":
            return _show(given, await client.get("/api/settings", SettingsView))
        case "set":
            return await _set(client, given)
        case "test":
            return await _test(client, given)
        case "diff" | "restore" | "export" | "import":
            return await settings_file.run(client, given)
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


async def _test(client: Client, given: argparse.Namespace) -> int:
    body: dict[str, Any] = {}
    for one in given.fields:
        name, equals, value = one.partition("=")
        if not equals or not name:
            printing.say(f"{one!r} is not of the form field=value.")
            return exits.USAGE
        body[name] = _value(value)
    if given.what == "object":
        if not given.yes and not _agreed(body):
            return exits.NEGATIVE
        body = {"destination": body, "patient": TEST_PATIENT}
    path = "/api/delivery/test-object" if given.what == "object" else f"/api/settings/test/{given.what}"
    found = await client.post(path, ProbeFound, body)
    if given.json:
        printing.json_out("settings.test", msgspec.to_builtins(found))
    else:
        for line in found.lines:
            print(line)
    return exits.DONE if found.ok else exits.NEGATIVE


def _agreed(destination: dict[str, Any]) -> bool:
    """Whether somebody at a terminal says yes; without one nothing is stored."""
    printing.say(test_object_effect(str(destination.get("called_ae") or destination.get("url") or destination.get("host", ""))))
    if not sys.stdin.isatty():
        printing.say("Nothing was stored: say --yes when whoever runs that archive agrees.")
        return False
    return input("Store it? [y/N] ").strip().lower() in ("y", "yes")


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
