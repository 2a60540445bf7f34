"""`ranvier audit`: verify the chain, show an anchor, export the rows; on the appliance itself, without the API."""

import argparse
import sys
from collections.abc import Sequence

from appliance import audit
from appliance.keys import Keys

USAGE, OK, BROKEN = 64, 0, 1


def parser() -> argparse.ArgumentParser:
    """The words of `ranvier audit`."""
    program = argparse.ArgumentParser(prog="ranvier audit", description="The audit of this appliance.", allow_abbrev=False)
    words = program.add_subparsers(dest="word", required=True)
    verify = words.add_parser("verify", help="find rows that were changed, inserted, reordered or removed", allow_abbrev=False)
    verify.add_argument("--anchor", default="", help="an anchor that was kept elsewhere: also finds rows cut off at the end")
    words.add_parser("anchor", help="show an anchor of the chain as it is now", allow_abbrev=False)
    words.add_parser("export", help="write all rows as JSON lines", allow_abbrev=False)
    return program


async def run(arguments: Sequence[str], keys: Keys, *, now: int) -> int:
    """Runs one word on the open records and gives the exit code: 1 when the chain is broken; raises `AnchorWrong`."""
    try:
        asked = parser().parse_args(list(arguments))
    except SystemExit as ended:
        return USAGE if ended.code else OK
    if asked.word == "anchor":
        print((await audit.anchor(keys, now)).text)
        return OK
    if asked.word == "export":
        async for line in audit.lines(keys, now):
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return OK
    found = await audit.verify(audit.read_anchor(keys, asked.anchor) if asked.anchor else None)
    if found.ok:
        print(f"The audit is whole: {found.rows} rows, last hash {found.head}.")
        return OK
    print(f"The audit is BROKEN at row {found.first_bad_seq}; the {found.rows} rows before it are whole.", file=sys.stderr)
    return BROKEN
