"""The headless commands: one file a noun. Results go to stdout, everything else to stderr."""

import sys
from collections.abc import Sequence
from importlib import import_module

NOUNS = (
    "console",
    "login",
    "status",
    "data-flow",
    "doctor",
    "studies",
    "orders",
    "deid",
    "processing",
    "nodes",
    "receiving",
    "delivery",
    "results",
    "groups",
    "uploads",
    "notices",
    "settings",
    "tasks",
    "logs",
    "certificate",
)
"""Each is a module here with `main(arguments) -> exit code`."""


def run(arguments: Sequence[str]) -> int:
    """Runs `WORD ...`; 64 for a word that there is not."""
    from tui.commands import exits

    word, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if word in {"-V", "--version"}:
        from importlib.metadata import version

        print(version("ranvier"))
        return exits.DONE
    if word in NOUNS:
        main = import_module(f"tui.commands.{word.replace('-', '_')}").main
        code: int = main(rest)
        return code
    print(f"usage: ranvier {{{'|'.join(NOUNS)}}} ...", file=sys.stdout if word in {"-h", "--help"} else sys.stderr)
    return exits.DONE if word in {"-h", "--help"} else exits.USAGE
