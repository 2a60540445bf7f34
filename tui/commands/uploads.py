"""`ranvier uploads`: what people handed in, upload codes, and uploaded studies in the hands of staff."""

import argparse
from collections.abc import Sequence
from typing import Any

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, many, parser, run, verbs

_COLUMNS = ("reference", "state", "by", "images", "documents", "scanned", "studies", "sent_at", "submission")
_CODES = ("id", "source", "state", "used", "most", "expires_at", "products", "created_by")


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("uploads", "What people handed in, upload codes, and uploaded studies.")
    verb = verbs(found)
    listing = verb.add_parser("list", help="the newest uploads with their state and studies")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default 50)")
    code = verb.add_parser("code", help="a new upload code, told this once")
    code.add_argument("--source", default="", metavar="NAME", help="the hospital on the page; default: the setting")
    code.add_argument("--phone", default="", metavar="TEXT")
    code.add_argument("--email", default="", metavar="TEXT")
    code.add_argument("--product", default="", metavar="A,B", help="what its uploads are processed with; default: nothing")
    code.add_argument("--most", type=int, default=1, metavar="N", help="for so many uploads (default 1)")
    code.add_argument("--hours", type=int, default=168, metavar="N", help="valid for so long (default 168)")
    codes = verb.add_parser("codes", help="the newest upload codes, without the codes themselves")
    revoke = verb.add_parser("revoke", help="end upload codes")
    revoke.add_argument("codes", nargs="+", metavar="CODE-ID")
    show = verb.add_parser("show", help="how a study was uploaded; with --reveal by whom, written to the audit")
    show.add_argument("--reveal", action="store_true", help="contact, comment and original numbers")
    link = verb.add_parser("link", help="make an uploaded study one of the patient of another study")
    link.add_argument("--yes", action="store_true", help="do it; without, both sides are shown")
    unlink = verb.add_parser("unlink", help="undo a link")
    for one in (show, link, unlink):
        one.add_argument("study")
    link.add_argument("known", metavar="KNOWN-STUDY")
    for name, words in (("review", "give the label Uploaded-Reviewed"), ("unreview", "take that label back")):
        verb.add_parser(name, help=words).add_argument("studies", nargs="+", metavar="STUDY")
    for name, words in (("accept", "let go on what could not be scanned"), ("reject", "refuse what waits, with every byte")):
        verb.add_parser(name, help=words).add_argument("submissions", nargs="+", metavar="SUBMISSION")
    add_json(listing, code, codes, show, link)
    return run(found, arguments, _uploads)


async def _uploads(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "list":
            found = await client.get("/api/submissions", dict[str, Any], limit=given.limit)
            return _table_out(given, "uploads.list", _COLUMNS, found["items"])
        case "codes":
            found = await client.get("/api/upload-codes", dict[str, Any])
            return _table_out(given, "uploads.codes", _CODES, found["items"])
        case "code":
            return await _code(client, given)
        case "revoke":
            return await many(given.codes, lambda one: _delete(client, f"/api/upload-codes/{one}", one, "is revoked"))
        case "show":
            return await _show(client, given)
        case "review":
            return await many(given.studies, lambda one: _post(client, f"/api/studies/{one}/review", one, "is reviewed"))
        case "unreview":
            return await many(given.studies, lambda one: _delete(client, f"/api/studies/{one}/review", one, "is not reviewed"))
        case "unlink":
            return await many([given.study], lambda one: _delete(client, f"/api/studies/{one}/link", one, "is not linked"))
        case "link":
            return await _link(client, given)
    return await many(
        given.submissions, lambda one: _post(client, f"/api/submissions/{one}/{given.verb}", one, f"{given.verb}ed")
    )


async def _post(client: Client, path: str, name: str, words: str) -> str:
    await client.post(path, dict[str, Any])
    return f"{name} {words}"


async def _delete(client: Client, path: str, name: str, words: str) -> str:
    await client.call("DELETE", path)
    return f"{name} {words}"


async def _code(client: Client, given: argparse.Namespace) -> int:
    asked = {
        "source": given.source, "phone": given.phone, "email": given.email, "most": given.most, "hours": given.hours,
        "products": [one for one in given.product.split(",") if one],
    }  # fmt: skip
    made = await client.post("/api/upload-codes", dict[str, Any], asked)
    if given.json:
        printing.json_out("uploads.code", made)
    else:
        printing.fields_out([("Code", made["code"]), ("Link", f"{client.url}{made['path']}"), ("Until", made["expires_at"])])
        printing.say("The code is told this once.")
    return exits.DONE


async def _show(client: Client, given: argparse.Namespace) -> int:
    row = await client.get(f"/api/studies/{given.study}/upload", dict[str, Any])
    if given.reveal:
        row["uploader"] = await client.post(f"/api/studies/{given.study}/upload/reveal", dict[str, Any])
    if given.json:
        printing.json_out("uploads.show", row)
        return exits.DONE
    lines = [
        ("Uploaded", f"{row['at'] or '-'} by {row['by']}, reference {row['reference']}"),
        ("Reviewed", "yes" if row["reviewed"] else "no"),
        ("Linked", "yes" if row["linked"] else "no"),
        ("Before", f"study {row['earlier']} was uploaded under the same number" if row["earlier"] else "-"),
        ("Documents", str(len(row["documents"]))),
    ]
    told = row.get("uploader", {})
    lines += [(name.replace("_", " ").capitalize(), str(value) or "-") for name, value in told.items() if name != "documents"]
    printing.fields_out(lines)
    return exits.DONE


async def _link(client: Client, given: argparse.Namespace) -> int:
    asked = {"to": given.known, "confirm": given.yes}
    row = await client.post(f"/api/studies/{given.study}/link", dict[str, Any], asked)
    if given.json:
        printing.json_out("uploads.link", row)
        return exits.DONE
    names = ("patient_name", "patient_id", "birth_date", "sex")
    sides = [(name, row["uploaded"][name], row["known"][name]) for name in names]
    printing.table_out(["", "UPLOADED", "KNOWN"], [[name.replace("_", " "), *values] for name, *values in sides])
    printing.say(
        "They are one patient now; `ranvier uploads unlink` undoes it." if row["linked"] else "Say --yes to link them."
    )
    return exits.DONE


def _table_out(given: argparse.Namespace, name: str, columns: Sequence[str], rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out(name, {"items": rows})
    else:
        cells = [[_cell(row.get(one)) for one in columns] for row in rows]
        printing.table_out([one.upper() for one in columns], cells)
    return exits.DONE


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "-"
    return str(value) if value not in (None, "") else "-"
