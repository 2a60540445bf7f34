"""`ranvier certificate`: show, check, set, remove the TLS certificate of API and console."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import add_json, parser, run, verbs

_LONGEST = 100_000


def main(arguments: Sequence[str]) -> int:
    """Dispatches the verb."""
    found = parser("certificate", "The TLS certificate that browsers and programs meet.")
    verb = verbs(found)
    show = verb.add_parser("show", help="the certificate in force, with its fingerprint and its end")
    check = verb.add_parser("check", help="check files without using them")
    put = verb.add_parser("set", help="check files and put them in force; no restart, no connection is cut")
    remove = verb.add_parser("remove", help="back to the certificate that the appliance signs itself")
    for one in (check, put):
        one.add_argument("certificate", type=Path, help="certificate, and those between it and the authority (PEM)")
        one.add_argument("key", type=Path, help="its private key (PEM, without a password)")
        one.add_argument("--authority", type=Path, help="the authority's certificate (PEM)")
    add_json(show, check, put, remove)
    return run(found, arguments, _certificate)


async def _certificate(client: Client, given: argparse.Namespace) -> int:
    sent: dict[str, str] = {}
    if given.verb in ("check", "set"):
        files = {"certificate": given.certificate, "key": given.key, "authority": given.authority}
        try:
            sent = {name: _read(file) for name, file in files.items() if file is not None}
        except (OSError, UnicodeDecodeError) as fault:
            printing.say(f"A file cannot be read: {getattr(fault, 'strerror', None) or 'it is no text'}.")
            return exits.USAGE
    how = {
        "show": ("GET", "/api/certificate"),
        "check": ("POST", "/api/certificate/check"),
        "set": ("PUT", "/api/certificate"),
        "remove": ("DELETE", "/api/certificate"),
    }
    method, path = how[given.verb]
    found = msgspec.json.decode((await client.call(method, path, body=sent or None)).content, type=dict[str, Any])
    if given.json:
        printing.json_out("certificate", found)
    else:
        _print(found)
    return exits.DONE


def _read(file: Path) -> str:
    with file.open(encoding="ascii") as handle:
        return handle.read(_LONGEST)


def _print(found: dict[str, Any]) -> None:
    rows = (
        ("subject", "its own" if found.get("own") else found.get("subject")),
        ("issuer", found.get("issuer")),
        ("names", ", ".join(found.get("names") or [])),
        ("valid until", found.get("valid_until")),
        ("key", found.get("key")),
        ("SHA-256", found.get("fingerprint")),
        ("in force", "yes" if found.get("in_force") else "no"),
    )
    for name, value in rows:
        print(f"{name:<12} {value or '-'}")
    for warning in (*(found.get("warnings") or []), found.get("trouble")):
        if warning:
            printing.say(warning)
