"""`python -m tui WORD ...`: the console and the headless commands."""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Runs one word; the exit code follows sysexits."""
    from tui.commands import run

    return run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
