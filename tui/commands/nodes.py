"""`ranvier nodes`: PACS nodes, finding studies on them, pulling studies from them."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import Any

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, many, parser, run, verbs

_ENDED = {"DONE": exits.DONE, "FAILED": exits.NEGATIVE, "CANCELLED": exits.NEGATIVE}
LOOK_S = 1.0
LEVELS = ("patient", "study", "series", "image")


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("nodes", "PACS nodes: find studies on them and pull them (query and retrieve).")
    verb = verbs(found)
    listing = verb.add_parser("list", help="the configured nodes")
    find = verb.add_parser("find", help="studies that a node holds; with --reveal their patients, written to the audit log")
    find.add_argument("node")
    for name, words in (
        ("patient-id", "exact"),
        ("patient-name", "as Family^Given, * is wild"),
        ("accession", "exact"),
        ("date", "YYYYMMDD or a range YYYYMMDD-YYYYMMDD"),
        ("modality", "such as MR"),
        ("description", "* is wild"),
        ("pick", "of a study: lists its series; of a series, with --level image: its instances"),
    ):
        find.add_argument(f"--{name}", default="", metavar="TEXT", help=words)
    find.add_argument("--level", choices=LEVELS, help="what is listed (default study; with --pick series)")
    find.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default 50)")
    find.add_argument("--skip", type=int, default=0, metavar="N", help="leave out the first ones")
    find.add_argument("--reveal", action="store_true", help="show the patients")
    pull = verb.add_parser("pull", help="pull studies, by pick or by Study Instance UID")
    pull.add_argument("node")
    pull.add_argument("picks", nargs="*", metavar="PICK")
    pull.add_argument("--study-uid", action="append", default=[], metavar="UID")
    priors = verb.add_parser("priors", help="pull the other studies of a study's patient")
    priors.add_argument("study")
    priors.add_argument("node")
    priors.add_argument("--modality", default="MR", help="default MR; '' for all")
    for one in (pull, priors):
        one.add_argument("--wait", action="store_true", help="wait until the pulls have ended")
    pulls = verb.add_parser("pulls", help="the newest pulls")
    pulls.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default 50)")
    cancel = verb.add_parser("cancel", help="stop pulls; what has come stays")
    cancel.add_argument("pulls", nargs="+", metavar="PULL")
    add_json(listing, find, pull, priors, pulls)
    return run(found, arguments, _nodes)


async def _nodes(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "list":
            return _nodes_out(given, await client.get("/api/nodes", list[dict[str, Any]]))
        case "find":
            return await _find(client, given)
        case "pull":
            asked = {"picks": given.picks, "study_uids": given.study_uid}
            return await _asked(client, given, await client.post(f"/api/nodes/{given.node}/pulls", dict[str, Any], asked))
        case "priors":
            asked = {"node": given.node, "modality": given.modality}
            return await _asked(client, given, await client.post(f"/api/studies/{given.study}/priors", dict[str, Any], asked))
        case "pulls":
            return _pulls_out(given, (await client.get("/api/pulls", dict[str, Any], limit=given.limit))["items"])
    return await many(given.pulls, lambda pull: _cancel(client, pull))


def _nodes_out(given: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out("nodes.list", {"items": rows})
    else:
        names = ("name", "called_ae", "host", "port", "retrieve", "completeness")
        printing.table_out([name.upper() for name in names], [[str(row.get(name, "")) for name in names] for row in rows])
    return exits.DONE


async def _find(client: Client, given: argparse.Namespace) -> int:
    level = given.level or ("series" if given.pick else "study")
    asked = {
        "level": level.upper(),
        "patient_id": given.patient_id,
        "patient_name": given.patient_name,
        "accession": given.accession,
        "study_date": given.date,
        "modality": given.modality,
        "description": given.description,
        "limit": given.limit,
        "skip": given.skip,
        "reveal": given.reveal,
    }
    if given.pick:
        asked["pick"] = given.pick
    page = await client.post(f"/api/nodes/{given.node}/find", dict[str, Any], asked)
    if given.json:
        printing.json_out("nodes.find", page)
        return exits.DONE if page["items"] else exits.NEGATIVE
    names = ["modalities", "series", "instances", "study"]
    if given.reveal:
        names = ["patient_name", "patient_id", "study_date", "description", *names]
    if level == "series":
        names = ["number", *names]
    rows = [[_cell(row.get(name)) for name in (*names, "pick")] for row in page["items"]]
    printing.table_out([name.upper() for name in (*names, "pick")], rows)
    if page["more"]:
        printing.say(f"There are more: --skip {given.skip + len(rows)}")
    return exits.DONE if rows else exits.NEGATIVE


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


async def _asked(client: Client, given: argparse.Namespace, answer: dict[str, Any]) -> int:
    rows = answer["items"]
    while given.wait and any(row["state"] not in _ENDED for row in rows):
        await asyncio.sleep(LOOK_S)
        rows = [await client.get(f"/api/pulls/{row['pull']}", dict[str, Any]) for row in rows]
    if not rows:
        printing.say("There is nothing to pull.")
    _pulls_out(given, rows)
    return max((_ENDED.get(row["state"], exits.DONE) for row in rows), default=exits.NEGATIVE)


def _pulls_out(given: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out("nodes.pulls", {"items": rows})
        return exits.DONE
    names = ("pull", "node", "state", "completed", "remaining", "study", "detail")
    printing.table_out([name.upper() for name in names], [[_cell(row.get(name)) for name in names] for row in rows])
    return exits.DONE


async def _cancel(client: Client, pull: str) -> str:
    row = await client.post(f"/api/pulls/{pull}/cancel", dict[str, Any])
    return f"{row['pull']} {'is cancelled' if row['state'] == 'CANCELLED' else 'is asked to stop'}"
