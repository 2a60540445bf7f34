"""`ranvier doctor`: one line a part, and whether all is well."""

import argparse
from collections.abc import Sequence
from typing import Any

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run
from tui.contract import Health, HealthPart
from tui.trouble import Unreachable

_NEXT = {
    "callers": "Enter the AE titles of `ranvier receiving senders` in Settings, Receiving; or `ranvier receiving resume`.",
    "disk": "Free space on the data disk, or shorten the retention time; until then new instances are refused.",
}
_WORDS = {"ok": "ok", "up": "ok", "degraded": "warn", "warn": "warn", "skip": "skip"}


def main(arguments: Sequence[str]) -> int:
    """Checks the appliance from outside: 0 with warnings, 1 with failures."""
    found = parser("doctor", "Check the appliance; exit 1 when something fails.")
    add_json(found)
    return run(found, arguments, _doctor)


async def _doctor(client: Client, given: argparse.Namespace) -> int:
    lines: list[dict[str, Any]] = []
    try:
        health = await client.get("/api/health", Health)
        lines.append({"check": "api", "result": "ok", "what": f"answers at {client.url}", "next_step": ""})
        lines += [
            {
                "check": part.name,
                "result": _WORDS.get(part.status, "fail"),
                "what": part.detail or part.status,
                "next_step": _next(part),
            }
            for part in health.parts
        ]
    except Unreachable as trouble:
        what = f"{trouble.what} {trouble.why}"
        next_step = "Start it with `ranvier serve`, or look at `systemctl status ranvier-api`."
        lines.append({"check": "api", "result": "fail", "what": what, "next_step": next_step})
    if given.json:
        printing.json_out("doctor", {"checks": lines})
    else:
        rows = [[line["result"], line["check"], line["what"], line["next_step"] or "-"] for line in lines]
        printing.table_out(["RESULT", "CHECK", "WHAT", "NEXT"], rows)
    return exits.NEGATIVE if any(line["result"] == "fail" for line in lines) else exits.DONE


def _next(part: HealthPart) -> str:
    return "" if _WORDS.get(part.status) == "ok" else _NEXT.get(part.name, "")
