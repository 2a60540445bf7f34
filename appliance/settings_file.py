"""All settings as one TOML file: written without secrets, or with them under a passphrase; read, compared, taken over.

A file without secrets says `@secret:unchanged` where one is set: on the appliance that wrote it they stay, on another one they
must be entered. With a passphrase each secret stands encrypted.
"""

import base64
import binascii
import json
import re
import secrets
import tomllib
from typing import Any

import msgspec

from appliance.errors import Misconfigured
from appliance.fields import UNCHANGED, to_plain
from appliance.keys import Keys, SealBroken
from appliance.settings import Settings

FORMAT = 1
SHORTEST_PASSPHRASE = 15
HEAD = "ranvier"
_SEALED = "@passphrase:"
_PURPOSE = "settings-file"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PAGES = 2000
"""Differences that are listed at most."""


class SettingsFileBad(Misconfigured):
    """This is no settings file of Ranvier: {why}."""

    code = "settings-file"
    next_step = "Take a file that this appliance or another one exported."


class PassphraseShort(Misconfigured):
    """A passphrase has at least {least} characters."""

    code = "passphrase-short"
    next_step = "Choose a longer one; whoever has the file can try at leisure."


class PassphraseWrong(Misconfigured):
    """The passphrase does not open the secrets of this file."""

    code = "passphrase-wrong"
    next_step = "Give the passphrase that the file was exported with."


class Difference(msgspec.Struct, kw_only=True, frozen=True):
    """One field that differs, as text; secrets read `set` or `changed`, never what they are."""

    field: str
    before: str
    after: str


def export(settings: Settings, version: int, site: str, passphrase: str = "") -> str:
    """The settings as TOML; with a passphrase also the secrets. Raises `PassphraseShort`."""
    head: dict[str, Any] = {"format": FORMAT, "version": version, "site": site}
    if passphrase:
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise PassphraseShort(field="passphrase", least=SHORTEST_PASSPHRASE)
        salt = secrets.token_bytes(16)
        head["salt"] = base64.b64encode(salt).decode()
        keys = Keys.of_passphrase(passphrase, salt)
        plain = to_plain(settings, lambda found: _seal(keys, found.reveal()) if found else "")
    else:
        plain = to_plain(settings, lambda found: UNCHANGED if found else "")
    lines = ["# Settings of a Ranvier appliance. `@secret:unchanged` stands for a secret that is not in this file.", ""]
    for section, fields in {HEAD: head, **plain}.items():
        lines.append(f"[{section}]")
        lines += [f"{_key(name)} = {_toml(value)}" for name, value in fields.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def read(text: str, passphrase: str = "") -> dict[str, Any]:
    """What a file changes, as `settings.patched` takes it; raises `SettingsFileBad`, `PassphraseWrong`."""
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        why = "it is nested too deep" if isinstance(fault, RecursionError) else _place(fault)
        raise SettingsFileBad(field="text", why=why) from None
    head = found.pop(HEAD, None)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise SettingsFileBad(field="text", why=f"its section [{HEAD}] with format = {FORMAT} is missing")
    keys = _keys(head, passphrase)
    try:
        change = msgspec.to_builtins(_opened(found, keys))
    except SealBroken:
        raise PassphraseWrong(field="passphrase") from None
    if not isinstance(change, dict):
        raise SettingsFileBad(field="text", why="it has no sections")
    return change


def missing_secrets(change: dict[str, Any], settings: Settings) -> list[str]:
    """Fields whose secret the file does not bring and this appliance does not have: somebody must enter them."""
    before = dict(_flat(to_plain(settings, lambda found: "set" if found else "")))
    return [name for name, value in _flat(change) if value == UNCHANGED and not before.get(name)]


def differences(before: Settings, after: Settings) -> list[Difference]:
    """The fields that differ, in order; entries of lists by their name."""
    revealed = [dict(_flat(to_plain(one, lambda found: found.reveal()))) for one in (before, after)]
    shown = [dict(_flat(to_plain(one, lambda found: UNCHANGED if found else ""))) for one in (before, after)]
    names = [name for name in {**revealed[0], **revealed[1]} if revealed[0].get(name) != revealed[1].get(name)]
    return [
        Difference(field=name, before=_text(shown[0].get(name)), after=_text(shown[1].get(name), old=shown[0].get(name)))
        for name in names[:_PAGES]
    ]


def _text(value: Any, old: Any = None) -> str:
    if value == UNCHANGED:
        return "changed" if old == UNCHANGED else "set"
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, one in value.items() for pair in _flat(one, f"{name}.{key}" if name else str(key))]
    if isinstance(value, list | tuple) and value and all(isinstance(one, dict) for one in value):
        return [pair for place, one in enumerate(value, start=1) for pair in _flat(one, f"{name}[{one.get('name') or place}]")]
    return [(name, list(value) if isinstance(value, tuple) else value)]


def _keys(head: dict[str, Any], passphrase: str) -> Keys | None:
    salt = head.get("salt")
    if not isinstance(salt, str):
        return None
    if not passphrase:
        raise PassphraseWrong(field="passphrase")
    try:
        return Keys.of_passphrase(passphrase, base64.b64decode(salt, validate=True))
    except binascii.Error:
        raise SettingsFileBad(field="text", why="its salt is damaged") from None


def _opened(value: Any, keys: Keys | None) -> Any:
    if isinstance(value, dict):
        return {key: _opened(one, keys) for key, one in value.items()}
    if isinstance(value, list):
        return [_opened(one, keys) for one in value]
    if isinstance(value, str) and value.startswith(_SEALED):
        if keys is None:
            raise SettingsFileBad(field="text", why="it holds secrets without their salt")
        try:
            sealed = base64.b64decode(value.removeprefix(_SEALED), validate=True)
        except binascii.Error:
            raise SettingsFileBad(field="text", why="a secret is damaged") from None
        return keys.open(_PURPOSE, sealed, _PURPOSE).decode()
    return value


def _seal(keys: Keys, plain: str) -> str:
    return _SEALED + base64.b64encode(keys.seal(_PURPOSE, plain.encode(), _PURPOSE)).decode()


def _place(fault: tomllib.TOMLDecodeError) -> str:
    # The library's message may repeat what stands in the file: only the place is passed on.
    found = re.search(r"line (\d+), column (\d+)", str(fault))
    return f"line {found[1]}, column {found[2]} is no TOML" if found else "it is no TOML"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        pairs = (f"{_key(str(key))} = {_toml(one)}" for key, one in value.items() if one is not None)
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    # JSON's escapes are TOML's, save that TOML wants DEL escaped as well.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
