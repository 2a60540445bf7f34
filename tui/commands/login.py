"""`ranvier login`: sign in for the commands that follow."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tui import credentials
from tui.client import Client
from tui.commands import exits, printing
from tui.commands.session import parser, run
from tui.contract import Me
from tui.sign_in import PATH, SignInWays
from tui.trouble import Problem


def main(arguments: Sequence[str]) -> int:
    """Asks for user and password, or takes them from a file or stdin; keeps the session's token."""
    found = parser("login", "Sign in; the session is kept in ~/.config/ranvier/token (mode 0600).")
    found.add_argument("--user", default="", help="asked for when absent")
    found.add_argument("--password-file", default="", metavar="FILE", help="`-` reads stdin; never an argument itself")
    found.add_argument("--code", action="store_true", help="ask for the code that a browser shows after single sign-on")
    found.add_argument("--forget", action="store_true", help="end the session and remove the token")
    return run(found, arguments, _login)


async def _login(client: Client, given: argparse.Namespace) -> int:
    if given.forget:
        if client.token:
            credentials.forget(os.environ)
            await client.logout()
        printing.say("Signed out.")
        return exits.DONE
    if given.code:
        return await _by_code(client)
    user, password = given.user, _password(given.password_file)
    if (not user or password is None) and not sys.stdin.isatty():
        printing.say("Without a terminal give --user and --password-file.")
        return exits.USAGE
    user, password = _ask(user, password)
    me = await _signed_in(client, user, password)
    path = credentials.store(os.environ, client.token)
    printing.say(f"Signed in as {me.user or user} ({me.role}). The session is kept in {path}.")
    return exits.DONE


async def _by_code(client: Client) -> int:
    ways = await client.get(PATH, SignInWays)
    if not ways.single_sign_on:
        printing.say("Single sign-on is switched off on this appliance.")
        return exits.USAGE
    printing.say(ways.hint(client.url))
    me = await client.login_by_code(_code())
    path = credentials.store(os.environ, client.token)
    printing.say(f"Signed in as {me.user} ({me.role}). The session is kept in {path}.")
    return exits.DONE


async def _signed_in(client: Client, user: str, password: str) -> Me:
    import getpass

    try:
        return await client.login(user, password)
    except Problem as problem:
        if problem.code != "second-factor-needed" or not sys.stdin.isatty():
            raise
    return await client.login(user, password, getpass.getpass("Code of your second factor: "))


def _code() -> str:
    return (input("Code: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()


def _ask(user: str, password: str | None) -> tuple[str, str]:
    import getpass

    return user or input("User: ").strip(), getpass.getpass("Password: ") if password is None else password


def _password(source: str) -> str | None:
    if not source:
        return None
    try:
        text = sys.stdin.readline() if source == "-" else Path(source).read_text()
    except OSError as fault:
        printing.say(f"{source}: {fault.strerror}.")
        raise SystemExit(exits.NOT_FOUND) from fault
    return text.rstrip("\r\n")
