"""How a command runs: arguments, a client under the stored session, exit code."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from tui import credentials
from tui.client import Client
from tui.commands import exits, printing
from tui.trouble import Trouble

Command = Callable[[Client, argparse.Namespace], Awaitable[int]]


class Parser(argparse.ArgumentParser):
    """Wrong usage ends with 64."""

    def error(self, message: str) -> NoReturn:
        """Usage and the message on stderr."""
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(exits.USAGE)


def parser(word: str, about: str) -> Parser:
    """The parser of one noun."""
    found = Parser(prog=f"ranvier {word}", description=about)
    found.add_argument("--url", default="", help="the API's address (default RANVIER_URL or http://127.0.0.1:3001)")
    return found


def verbs(parent: argparse.ArgumentParser) -> "argparse._SubParsersAction[Parser]":
    """The verbs of a noun."""
    return parent.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)


def add_json(*parsers: argparse.ArgumentParser) -> None:
    """`--json` prints one object."""
    for one in parsers:
        one.add_argument("--json", action="store_true", help="print one JSON object")


def add_listing(one: argparse.ArgumentParser) -> None:
    """What every list takes."""
    one.add_argument("--filter", default="", metavar="TEXT", help="as in the console's filter bar: status:failed received>2d")
    one.add_argument("--limit", type=int, default=200, metavar="N", help="at most so many (default 200)")
    one.add_argument("--fields", default="", metavar="A,B", help="these columns only")
    one.add_argument("--ids", action="store_true", help="identifiers only, one a line")


def run(found: Parser, arguments: Sequence[str], command: Command) -> int:
    """Parses, runs with a client, and turns trouble into words and an exit code."""
    given = found.parse_args(arguments)
    try:
        token = credentials.token(os.environ)
    except credentials.TokenFileOpen as fault:
        printing.say(str(fault))
        return exits.NOT_ALLOWED
    try:
        return asyncio.run(_with_client(given, token, command))
    except Trouble as trouble:
        printing.trouble_out(trouble)
        return exits.code_of(trouble)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone; Python must not complain about the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.DONE


async def _with_client(given: argparse.Namespace, token: str, command: Command) -> int:
    async with Client(credentials.url(os.environ, given.url), token) as client:
        return await command(client, given)


async def many(identifiers: Sequence[str], act: Callable[[str], Awaitable[str]]) -> int:
    """Does the same for each identifier: 0 all, 2 some; with one only, its own trouble's code."""
    troubles: list[Trouble] = []
    for one in identifiers:
        try:
            print(await act(one))
        except Trouble as trouble:
            printing.say(f"{one}:")
            printing.trouble_out(trouble)
            troubles.append(trouble)
    if not troubles:
        return exits.DONE
    return exits.code_of(troubles[0]) if len(troubles) == len(identifiers) else exits.PARTLY


def columns(given: str, known: Sequence[str], usual: Sequence[str]) -> list[str]:
    """The columns of `--fields`, all of which must be known."""
    wanted = [name.strip() for name in given.split(",") if name.strip()] or list(usual)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        printing.say(f"There is no field {', '.join(unknown)}; there are {', '.join(known)}.")
        raise SystemExit(exits.USAGE)
    return wanted


def list_out(schema: str, given: argparse.Namespace, rows: Sequence[dict[str, object]], key: str, usual: Sequence[str]) -> int:
    """A list as `--json`, as `--ids`, or as a table of the wanted columns."""
    if given.json:
        printing.json_out(schema, {"items": list(rows)})
    elif given.ids:
        for row in rows:
            print(row[key])
    else:
        known = list(dict.fromkeys([*usual, *(name for row in rows for name in row)]))
        wanted = columns(given.fields, known, usual)
        printing.table_out([name.upper() for name in wanted], [[_cell(row.get(name)) for name in wanted] for row in rows])
    return exits.DONE


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, list):
        return ",".join(str(one.get("destination") or "?") if isinstance(one, dict) else str(one) for one in value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


async def all_pages(client: Client, path: str, given: argparse.Namespace) -> list[dict[str, object]]:
    """The items of a list up to `--limit`, page by page."""
    items: list[dict[str, object]] = []
    cursor = ""
    while len(items) < given.limit:
        room = min(200, given.limit - len(items))
        page = await client.get(path, dict[str, object], q=given.filter, cursor=cursor, limit=room)
        found = page.get("items")
        items += found if isinstance(found, list) else []
        cursor = str(page.get("next") or "")
        if not cursor:
            break
    return items[: given.limit]
