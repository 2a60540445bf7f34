"""`ranvier logs`: the log of all processes, searched and followed."""

import argparse
import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run
from tui.inert import inert

LEVELS = ("debug", "info", "warning", "error", "critical")
PAGE = 1_000
LOOK_S = 1.0
_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def main(arguments: Sequence[str]) -> int:
    """Asks for lines, or follows them."""
    found = parser("logs", "The log of all processes: the newest lines that fit, the oldest of them first; exit 1 for none.")
    found.add_argument("text", nargs="?", default="", help="what stands in a line; capitals count when there is one")
    found.add_argument("--level", choices=LEVELS, default="debug", help="this one and what is worse")
    found.add_argument("--service", default="", metavar="NAME", help="its process: receive, work, api ...")
    found.add_argument("--study", default="", metavar="ID", help="our identifier or its beginning")
    found.add_argument("--order", default="", metavar="ID", help="our identifier or its beginning")
    found.add_argument("--since", default="", metavar="TIME", help="UTC, as 2026-11-22T16:50, or ago: 30m, 2h, 7d")
    found.add_argument("--until", default="", metavar="TIME", help="the same; not itself")
    found.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    found.add_argument("-f", "--follow", action="store_true", help="go on with what is logged from now on, until Ctrl-C")
    add_json(found)
    return run(found, arguments, _logs)


def moment(given: str, now: datetime) -> str:
    """A moment as the API takes it; `30m` is half an hour ago."""
    ago = _AGO.fullmatch(given)
    if ago is None:
        return given
    then = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    return then.strftime("%Y-%m-%dT%H:%M:%S.") + f"{then.microsecond // 1000:03d}Z"


async def _logs(client: Client, given: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    asked = {name: getattr(given, name) for name in ("text", "level", "service", "study", "order")}
    asked |= {"since": moment(given.since, now), "until": moment(given.until, now)}
    lines = await _lines(client, asked, given.limit)
    if given.json and not given.follow:
        printing.json_out("logs", {"items": lines})
    else:
        _out(lines)
    if given.follow:
        await _follow(client, asked, lines)
    return exits.DONE if lines else exits.NEGATIVE


async def _lines(client: Client, asked: dict[str, str], limit: int) -> list[dict[str, Any]]:
    """Page by page, the oldest first."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while len(found) < limit:
        size = min(PAGE, limit - len(found))
        page = await client.get("/api/logs", dict[str, Any], **asked, cursor=cursor, limit=size)
        found += page["items"]
        cursor = page["cursor"]
        if not cursor:
            break
    return found[::-1]


async def _follow(client: Client, asked: dict[str, str], seen: list[dict[str, Any]]) -> None:
    since = seen[-1]["at"] if seen else moment("0s", datetime.now(UTC))
    while True:
        await asyncio.sleep(LOOK_S)
        lines = await _lines(client, {**asked, "since": since, "until": ""}, PAGE)
        # The first of these have the time of the last that was shown.
        _out([one for one in lines if one not in seen])
        if lines:
            seen, since = lines, lines[-1]["at"]


def _out(lines: list[dict[str, Any]]) -> None:
    for one in lines:
        about = " ".join(f"{name}={one[name][-8:]}" for name in ("study", "order") if one[name])
        words = f"{one['at']} {one['level']:8} {one['service']:8} {one['message']}"
        print(inert(f"{words}  {about}".rstrip()), flush=True)
