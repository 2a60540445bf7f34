"""`ranvier data-flow`: where anything leaves the appliance to, and what."""

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run
from tui.flows import Flow


def main(arguments: Sequence[str]) -> int:
    """Every outbound destination of the settings."""
    found = parser("data-flow", "Where anything leaves the appliance to: what, identified or not, encrypted or not, last use.")
    add_json(found)
    return run(found, arguments, _data_flow)


async def _data_flow(client: Client, given: argparse.Namespace) -> int:
    raw = await client.get("/api/data-flow", list[dict[str, Any]])
    if given.json:
        printing.json_out("data-flow", {"items": raw})
        return exits.DONE
    flows = msgspec.convert(raw, list[Flow], strict=False)
    titles = ["DESTINATION", "PROTOCOL", "ADDRESS", "IDENTIFIED", "ENCRYPTED", "ACTIVE", "LAST USE", "GETS"]
    rows = [
        [
            one.name,
            one.protocol,
            one.address,
            one.identified,
            one.encrypted,
            "yes" if one.active else "no",
            one.last_use or "-",
            one.gets,
        ]
        for one in flows
    ]
    printing.table_out(titles, rows)
    return exits.DONE
