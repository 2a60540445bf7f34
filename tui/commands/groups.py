"""`ranvier groups`: list, create, fill, report."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, many, parser, run, verbs
from tui.saving import folder_at, save

_FORMATS = ("csv", "schema", "pdf", "png")


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("groups", "Groups of studies with the same products, and their reports.")
    verb = verbs(found)
    listing = verb.add_parser("list", help="groups with how far their studies are: all, or those with a part in their name")
    listing.add_argument("--name", default="", metavar="PART", help="* stands for anything")
    numbers = verb.add_parser("statistics", help="how every number of a group is distributed, and which studies stand out")
    show = verb.add_parser("show", help="one group with its reports and where they went")
    create = verb.add_parser("create", help="a new group, fixed to products in the versions that are installed")
    create.add_argument("--product", default="", metavar="A,B", help="default: those of Settings, Products")
    remove = verb.add_parser("remove", help="take away a group that has no studies")
    add = verb.add_parser("add", help="put studies into a group")
    upload = verb.add_parser("upload", help="every ZIP of a folder, one for each study, into a group; a bad one stops no other")
    accept = verb.add_parser("accept-versions", help="fix a group to the versions of its products that are installed now")
    report = verb.add_parser("report", help="make a report of a group as it stands, and save it")
    report.add_argument("--send", action="store_true", help="also deliver it to the group destinations")
    report.add_argument("--format", default="csv", metavar="A,B", help=f"of {', '.join(_FORMATS)} (default csv)")
    report.add_argument("--out", default=".", metavar="FOLDER")
    send = verb.add_parser("send", help="send the newest report to the group destinations again")
    for one in (show, numbers, create, remove, add, upload, accept, report, send):
        one.add_argument("group")
    upload.add_argument("folder", type=Path)
    add.add_argument("studies", nargs="+", metavar="STUDY")
    out = verb.add_parser("take-out", help="take studies out of their groups")
    out.add_argument("studies", nargs="+", metavar="STUDY")
    add_json(listing, show, numbers, create, report)
    return run(found, arguments, _groups)


async def _groups(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "list":
            return _list_out(given, await client.get("/api/groups", list[dict[str, Any]], q=given.name))
        case "show":
            return _show_out(given, await client.get(f"/api/groups/{given.group}", dict[str, Any]))
        case "statistics":
            path = f"/api/groups/{given.group}/statistics"
            return _statistics_out(given, await client.get(path, list[dict[str, Any]]))
        case "create":
            asked = {"group": given.group, "products": [one for one in given.product.split(",") if one]}
            return _show_out(given, await client.post("/api/groups", dict[str, Any], asked))
        case "remove":
            await client.call("DELETE", f"/api/groups/{given.group}")
            printing.say(f"Group {given.group} is gone.")
            return exits.DONE
        case "add":
            return await many(given.studies, lambda study: _put(client, study, given.group))
        case "upload":
            return await _upload(client, given.group, given.folder)
        case "take-out":
            return await many(given.studies, lambda study: _put(client, study, ""))
        case "accept-versions":
            return _show_out(given, await client.post(f"/api/groups/{given.group}/accept-versions", dict[str, Any]))
        case "send":
            sent = await client.post(f"/api/groups/{given.group}/reports/newest/send", dict[str, Any])
            printing.say(f"The newest report goes to {sent['destinations']} destinations.")
            return exits.DONE if sent["destinations"] else exits.NEGATIVE
    return await _report(client, given)


async def _put(client: Client, study: str, group: str) -> str:
    row = await client.call("PUT", f"/api/studies/{study}/group", body={"group": group})
    return f"{study} {'is in ' + group if group else 'is in no group'}" if row.content else study


async def _upload(client: Client, group: str, folder: Path) -> int:
    archives = sorted(str(one) for one in folder.glob("*") if one.suffix.lower() == ".zip" and one.is_file())
    if not archives:
        printing.say(f"There is no ZIP file in {folder}.")
        return exits.BAD_INPUT

    async def send(archive: str) -> str:
        path = f"/api/groups/{group}/studies"
        found = await client.upload(path, Path(archive), dict[str, Any], "application/zip")
        return f"{Path(archive).name}\t{','.join(found['studies'])}\t{found['stored']} stored, {found['left_out']} left out"

    return await many(archives, send)


async def _report(client: Client, given: argparse.Namespace) -> int:
    wanted = [one.strip() for one in given.format.split(",") if one.strip()]
    if set(wanted) - set(_FORMATS):
        printing.say(f"There are the formats {', '.join(_FORMATS)}.")
        return exits.USAGE
    folder = folder_at(given.out)
    made = await client.post(f"/api/groups/{given.group}/reports", dict[str, Any], {"send": given.send})
    saved = []
    for one in wanted:
        file = await client.download(f"/api/groups/{given.group}/reports/{made['report']}/{one}")
        saved.append(str(save(folder / Path(file.name).name, file.content)))
    if given.json:
        printing.json_out("groups.report", {**made, "files": saved})
    else:
        for name in saved:
            print(name)
        printing.say(f"Version {made['version']}: {made['done']} of {made['studies']} studies have a result.")
    return exits.DONE


def _list_out(given: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out("groups.list", {"items": rows})
    else:
        names = ("group", "products", "studies", "done", "failed", "cancelled", "waiting", "reported_at")
        printing.table_out([name.upper() for name in names], [[_cell(row.get(name)) for name in names] for row in rows])
    return exits.DONE


def _statistics_out(given: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out("groups.statistics", {"items": rows})
        return exits.DONE
    names = ("column", "count", "mean", "deviation", "least", "lower", "middle", "upper", "most")
    cells = [
        [
            *(f"{row[name]:.6g}" if isinstance(row[name], float) else str(row[name]) for name in names),
            ",".join(one["study"] for one in row["outliers"]) or "-",
        ]
        for row in rows
    ]
    printing.table_out([*(name.upper() for name in names), "OUTLIERS"], cells)
    return exits.DONE


def _show_out(given: argparse.Namespace, row: dict[str, Any]) -> int:
    if getattr(given, "json", False):
        printing.json_out("groups.show", row)
        return exits.DONE
    printing.fields_out(
        [
            ("Group", row["group"]),
            ("Products", _cell(row["products"])),
            ("Studies", f"{row['studies']}: {row['done']} done, {row['failed']} failed, {row['cancelled']} cancelled"),
            ("Waiting", f"{row['waiting']} for a person"),
        ]
    )
    if row["newer"]:
        printing.say(f"Installed are {_cell(row['newer'])}: accept them with `ranvier groups accept-versions`.")
    rows = [
        [
            f"v{one['version']}",
            one["name"],
            one["reason"],
            f"{one['done']}/{one['studies']}",
            ", ".join(f"{way['destination']} {way['word'].lower()}" for way in one["deliveries"]) or "-",
        ]
        for one in row["report_list"]
    ]
    if rows:
        printing.table_out(["V", "NAME", "REASON", "DONE", "DELIVERY"], rows)
    return exits.DONE


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items()) or "-"
    return "-" if value is None or value == "" else str(value)
