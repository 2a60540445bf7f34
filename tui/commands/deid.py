"""`ranvier deid`: what would leave, the passport, the proof once more, the linking table."""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, many, parser, run, verbs
from tui.inert import inert
from tui.proof import Linking, Preview, Recheck
from tui.saving import folder_at, save

_PROFILES = ("safe-harbor-shifted", "safe-harbor", "ps3.15-basic")


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("deid", "De-identification: what would leave, and the proof of what did.")
    verb = verbs(found)
    preview = verb.add_parser("preview", help="before and after of every attribute; shows patients, written to the audit log")
    preview.add_argument("study")
    preview.add_argument("--profile", default="", choices=("", *_PROFILES), help="instead of the one in Settings")
    preview.add_argument("--series", default="", help="this one only")
    preview.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="another field of the settings, for once"
    )
    preview.add_argument("--all", action="store_true", help="also what stays as it is")
    passport = verb.add_parser("passport", help="the passport of orders as a file; never over another file")
    passport.add_argument("orders", nargs="+", metavar="ORDER")
    passport.add_argument("--format", default="json", choices=("json", "pdf"))
    passport.add_argument("--out", default=".", metavar="FOLDER")
    verify = verb.add_parser("verify", help="prove de-identified files once more; exit 1 when something is wrong")
    verify.add_argument("order")
    linking = verb.add_parser("linking", help="original and new UIDs of a study; administrators only, in the audit log")
    linking.add_argument("study")
    add_json(preview, verify, linking)
    return run(found, arguments, _deid)


async def _deid(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "preview":
            return await _preview(client, given)
        case "verify":
            return await _verify(client, given)
        case "linking":
            return await _linking(client, given)
    folder = folder_at(given.out)
    return await many(given.orders, lambda order: _passport(client, order, given.format, folder))


async def _passport(client: Client, order: str, kind: str, folder: Path) -> str:
    ending = "/pdf" if kind == "pdf" else ""
    file = await client.download(f"/api/orders/{order}/passport{ending}")
    return str(save(folder / f"{order}_passport.{kind}", file.content))


async def _preview(client: Client, given: argparse.Namespace) -> int:
    what_if: dict[str, Any] = {"profile": given.profile} if given.profile else {}
    for one in given.set:
        name, equals, value = one.partition("=")
        if not equals:
            printing.say(f"{one}: give FIELD=VALUE.")
            return exits.USAGE
        what_if[name] = _plain(value)
    body = {"series": given.series, "what_if": what_if}
    raw = await client.post(f"/api/studies/{given.study}/deidentification-preview", dict[str, Any], body)
    if given.json:
        printing.json_out("deid.preview", raw)
        return exits.DONE
    made = msgspec.convert(raw, Preview, strict=False)
    rows = [
        [one.place, inert(one.name) or "-", one.action, _shown(one.before, "(none)"), _shown(one.after, "(gone)")]
        for one in made.lines
        if given.all or one.before != one.after
    ]
    printing.table_out(["ATTRIBUTE", "NAME", "ACTION", "BEFORE", "AFTER"], rows)
    same = sum(one.before == one.after for one in made.lines)
    printing.say(f"{made.profile} {made.profile_version}: {len(made.lines) - same} attributes change, {same} stay.")
    for stays in made.staying:
        printing.say(f"Series {stays.series} does not leave: {inert(stays.what)}")
    return exits.DONE


def _plain(value: str) -> object:
    if value.isdigit():
        return int(value)
    return {"true": True, "on": True, "false": False, "off": False}.get(value.lower(), value)


def _shown(value: str | None, missing: str) -> str:
    return missing if value is None else inert(value) or "(empty)"


async def _verify(client: Client, given: argparse.Namespace) -> int:
    raw = await client.post(f"/api/orders/{given.order}/passport/verify", dict[str, Any])
    found = msgspec.convert(raw, Recheck, strict=False)
    if given.json:
        printing.json_out("deid.verify", raw)
    else:
        printing.fields_out(found.fields())
        rows = [[one.instance or "-", one.place, one.rule] for one in found.residues]
        if rows:
            printing.table_out(["INSTANCE", "ATTRIBUTE", "FINDING"], rows)
    return exits.DONE if found.good else exits.NEGATIVE


async def _linking(client: Client, given: argparse.Namespace) -> int:
    raw = await client.post(f"/api/studies/{given.study}/linking", dict[str, Any])
    if given.json:
        printing.json_out("deid.linking", raw)
    else:
        writer = csv.writer(sys.stdout)
        writer.writerow(("original", "new"))
        writer.writerows((one.original, one.new) for one in msgspec.convert(raw, Linking, strict=False).links)
    return exits.DONE
