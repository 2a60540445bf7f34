"""What commands print: tables on a terminal, JSON for programs, problems for people."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.cells import cell_len

from tui.inert import fit, inert
from tui.trouble import Problem, Trouble

SCHEMA_VERSION = 1


def json_out(schema: str, content: Mapping[str, Any]) -> None:
    """One object with `schema` and `version`; times stay as the API sends them (UTC)."""
    import msgspec

    document = {"schema": f"ranvier.{schema}", "version": SCHEMA_VERSION, **content}
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def table_out(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns with titles on a terminal; tab-separated lines without titles elsewhere."""
    stream = sys.stdout
    clean = [[inert(cell) for cell in row] for row in rows]
    if not stream.isatty():
        for row in clean:
            stream.write("\t".join(row) + "\n")
        return
    widths = [max(cell_len(cell) for cell in column) for column in zip(titles, *clean, strict=True)]
    bold, plain = ("\x1b[1m", "\x1b[0m") if colours(stream) else ("", "")
    stream.write(
        bold + "  ".join(fit(title, width) for title, width in zip(titles, widths, strict=True)).rstrip() + plain + "\n"
    )
    for row in clean:
        stream.write("  ".join(fit(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


def fields_out(pairs: Sequence[tuple[str, str]]) -> None:
    """`Name  value` lines."""
    width = max((cell_len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        for index, line in enumerate(inert(value, lines=True).split("\n")):
            print(f"{fit(name if not index else '', width)}  {line}".rstrip())


def trouble_out(trouble: Trouble) -> None:
    """What, why and next, on stderr."""
    say(" ".join(part for part in (trouble.what, trouble.why) if part))
    if isinstance(trouble, Problem):
        for name, message in trouble.fields.items():
            say(f"  {name}: {message}")
    next_step = trouble.next_step
    if isinstance(trouble, Problem) and trouble.signed_out:
        next_step = "Sign in with `ranvier login`, or set RANVIER_TOKEN."
    if next_step:
        say(f"Next: {next_step}")


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(inert(text), file=sys.stderr)


def colours(stream: TextIO) -> bool:
    """Whether colours are wanted there."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
