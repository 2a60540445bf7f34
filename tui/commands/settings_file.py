"""`ranvier settings diff, restore, export, import`: versions and the one file with everything."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json
from tui.contract import SettingsView

if TYPE_CHECKING:
    from tui.commands.session import Parser

PASSPHRASE = "RANVIER_PASSPHRASE"
"""The environment's variable: a command line can be read by others."""


def add(verbs: "argparse._SubParsersAction[Parser]") -> None:
    """The words of versions and files."""
    diff = verbs.add_parser("diff", help="what two versions differ in")
    diff.add_argument("before", type=int, help="a version; 0 is the defaults")
    diff.add_argument("after", type=int, nargs="?", help="the newest when absent")
    restore = verbs.add_parser("restore", help="make an earlier version the newest again")
    restore.add_argument("version", type=int)
    export = verbs.add_parser("export", help=f"everything as TOML, with secrets only under {PASSPHRASE}")
    export.add_argument("file", type=Path, nargs="?", help="standard output when absent")
    load = verbs.add_parser("import", help="take a file over, whole or not at all")
    load.add_argument("file", type=Path)
    for one in (restore, load):
        one.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    add_json(diff, restore, load)


async def run(client: Client, given: argparse.Namespace) -> int:
    """Runs one of the words."""
    passphrase = os.environ.get(PASSPHRASE, "")
    try:
        match given.verb:
            case "diff":
                query = {"before": given.before} | ({} if given.after is None else {"after": given.after})
                rows = await client.get("/api/settings/differences", list[dict[str, Any]], **query)
                return _print(given, {"differences": rows})
            case "restore":
                return await _take(client, given, "restore", {"version": given.version})
            case "import":
                return await _take(client, given, "import", {"text": given.file.read_text("utf-8"), "passphrase": passphrase})
        body = {"passphrase": passphrase} if passphrase else None
        text = (await client.call("POST" if body else "GET", "/api/settings/export", body=body)).text
        if given.file is None:
            sys.stdout.write(text)
        else:
            with os.fdopen(os.open(given.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
                out.write(text)
    except (OSError, UnicodeDecodeError) as fault:
        printing.say(f"The file cannot be used: {getattr(fault, 'strerror', None) or 'it is no text'}.")
        return exits.CANNOT_WRITE
    return exits.DONE


async def _take(client: Client, given: argparse.Namespace, what: str, body: dict[str, Any]) -> int:
    version = (await client.get("/api/settings", SettingsView)).version
    query: dict[str, str | int | None] = {"dry_run": "true"} if given.dry_run else {}
    headers = {"If-Match": f'"{version}"'}
    answer = await client.call("POST", f"/api/settings/{what}", body=body, query=query, headers=headers)
    return _print(given, msgspec.json.decode(answer.content, type=dict[str, Any]))


def _print(given: argparse.Namespace, found: dict[str, Any]) -> int:
    if given.json:
        printing.json_out(f"settings.{given.verb}", found)
        return exits.DONE
    for one in found["differences"]:
        print(f"{one['field']}: {one['before'] or '-'} -> {one['after'] or '-'}")
    if "version" in found:
        restart = f"; restart needed: {', '.join(found['restart'])}" if found["restart"] else ""
        word = "would change" if found["dry_run"] else "changed"
        printing.say(f"Version {found['version']}: {len(found['differences'])} settings {word}{restart}.")
        for name in found["missing_secrets"]:
            printing.say(f"{name} must be entered: the file does not hold it.")
    return exits.DONE
