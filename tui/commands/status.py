"""`ranvier status`: the appliance at a glance."""

import argparse
from collections.abc import Sequence
from typing import Any

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run
from tui.contract import Status


def main(arguments: Sequence[str]) -> int:
    """Site, processes, queue, counts, receiver, disk."""
    found = parser("status", "The appliance at a glance.")
    add_json(found)
    return run(found, arguments, _status)


async def _status(client: Client, given: argparse.Namespace) -> int:
    if given.json:
        printing.json_out("status", await client.get("/api/status", dict[str, Any]))
        return exits.DONE
    status = await client.get("/api/status", Status)
    receive = status.receive
    hosts = ", ".join(receive.addresses) or receive.host
    silent = [one.kind for one in status.processes if not one.alive]
    orders = ", ".join(f"{count} {name}" for name, count in status.counts.orders.items() if count)
    printing.fields_out(
        [
            ("Site", status.site),
            ("Version", status.version),
            ("Processes", ", ".join(one.kind for one in status.processes if one.alive) or "none"),
            *([("Silent", ", ".join(silent))] if silent else []),
            ("Queue", status.queue.words + (", paused" if status.paused else "")),
            *([] if status.limits else [("Limits", "core and memory limits are switched off")]),
            ("Studies", str(status.counts.studies)),
            ("Orders", orders or "none"),
            ("Receiver", f"AE title {receive.ae_title}, host {hosts}, port {receive.port}"),
            ("Disk", _disk(status)),
            *([("Paused", ", ".join(_paused(status)))] if _paused(status) else []),
        ]
    )
    return exits.NEGATIVE if silent else exits.DONE


def _disk(status: Status) -> str:
    """Free space, and how long it will last."""
    said = f"{status.home_free_bytes / 2**30:.1f} GiB free"
    return said if status.days_until_full is None else f"{said}, full in about {status.days_until_full:.0f} days"


def _paused(status: Status) -> list[str]:
    return [word for word, paused in (("receiving", status.receiving_paused), ("delivery", status.delivery_paused)) if paused]
