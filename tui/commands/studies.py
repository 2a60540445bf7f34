"""`ranvier studies`: list, show, force-stable, release, reveal."""

import argparse
import sys
from collections.abc import Sequence
from getpass import getpass
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, add_listing, all_pages, list_out, many, parser, run, verbs
from tui.contract import Identities, StudiesFound, StudyDetail

_USUAL = ("study", "word", "qc", "products", "group", "instances", "received_at")


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("studies", "Studies: everything that was received.")
    verb = verbs(found)
    listing = verb.add_parser("list", help="studies, newest first")
    add_listing(listing)
    show = verb.add_parser("show", help="one study with series, orders and events")
    show.add_argument("study")
    stable = verb.add_parser("force-stable", help="take studies for complete now")
    stable.add_argument("studies", nargs="+", metavar="STUDY")
    release = verb.add_parser(
        "release", help="let studies out of quarantine: you have looked, they may be processed as they are"
    )
    release.add_argument("studies", nargs="+", metavar="STUDY")
    find = verb.add_parser("find", help="studies of an exact accession number or patient ID; written to the audit log")
    find.add_argument("kind", choices=("accession", "patient"), help="the value is read from standard input")
    reveal = verb.add_parser("reveal", help="show patients; written to the audit log")
    reveal.add_argument("studies", nargs="+", metavar="STUDY")
    add_json(listing, show, find, reveal)
    return run(found, arguments, _studies)


async def _studies(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "list":
            return list_out("studies.list", given, await all_pages(client, "/api/studies", given), "study", _USUAL)
        case "show":
            return await _show(client, given)
        case "force-stable":
            return await many(given.studies, lambda study: _force_stable(client, study))
        case "release":
            return await many(given.studies, lambda study: _release(client, study))
        case "find":
            return await _find(client, given)
    return await _reveal(client, given)


async def _find(client: Client, given: argparse.Namespace) -> int:
    # Not from the command line: every user of a machine sees those.
    value = getpass("Value: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    raw = await client.post("/api/lookup", dict[str, Any], {"kind": given.kind, "value": value})
    if given.json:
        printing.json_out("studies.find", raw)
    else:
        found = msgspec.convert(raw, StudiesFound, strict=False)
        rows = [[one.study, one.word, one.received_at or "-"] for one in found.items]
        printing.table_out(["STUDY", "STATUS", "RECEIVED"], rows)
    return exits.DONE if raw["items"] else exits.NEGATIVE


async def _show(client: Client, given: argparse.Namespace) -> int:
    raw = await client.get(f"/api/studies/{given.study}", dict[str, Any])
    if given.json:
        printing.json_out("studies.show", raw)
        return exits.DONE
    study = msgspec.convert(raw, StudyDetail, strict=False)
    printing.fields_out(
        [
            ("Study", study.study),
            ("Status", study.word + (f" {study.percent:.0f} %" if study.percent is not None else "")),
            ("Step", study.step or "-"),
            ("Why", study.detail or "-"),
            ("QC", study.qc or "-"),
            ("Content", f"{study.series} series, {study.instances} instances"),
            ("Received", f"{study.received_at} from {study.sender or '-'}"),
            *(("Order", f"{order.order} {order.word}") for order in study.orders),
            *(("Report", f"{report.report} {' '.join(report.formats)}") for report in study.reports),
            *(("", f"{entry.at}  {entry.text or entry.title}") for entry in study.timeline),
        ]
    )
    return exits.DONE


async def _force_stable(client: Client, study: str) -> str:
    await client.post(f"/api/studies/{study}/force-stable", object)
    return f"{study} taken as complete"


async def _release(client: Client, study: str) -> str:
    await client.post(f"/api/studies/{study}/release", object)
    return f"{study} released from quarantine"


async def _reveal(client: Client, given: argparse.Namespace) -> int:
    found = await client.post("/api/reveal", Identities, {"studies": given.studies})
    rows = [msgspec.to_builtins(one) for one in found.items]
    if given.json:
        printing.json_out("studies.reveal", {"items": rows})
    else:
        names = ("study", "patient_name", "patient_id", "birth_date", "sex", "accession")
        printing.table_out([name.upper() for name in names], [[str(row.get(name) or "-") for name in names] for row in rows])
    return exits.DONE
