"""`ranvier console`: the full-screen console."""

import os
import sys
from collections.abc import Sequence

from tui import credentials
from tui.commands import exits
from tui.commands.session import parser


def main(arguments: Sequence[str]) -> int:
    """Opens the console on this terminal."""
    found = parser("console", "The full-screen console.")
    found.add_argument("--ascii", action="store_true", help="only plain characters")
    found.add_argument("--theme", choices=("dark", "light"), default="", help="colours for this time")
    given = found.parse_args(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("The console needs a terminal; `ranvier studies list` works without one.", file=sys.stderr)
        return exits.USAGE
    calm(os.environ)
    try:
        token = credentials.token(os.environ)
    except credentials.TokenFileOpen as fault:
        print(fault, file=sys.stderr)
        return exits.NOT_ALLOWED
    from importlib.metadata import version

    from tui.app import Console
    from tui.client import Client
    from tui.look import look_for

    app = Console(
        Client(credentials.url(os.environ, given.url), token),
        look=look_for(os.environ, ascii_only=given.ascii),
        preferences_file=credentials.folder(os.environ) / "console.json",
        version=version("ranvier"),
    )
    if given.theme:
        app.theme = f"ranvier-{given.theme}"
    app.run(mouse=os.environ.get("RANVIER_MOUSE") != "0")
    return exits.INTERNAL if app.return_code else exits.DONE


def calm(environment: "os._Environ[str]") -> None:
    """Over SSH the screen is drawn at most ten times a second, without animations; both must be set before Textual loads."""
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        environment.setdefault("TEXTUAL_FPS", "10")
        environment.setdefault("TEXTUAL_ANIMATIONS", "none")
