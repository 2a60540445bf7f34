"""`ranvier notices`: what was told, what failed, what was suppressed and why."""

import argparse
from collections.abc import Sequence
from typing import Any

from tui.client import Client
from tui.commands import exits
from tui.commands.session import add_json, list_out, parser, run, verbs

_USUAL = ("at", "event", "severity", "way", "state", "reason")
_STATES = ("waiting", "sending", "sent", "failed", "suppressed")


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("notices", "Notices: events that were told to people, or were not, and why.")
    listing = verbs(found).add_parser("list", help="the newest notices; exit 1 when one of them failed")
    listing.add_argument("--state", default="", choices=("", *_STATES))
    listing.add_argument("--event", default="", metavar="EVENT", help="such as qc-failed")
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    listing.add_argument("--fields", default="", metavar="A,B", help="these columns only")
    listing.add_argument("--ids", action="store_true", help="identifiers only, one a line")
    add_json(listing)
    return run(found, arguments, _notices)


async def _notices(client: Client, given: argparse.Namespace) -> int:
    rows = await client.get("/api/notices", list[dict[str, Any]], state=given.state, event=given.event, limit=given.limit)
    list_out("notices.list", given, rows, "notice", _USUAL)
    return exits.NEGATIVE if any(row["state"] == "failed" for row in rows) else exits.DONE
