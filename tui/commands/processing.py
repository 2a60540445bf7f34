"""`ranvier processing`: show, pause, resume, products."""

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run, verbs
from tui.contract import Status


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("processing", "What waits, what runs, and what can be run.")
    verb = verbs(found)
    show = verb.add_parser("show", help="the queue, how long it will take, and the limits; exit 1 while it is paused")
    verb.add_parser("pause", help="start no further stage; what runs is finished, and studies are still received")
    verb.add_parser("resume", help="go on with what waits")
    products = verb.add_parser("products", help="every installed product, and why one is not offered")
    add_json(show, products)
    return run(found, arguments, _processing)


async def _processing(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "show":
            return _show(given, await client.get("/api/status", Status))
        case "products":
            return _products(given, await client.get("/api/products", list[dict[str, Any]]))
    await client.post(f"/api/processing/{given.verb}", object)
    printing.say("Processing is paused." if given.verb == "pause" else "Processing goes on.")
    return exits.DONE


def _show(given: argparse.Namespace, status: Status) -> int:
    if given.json:
        names = ("mode", "cluster", "workers", "limits", "paused")
        queue = msgspec.to_builtins(status.queue)
        printing.json_out("processing.show", {"queue": queue, **{name: getattr(status, name) for name in names}})
    else:
        printing.fields_out(
            [
                ("Processing", "paused" if status.paused else "on"),
                ("Queue", status.queue.words),
                ("Runs", status.mode_words),
                ("Limits", "on" if status.limits else "core and memory limits are switched off"),
            ]
        )
    return exits.NEGATIVE if status.paused else exits.DONE


def _products(given: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out("processing.products", {"items": rows})
        return exits.DONE
    cells = [
        [
            str(row.get("product") or ""),
            str(row.get("version") or "-"),
            "site" if row.get("own") else "appliance",
            "offered" if row.get("offered") else str(row.get("reason") or "not offered"),
        ]
        for row in rows
    ]
    printing.table_out(["PRODUCT", "VERSION", "OF THE", "STATE"], cells)
    return exits.DONE
