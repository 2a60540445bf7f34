"""`ranvier init`: the wizard. Asks what matters, checks each answer, shows a summary, writes, starts.

Titles, help and bounds of the questions come from the settings schema. `--answers FILE` (TOML) asks nothing; the same file may
be used again. What is there is kept: a second run changes only what was answered differently.
"""

import argparse
import asyncio
import getpass
import os
import socket
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance import audit, launch, settings
from appliance.access.accounts import create_user, set_password
from appliance.access.passwords import check_rules
from appliance.errors import Misconfigured
from appliance.fields import section_fields
from appliance.house import default_home, open_house, product_problems
from appliance.moments import now_ms
from appliance.records import senders, users

ADMIN = "admin"


class Answers(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the wizard needs to know; the keys of an answers file."""

    data_folder: str
    ae_title: str = "RANVIER_SCP"
    dicom_port: int = 104
    http_port: int = 3001
    allowed_callers: str | None = None
    """Calling AE titles that may send, separated by commas; empty is everybody, none keeps what is there."""
    mode: str = "local"
    password: str = ""
    """Of the administrator; empty keeps the one that is there."""
    database: str = ""
    """`postgresql://...`; empty is SQLite in the data folder."""
    start: bool = True


class AnswerWrong(Misconfigured):
    """{field}: {why}"""

    code = "answer-wrong"
    next_step = "Correct it in the answers file and run the wizard again."


class NoTerminal(Misconfigured):
    """The wizard needs a terminal to ask its questions."""

    code = "no-terminal"
    next_step = "Run it in a terminal, or give the answers with --answers FILE."


def main(arguments: list[str]) -> int:
    """Runs the wizard; 0 when the appliance is set up, 130 when it was left."""
    parser = argparse.ArgumentParser(prog="ranvier init", description="Sets this appliance up.")
    parser.add_argument("--answers", type=Path, help="a TOML file with the answers: data_folder, ae_title, dicom_port, ...")
    parser.add_argument("--no-start", action="store_true", help="write the settings, start nothing")
    options = parser.parse_args(arguments)
    try:
        answers = _read(options.answers) if options.answers else _ask()
        if options.no_start:
            answers = msgspec.structs.replace(answers, start=False)
        return asyncio.run(_write(answers))
    except (KeyboardInterrupt, EOFError):
        print("\nNothing was changed.", file=sys.stderr)
        return 130


def _read(file: Path) -> Answers:
    try:
        answers = msgspec.convert(tomllib.loads(file.read_text()), Answers)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise AnswerWrong(field=file.name, why=str(fault)) from fault
    for name, check in _CHECKS.items():
        why = check(str(getattr(answers, name) or ""))
        if why:
            raise AnswerWrong(field=name, why=why)
    return answers


def _ask() -> Answers:
    if not sys.stdin.isatty():
        raise NoTerminal(field="terminal")
    print("Ranvier: first boot. Enter keeps what stands in brackets; Ctrl-C leaves without a change.\n")
    while True:
        found: dict[str, Any] = {"data_folder": _question("data_folder", "Data folder", str(default_home()))}
        kept, seen = _present(Path(found["data_folder"]).expanduser())
        receive, access, compute = kept.receive, kept.access, kept.compute
        port = receive.port if _may_bind(receive.port) else 11112
        found["ae_title"] = _question("ae_title", *_described("receive", "ae_title"), receive.ae_title)
        found["dicom_port"] = int(_question("dicom_port", "DICOM port", str(port)))
        found["allowed_callers"] = _question("allowed_callers", _who_may_send(seen), ", ".join(receive.allowed_callers))
        found["http_port"] = int(_question("http_port", "HTTP port (console, API)", str(access.port)))
        found["password"] = _new_password()
        found["mode"] = _question("mode", *_described("compute", "mode"), compute.mode)
        answers = msgspec.convert(found, Answers)
        _summary(answers)
        word = input("Write this and start? [Y]es, [a]gain, [n]o: ").strip().lower() or "y"
        if word.startswith("y"):
            return answers
        if word.startswith("n"):
            raise KeyboardInterrupt


def _described(section: str, name: str) -> tuple[str]:
    meta = section_fields(settings.section_types()[section])[name]
    assert meta is not None
    return (f"{meta.title}" + (f"\n  {meta.description}" if meta.description else ""),)


def _question(name: str, title: str, default: str) -> str:
    while True:
        value = input(f"{title} [{default}]: ").strip() or default
        why = _CHECKS[name](value)
        if not why:
            return value
        print(f"  {why}")


def _new_password() -> str:
    while True:
        first = getpass.getpass("Password of the console's administrator (15 or more characters): ")
        why = _password_problem(first)
        if why:
            print(f"  {why}")
        elif getpass.getpass("The same again: ") == first:
            return first
        else:
            print("  These are two different passwords.")


def _who_may_send(seen: list[str]) -> str:
    listed = f"\n  Seen so far: {', '.join(seen)}." if seen else ""
    return (
        "AE titles of the devices that may send, separated by commas"
        f"\n  Without any, everybody in the network may send: fine for a first test, not for real use.{listed}"
    )


def _callers(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _present(home: Path) -> tuple[settings.Settings, list[str]]:
    """The settings that are there, for the defaults, and who has sent so far."""
    if not (home / "keys" / "root.key").exists():
        return settings.Settings(), []

    async def load() -> tuple[settings.Settings, list[str]]:
        async with open_house(home) as house:
            return (await house.settings()).settings, [one.sender for one in await senders.everyone()]

    return asyncio.run(load())


def _folder_problem(value: str) -> str:
    """Whether a data folder can be made, written, synced and renamed in."""
    folder = Path(value).expanduser()
    if not folder.is_absolute():
        return "Name it from the root, like /var/lib/ranvier."
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / ".probe"
        with probe.open("wb") as handle:
            handle.write(b"probe")
            os.fsync(handle.fileno())
        os.replace(probe, folder / ".probe2")
        (folder / ".probe2").unlink()
    except OSError as fault:
        return f"It cannot be used: {fault.strerror}."
    return ""


def _field_problem(section: str, name: str, value: object) -> str:
    try:
        settings.patched(settings.Settings(), {section: {name: value}})
    except settings.SettingsRefused as refused:
        return refused.problems[0].message
    return ""


def _mode_problem(value: str) -> str:
    """Whether the products that come first can run there: a site's own are not there yet."""
    why = _field_problem("compute", "mode", value)
    if why:
        return why
    before = settings.Settings()
    after, _ = settings.patched(before, {"compute": {"mode": value}})
    return "; ".join(one.message for one in product_problems(default_home(), before, after))


def _port_problem(section: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not value.isdigit() or not 0 < int(value) < 65536:
            return "A port is a number from 1 to 65535."
        if not _may_bind(int(value)):
            return "Only root or a service with that capability may use it; take one above 1023."
        return ""

    return check


def _may_bind(port: int) -> bool:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("0.0.0.0", port))
    except PermissionError:
        return False
    except OSError:
        return True  # in use: perhaps by this appliance, which is running
    return True


def _password_problem(value: str) -> str:
    if not value:
        return ""
    return "; ".join(one.sentence for one in check_rules(value) if not one.kept)


_CHECKS: dict[str, Callable[[str], str]] = {
    "data_folder": _folder_problem,
    "ae_title": lambda value: _field_problem("receive", "ae_title", value),
    "dicom_port": _port_problem("receive"),
    "http_port": _port_problem("access"),
    "allowed_callers": lambda value: _field_problem("receive", "allowed_callers", _callers(value)),
    "mode": lambda value: _mode_problem(value),
    "password": _password_problem,
}


def _summary(answers: Answers) -> None:
    print(
        f"\n  Data folder      {answers.data_folder}\n  AE title, port   {answers.ae_title}, {answers.dicom_port}\n"
        f"  May send         {answers.allowed_callers or 'everybody'}\n"
        f"  HTTP port        {answers.http_port}\n  Processing mode  {answers.mode}\n  Administrator    {ADMIN}\n"
    )


async def _write(answers: Answers) -> int:
    home = Path(answers.data_folder).expanduser()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.save_bootstrap(home, settings.Bootstrap(database=answers.database))
    async with open_house(home, create=True) as house:
        loaded = await house.settings()
        receive: dict[str, Any] = {"ae_title": answers.ae_title, "port": answers.dicom_port}
        if answers.allowed_callers is not None:
            receive["allowed_callers"] = _callers(answers.allowed_callers)
        change = {
            "receive": receive,
            "access": {"port": answers.http_port},
            "compute": {"mode": answers.mode},
        }
        wanted, changed = settings.patched(loaded.settings, change)
        if changed or not loaded.version:
            await house.save(wanted, based_on=loaded.version, actor="wizard", now=now_ms(), changed=changed)
        await _administrator(answers.password)
    print(f"Written to {home}.")
    if answers.start:
        await _start(home, answers)
    return 0


async def _administrator(password: str) -> None:
    if await users.by_name(ADMIN) is None:
        if not password:
            raise AnswerWrong(field="password", why="the first run needs one")
        made = await create_user(ADMIN, "admin", password, now_ms())
        await audit.append("wizard", "user.create", made, "done", "", now_ms(), "admin")
    elif password:
        account = await set_password(ADMIN, password)
        await audit.append("wizard", "user.password", account.id, "done", "", now_ms())


async def _start(home: Path, answers: Answers) -> None:
    if launch.running(home) is not None:
        await launch.stop(home)
    launch.start(home)
    url = f"http://127.0.0.1:{answers.http_port}"
    await launch.wait_healthy(url)
    program = Path(sys.argv[0]).absolute()
    print(f"The appliance is up.\n  DICOM    {answers.ae_title} at port {answers.dicom_port}\n  API      {url}/api-docs")
    print(f"  console  RANVIER_URL={url} {program} console     (user {ADMIN})\n  stop     RANVIER_HOME={home} {program} stop")
