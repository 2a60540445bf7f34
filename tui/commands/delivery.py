"""`ranvier delivery`: show, pause, resume."""

import argparse
from collections.abc import Sequence

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run, verbs
from tui.contract import Status


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("delivery", "Pause the delivery of reports for maintenance.")
    verb = verbs(found)
    show = verb.add_parser("show", help="whether reports are delivered; exit 1 while delivery is paused")
    verb.add_parser("pause", help="begin no further delivery; reports wait and count no attempt")
    verb.add_parser("resume", help="deliver what waits")
    add_json(show)
    return run(found, arguments, _delivery)


async def _delivery(client: Client, given: argparse.Namespace) -> int:
    if given.verb != "show":
        await client.post(f"/api/delivery/{given.verb}", object)
        printing.say("Delivery is paused." if given.verb == "pause" else "Delivery goes on.")
        return exits.DONE
    paused = (await client.get("/api/status", Status)).delivery_paused
    if given.json:
        printing.json_out("delivery.show", {"paused": paused})
    else:
        printing.fields_out([("Delivery", "paused" if paused else "on")])
    return exits.NEGATIVE if paused else exits.DONE
