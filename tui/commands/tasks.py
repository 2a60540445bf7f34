"""`ranvier tasks`: show, run, retention."""

import argparse
from collections.abc import Sequence
from typing import Any

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run, verbs


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("tasks", "What the appliance does by the clock, and what is deleted by its age.")
    verb = verbs(found)
    show = verb.add_parser("show", help="every scheduled task, its last result and its next run; exit 1 when one has failed")
    now = verb.add_parser("run", help="run a task now, whatever the clock says")
    now.add_argument("task", help="its name, as show prints it")
    for name, text in (("on", "let a task run by the clock again"), ("off", "let a task run by hand only")):
        verb.add_parser(name, help=text).add_argument("task")
    history = verb.add_parser("history", help="what a task has said, newest first; exit 1 when its last run has failed")
    history.add_argument("task")
    retention = verb.add_parser("retention", help="what would be deleted now by its age, and what stays; deletes nothing")
    add_json(show, history, retention)
    return run(found, arguments, _tasks)


async def _tasks(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "show":
            return _show(given, await client.get("/api/tasks", list[dict[str, Any]]))
        case "retention":
            return _retention(given, await client.get("/api/retention", dict[str, Any]))
        case "history":
            return _history(given, await client.get(f"/api/tasks/{given.task}/history", list[dict[str, Any]]))
        case "on" | "off":
            await client.put(f"/api/tasks/{given.task}", object, {"on": given.verb == "on"})
            printing.say(f"{given.task} runs by {'the clock' if given.verb == 'on' else 'hand only'}.")
            return exits.DONE
    await client.post(f"/api/tasks/{given.task}/run", object)
    printing.say(f"{given.task} runs; `ranvier tasks show` tells what came of it.")
    return exits.DONE


def _show(given: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out("tasks.show", {"items": rows})
    else:
        cells = [
            [
                str(row["task"]),
                str(row["last_at"] or "never"),
                "runs now" if row["running"] else str(row["next_at"] or "switched off"),
                str(row["result"] or "-"),
            ]
            for row in rows
        ]
        printing.table_out(["TASK", "LAST", "NEXT", "RESULT"], cells)
    return exits.NEGATIVE if any(row["failed"] for row in rows) else exits.DONE


def _history(given: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out("tasks.history", {"items": rows})
    else:
        cells = [[str(row["last_at"]), f"{row['times']}x", f"{row['took_ms'] / 1000:.1f} s", row["result"]] for row in rows]
        printing.table_out(["LAST", "TIMES", "TOOK", "RESULT"], cells)
    return exits.NEGATIVE if rows and rows[0]["failed"] else exits.DONE


def _retention(given: argparse.Namespace, found: dict[str, Any]) -> int:
    if given.json:
        printing.json_out("tasks.retention", found)
        return exits.DONE
    printing.fields_out(
        [
            ("Studies", f"{found['studies']} with {found['orders']} orders"),
            ("Files", f"{found['files']}, {found['bytes'] / 1e6:.1f} MB"),
            ("Rows", _counts(found["rows"])),
            ("Log files", str(found["logs"])),
            ("Quarantine", f"{found.get('quarantined', 0)} that could not be filed"),
            ("Stay", _counts(found["kept"])),
        ]
    )
    return exits.DONE


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items())) or "none"
