"""`ranvier users`: accounts from the appliance's own command line, also the way back in after a lock-out.

Passwords come from standard input or a file, never from the command line, where every process could read them.
"""

import argparse
import getpass
import os
import pwd
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from appliance import audit
from appliance.access import second_factor
from appliance.access.accounts import change_user, create_user, end_sessions, find_user, get_user, list_users, set_password
from appliance.access.passwords import MAXIMUM_LENGTH
from appliance.access.permissions import ROLES
from appliance.errors import Misconfigured, RanvierError
from appliance.moments import iso

USAGE, OK = 64, 0
COMMAND_LINE = "command line"
"""Where from, in the audit; who is the account on the machine."""


class PasswordFileUnreadable(Misconfigured):
    """The password file cannot be read."""

    code = "password-file"
    next_step = "Check its path and who may read it."


@dataclass(frozen=True, slots=True)
class _Plain:
    """A word that takes a name and nothing else."""

    help: str
    said: str
    act: Callable[[str], Awaitable[object]]


_PLAIN = {
    "disable": _Plain(
        "let an account in no more; its sessions end",
        "{name} is disabled; its sessions have ended.",
        partial(change_user, disabled=True),
    ),
    "enable": _Plain("let a disabled account in again", "{name} may sign in.", partial(change_user, disabled=False)),
    "sign-out": _Plain("end all sessions of an account", "The sessions of {name} have ended.", end_sessions),
    "remove-second-factor": _Plain(
        "let an account in by its password alone again", "{name} signs in by password alone.", second_factor.remove
    ),
}
_ACTIONS = {
    "create": "user.create",
    "reset-password": "user.password",
    "role": "user.change",
    "disable": "user.change",
    "enable": "user.change",
    "sign-out": "user.sign-out",
    "remove-second-factor": "user.second-factor-off",
}
"""Word -> its name in the audit, the same as over HTTP."""


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
    role = words.add_parser("role", help="give an account another role and end its sessions", allow_abbrev=False)
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    for name, plain in _PLAIN.items():
        words.add_parser(name, help=plain.help, allow_abbrev=False).add_argument("name")
    words.add_parser("list", help="show all accounts", allow_abbrev=False)
    return program


async def run(arguments: Sequence[str], *, now: int) -> int:
    """Runs one word on the open records, writes it into the audit, and gives the exit code; raises `RanvierError`."""
    try:
        asked = parser().parse_args(list(arguments))
    except SystemExit as ended:
        return USAGE if ended.code else OK
    if asked.word == "list":
        for one in await list_users():
            locked = f"locked until {iso(one.locked_until)}" if one.locked_until > now else ""
            print("\t".join((one.name, one.role, "disabled" if one.disabled else locked or "active")))
        return OK
    try:
        said = await _done(asked, now)
    except RanvierError as refused:
        await _note(asked, refused.code, now)
        raise
    await _note(asked, "done", now)
    print(said, file=sys.stderr)
    return OK


async def _done(asked: argparse.Namespace, now: int) -> str:
    """Does what a word says and tells it in a sentence."""
    if asked.word == "create":
        await create_user(asked.name, asked.role, read_password(asked.password_file), now)
        return f"Account {asked.name} made with role {asked.role}."
    if asked.word == "reset-password":
        account = await set_password(asked.name, read_password(asked.password_file))
        return f"New password set for {account.name}; its sessions have ended."
    if asked.word == "role":
        account = await change_user(asked.name, role=asked.role)
        return f"{account.name} has role {account.role} now; its sessions have ended."
    plain = _PLAIN[asked.word]
    account = await get_user(asked.name)
    await plain.act(account.id)
    return plain.said.format(name=account.name)


async def _note(asked: argparse.Namespace, result: str, now: int) -> None:
    known = await find_user(asked.name)
    target = known.id if known else asked.name
    detail = f"role {asked.role}" if "role" in asked else asked.word if asked.word in ("disable", "enable") else ""
    await audit.append(_operator(), _ACTIONS[asked.word], target, result, COMMAND_LINE, now, detail)


def _operator() -> str:
    """Whose account on the machine it is; the command line asks for no other proof."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


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
