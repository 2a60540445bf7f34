"""`ranvier receiving`: senders, associations, watched folders, pause, resume."""

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run, verbs
from tui.contract import Status
from tui.flows import AssociationTrouble, Sender


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("receiving", "Who sends, what went wrong with associations, and pause.")
    verb = verbs(found)
    show = verb.add_parser("show", help="where senders send to; exit 1 while receiving is paused")
    senders = verb.add_parser("senders", help="everybody who has sent, with the quiet time that its pauses ask for")
    associations = verb.add_parser("associations", help="associations that were refused, aborted or failed, and what helps")
    verb.add_parser("pause", help="turn new associations away for now; open ones finish, senders try again")
    verb.add_parser("resume", help="let senders in again")
    drops = verb.add_parser("drops", help="what sites put into watched folders, and what became of it; newest first")
    drops.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default 50)")
    add_json(show, senders, associations, drops)
    return run(found, arguments, _receiving)


async def _receiving(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "show":
            return _show(given, await client.get("/api/status", Status))
        case "senders":
            return _senders(given, await client.get("/api/senders", list[Sender]))
        case "associations":
            return _associations(given, await client.get("/api/associations", list[AssociationTrouble]))
        case "drops":
            return _drops(given, (await client.get("/api/drops", dict[str, Any], limit=given.limit))["items"])
    await client.post(f"/api/receiving/{given.verb}", object)
    printing.say("Receiving is paused." if given.verb == "pause" else "Receiving goes on.")
    return exits.DONE


def _show(given: argparse.Namespace, status: Status) -> int:
    receive = status.receive
    if given.json:
        printing.json_out("receiving.show", {**msgspec.to_builtins(receive), "paused": status.receiving_paused})
    else:
        printing.fields_out(
            [
                ("Receiving", "paused" if status.receiving_paused else "on"),
                ("AE title", receive.ae_title),
                ("Addresses", ", ".join(receive.addresses) or receive.host),
                ("Port", str(receive.port)),
                ("Senders", "every calling AE title" if receive.open_to_everybody else "those of the settings"),
            ]
        )
    return exits.NEGATIVE if status.receiving_paused else exits.DONE


def _senders(given: argparse.Namespace, rows: list[Sender]) -> int:
    if given.json:
        printing.json_out("receiving.senders", {"items": msgspec.to_builtins(rows)})
        return exits.DONE
    cells = [
        [
            one.ae_title,
            one.address or "-",
            str(one.studies),
            str(one.instances),
            f"{one.quiet_s} s",
            "-" if one.proposed_quiet_s is None else f"{one.proposed_quiet_s} s",
            "yes" if one.allowed else "no",
        ]
        for one in rows
    ]
    printing.table_out(["AE TITLE", "ADDRESS", "STUDIES", "INSTANCES", "QUIET TIME", "LEARNED", "MAY SEND"], cells)
    return exits.DONE


def _associations(given: argparse.Namespace, rows: list[AssociationTrouble]) -> int:
    if given.json:
        printing.json_out("receiving.associations", {"items": msgspec.to_builtins(rows)})
        return exits.DONE
    cells = [[one.at or "-", one.caller, one.address, one.kind, one.sentence, one.advice] for one in rows]
    printing.table_out(["WHEN", "CALLER", "ADDRESS", "WHAT", "WHY", "TO DO"], cells)
    return exits.DONE


def _drops(given: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if given.json:
        printing.json_out("receiving.drops", {"items": rows})
        return exits.DONE
    cells = [
        [
            row["drop"],
            row["folder"],
            row["state"],
            str(row["stored"]),
            str(row["left_out"]),
            " ".join(row["studies"]) or "-",
            row["detail"] or "-",
        ]
        for row in rows
    ]
    printing.table_out(["DROP", "FOLDER", "STATE", "STORED", "LEFT OUT", "STUDIES", "DETAIL"], cells)
    return exits.DONE
