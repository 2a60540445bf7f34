"""`ranvier orders`: list, show, open, qc, repair, wait, and what a person decides about them."""

import argparse
import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, add_listing, all_pages, list_out, many, parser, run, verbs
from tui.contract import DeliveryView, OrderView, QcReport
from tui.saving import folder_at, save

_USUAL = ("order", "study", "word", "products", "qc_verdict", "code", "created_at")
URGENT = 5
_ENDED_WELL = frozenset({"DELIVERED", "REPORTED"})
_STOPPED = frozenset({"QC_FAILED", "HELD"})


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("orders", "Orders: work on studies.")
    verb = verbs(found)
    listing = verb.add_parser("list", help="orders, newest first")
    add_listing(listing)
    show = verb.add_parser("show", help="one order")
    opened = verb.add_parser("open", help="open an order on a study")
    opened.add_argument("study")
    opened.add_argument("--product", action="append", default=[], metavar="NAME", help="may be repeated")
    opened.add_argument("--urgent", action="store_true", help="before all others")
    opened.add_argument("--key", default="", help="the same key twice gives the same order")
    qc = verb.add_parser("qc", help="quality control with findings; exit 1 when it failed")
    qc.add_argument(
        "--pictures", default="", metavar="FOLDER", help="saves the checks' pictures there; never over another file"
    )
    repair = verb.add_parser("repair", help="agree to the repair of a wrong gradient table; prints the order that carries it")
    bypass = verb.add_parser("bypass", help="let an order through in spite of its findings")
    bypass.add_argument("--reason", required=True)
    metadata = verb.add_parser("metadata", help="give age and sex that the header lacks")
    metadata.add_argument("--age", default="", help="63 (years) or 063Y, 018M, 006W, 010D")
    metadata.add_argument("--sex", default="", choices=("", "F", "M", "O"))
    for one in (show, qc, repair, bypass, metadata):
        one.add_argument("order")
    send = verb.add_parser("send", help="send the de-identified images to an archive of the settings")
    send.add_argument("order")
    send.add_argument("--to", required=True, metavar="NAME", help="a study destination")
    several = {
        "retry": "start orders again",
        "cancel": "end orders; asks nothing",
        "urgent": "put orders before all others",
        "routine": "make orders routine again",
    }
    for name, about in several.items():
        verb.add_parser(name, help=about).add_argument("orders", nargs="+", metavar="ORDER")
    wait = verb.add_parser("wait", help="wait until orders have ended; exit 1 when one did not end well")
    wait.add_argument("orders", nargs="+", metavar="ORDER")
    wait.add_argument("--timeout", type=float, default=0.0, metavar="S", help="give up after S seconds (exit 124)")
    add_json(listing, show, opened, qc)
    return run(found, arguments, _orders)


async def _orders(client: Client, given: argparse.Namespace) -> int:
    match given.verb:
        case "list":
            return list_out("orders.list", given, await all_pages(client, "/api/orders", given), "order", _USUAL)
        case "show":
            return _show(given, await client.get(f"/api/orders/{given.order}", dict[str, Any]))
        case "open":
            headers = {"Idempotency-Key": given.key} if given.key else None
            body = {"study": given.study, **({"products": given.product} if given.product else {})}
            body |= {"priority": URGENT} if given.urgent else {}
            return _show(given, await client.post("/api/orders", dict[str, Any], body, headers=headers))
        case "qc":
            return await _qc(client, given)
        case "repair":
            carrier = await client.post(f"/api/orders/{given.order}/repair-gradients", OrderView)
            print(f"{carrier.order} {carrier.word}")
        case "bypass":
            await client.post(f"/api/orders/{given.order}/bypass", object, {"reason": given.reason})
        case "metadata":
            return await _metadata(client, given)
        case "send":
            sent = await client.post(f"/api/orders/{given.order}/send", DeliveryView, {"destination": given.to})
            print(f"{sent.delivery} {sent.word}")
        case "wait":
            return await _wait(client, given)
        case verb:
            return await many(given.orders, lambda order: _act(client, order, verb))
    return exits.DONE


async def _act(client: Client, order: str, verb: str) -> str:
    if verb in ("urgent", "routine"):
        await client.put(f"/api/orders/{order}/priority", object, {"priority": verb})
        return f"{order} {verb}"
    view = await client.post(f"/api/orders/{order}/{verb}", OrderView)
    return f"{view.order} {view.word}"


def _show(given: argparse.Namespace, raw: dict[str, Any]) -> int:
    if given.json:
        printing.json_out("orders.show", raw)
        return exits.DONE
    order = msgspec.convert(raw, OrderView, strict=False)
    printing.fields_out(
        [
            ("Order", order.order),
            ("Study", order.study),
            ("Status", order.word + (f" {order.percent:.0f} %" if order.percent and not order.terminal else "")),
            *([("Priority", "urgent")] if order.priority else []),
            ("Why", order.detail or "-"),
            ("Next", order.advice or "-"),
            *(("Product", f"{one.product} {one.version or ''} {one.state} {one.detail or ''}".rstrip()) for one in order.runs),
            *(("Report", f"{one.report} {' '.join(one.formats)}") for one in order.reports),
            *(("Delivery", f"{one.destination} {one.word} {one.answer or ''}") for one in order.deliveries),
            ("Opened", order.created_at or "-"),
        ]
    )
    return exits.DONE


async def _qc(client: Client, given: argparse.Namespace) -> int:
    raw = await client.get(f"/api/orders/{given.order}/qc", dict[str, Any])
    report = msgspec.convert(raw, QcReport, strict=False)
    if given.json:
        printing.json_out("orders.qc", raw)
    else:
        rows = [
            [one.verdict, one.title or one.check, one.found or "-", one.expected or "-", one.action or "-"]
            for one in report.findings
        ]
        printing.table_out(["VERDICT", "CHECK", "FOUND", "EXPECTED", "TO DO"], rows)
        for repair in report.repairs:
            agreed = f"repair agreed by {repair.consent}" if repair.consent else "`ranvier orders repair` agrees to its repair"
            gain = f"coherence {repair.before:g} to {repair.after:g}"
            printing.say(f"Gradient table of series {repair.number}: {repair.words} ({gain}); {agreed}.")
    if given.pictures:
        folder = folder_at(given.pictures)
        for one in report.findings:
            if one.picture:
                file = await client.download(one.picture)
                printing.say(f"Saved {save(folder / file.name, file.content)}")
    return exits.NEGATIVE if (report.verdict or "").lower().startswith("fail") else exits.DONE


async def _metadata(client: Client, given: argparse.Namespace) -> int:
    body = {name: value for name, value in (("age", given.age), ("sex", given.sex)) if value}
    if not body:
        printing.say("Give --age, --sex or both.")
        return exits.USAGE
    await client.post(f"/api/orders/{given.order}/metadata", object, body)
    return exits.DONE


async def _wait(client: Client, given: argparse.Namespace) -> int:
    """Polls, because a script wants the end and not each step."""
    ends = time.monotonic() + given.timeout if given.timeout else None
    waiting, states = list(given.orders), {}
    while waiting:
        for name in list(waiting):
            order = await client.get(f"/api/orders/{name}", OrderView)
            if order.terminal or order.state in _STOPPED or _settled(order):
                waiting.remove(name)
                states[name] = order.state
                print(f"{order.order} {order.word}")
        if waiting and ends is not None and time.monotonic() >= ends:
            return exits.WAITED_TOO_LONG
        if waiting:
            await asyncio.sleep(1.0)
    return exits.DONE if all(state in _ENDED_WELL for state in states.values()) else exits.NEGATIVE


def _settled(order: OrderView) -> bool:
    """Reported, and no delivery is on its way any more."""
    return (
        order.state == "REPORTED"
        and bool(order.deliveries)
        and all(one.state in {"SENT", "SENT_WITH_WARNING", "FAILED"} for one in order.deliveries)
    )
