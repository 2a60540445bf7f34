"""`ranvier users`: accounts from the appliance's own command line, also the way back in after a lock-out.

Passwords come from standard input or a file, never from the command line, where every process could read them.
"""

import argparse
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

from appliance.access import second_factor
from appliance.access.accounts import create_user, get_user, list_users, set_password
from appliance.access.passwords import MAXIMUM_LENGTH
from appliance.access.permissions import ROLES
from appliance.errors import Misconfigured
from appliance.moments import iso

USAGE, OK = 64, 0


class PasswordFileUnreadable(Misconfigured):
    """The password file cannot be read."""

    code = "password-file"
    next_step = "Check its path and who may read it."


def parser() -> argparse.ArgumentParser:
    """The words of `ranvier users`."""
    # Without abbreviations: `--password X` must not be read as `--password-file X`.
    program = argparse.ArgumentParser(prog="ranvier users", description="Local accounts of this appliance.", allow_abbrev=False)
    words = program.add_subparsers(dest="word", required=True)
    create = words.add_parser("create", help="make an account", allow_abbrev=False)
    create.add_argument("name")
    create.add_argument("--role", choices=ROLES, default="user")
    reset = words.add_parser(
        "reset-password", help="set a new password, unlock the account and end its sessions", allow_abbrev=False
    )
    reset.add_argument("name")
    for word in (create, reset):
        word.add_argument("--password-file", type=Path, help="a file with the password; else it is asked, or read from a pipe")
    remove = words.add_parser("remove-second-factor", help="let an account in by its password alone again", allow_abbrev=False)
    remove.add_argument("name")
    words.add_parser("list", help="show all accounts", allow_abbrev=False)
    return program


async def run(arguments: Sequence[str], *, now: int) -> int:
    """Runs one word on the open records and gives the exit code; raises `RanvierError` for what cannot be done."""
    try:
        asked = parser().parse_args(list(arguments))
    except SystemExit as ended:
        return USAGE if ended.code else OK
    if asked.word == "create":
        await create_user(asked.name, asked.role, read_password(asked.password_file), now)
        print(f"Account {asked.name} made with role {asked.role}.", file=sys.stderr)
    elif asked.word == "reset-password":
        account = await set_password(asked.name, read_password(asked.password_file))
        print(f"New password set for {account.name}; its sessions have ended.", file=sys.stderr)
    elif asked.word == "remove-second-factor":
        account = await get_user(asked.name)
        await second_factor.remove(account.id)
        print(f"{account.name} signs in by password alone.", file=sys.stderr)
    else:
        for one in await list_users():
            locked = f"locked until {iso(one.locked_until)}" if one.locked_until > now else ""
            print("\t".join((one.name, one.role, "disabled" if one.disabled else locked or "active")))
    return OK


def read_password(file: Path | None) -> str:
    """A password from a file, from a person at a terminal (unseen), or from a pipe; the final line end is no part of it."""
    if file is not None:
        try:
            with file.open(encoding="utf-8") as handle:
                return handle.read(MAXIMUM_LENGTH * 4).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as fault:
            raise PasswordFileUnreadable(field="--password-file") from fault
    if sys.stdin.isatty():
        return getpass.getpass("Password: ")
    return sys.stdin.readline(MAXIMUM_LENGTH * 4).rstrip("\r\n")
