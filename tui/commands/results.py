"""`ranvier results`: list, show, download, resend."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, add_listing, all_pages, list_out, many, parser, run, verbs
from tui.inert import inert

_USUAL = ("report", "order", "study", "kind", "version", "formats", "deliveries", "created_at")


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("results", "Reports and their deliveries.")
    verb = verbs(found)
    listing = verb.add_parser("list", help="reports, newest first")
    add_listing(listing)
    add_json(listing)
    show = verb.add_parser("show", help="a report as text")
    show.add_argument("report")
    download = verb.add_parser("download", help="reports as files; never over another file")
    download.add_argument("reports", nargs="+", metavar="REPORT")
    download.add_argument(
        "--format", default="pdf", metavar="A,B", help="pdf (default), txt, png, json, xml, csv, dicom-csv, fhir"
    )
    download.add_argument("--out", default=".", metavar="FOLDER", help="`-` writes one report to stdout")
    bundle = verb.add_parser("bundle", help="all results that fit a filter as one ZIP with manifest and a table of all numbers")
    bundle.add_argument("--filter", default="", metavar="TEXT", help="as in the console's filter bar: group:PARK-01 created<7d")
    bundle.add_argument("--format", default="pdf", metavar="A,B", help="default pdf")
    bundle.add_argument("--out", default="results.zip", metavar="FILE", help="never over another file (default results.zip)")
    resend = verb.add_parser("resend", help="send again to a destination, by delivery")
    resend.add_argument("deliveries", nargs="+", metavar="DELIVERY")
    return run(found, arguments, _results)


async def _results(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "list":
            return list_out("results.list", given, await all_pages(client, "/api/results", given), "report", _USUAL)
        case "show":
            print(inert(await client.text(f"/api/reports/{given.report}/txt"), lines=True))
            return exits.DONE
        case "resend":
            return await many(given.deliveries, lambda delivery: _resend(client, delivery))
        case "bundle":
            return await _bundle(client, given)
    return await _download(client, given)


async def _bundle(client: Client, given: argparse.Namespace) -> int:
    from tui.saving import beginning

    target = Path(given.out)
    with beginning(target) as file:
        await client.stream_to("/api/results/bundle", {"q": given.filter, "formats": given.format}, file.write)
    print(target)
    return exits.DONE


async def _resend(client: Client, delivery: str) -> str:
    await client.post(f"/api/deliveries/{delivery}/resend", object)
    return f"{delivery} sent again"


async def _download(client: Client, given: argparse.Namespace) -> int:
    kinds = [kind.strip() for kind in given.format.split(",") if kind.strip()]
    wanted = [f"{report}/{kind}" for report in given.reports for kind in kinds]
    if given.out == "-":
        if len(wanted) != 1:
            printing.say("Only one file goes to stdout.")
            return exits.USAGE
        file = await client.download(f"/api/reports/{wanted[0]}")
        sys.stdout.buffer.write(file.content)
        return exits.DONE
    from tui.saving import folder_at

    folder = folder_at(given.out)
    return await many(wanted, lambda one: _save(client, one, folder))


async def _save(client: Client, report_and_kind: str, folder: Path) -> str:
    from tui.saving import save

    file = await client.download(f"/api/reports/{report_and_kind}")
    return str(save(folder / file.name, file.content))
