"""All settings: one field a section; load, save, history and the rules between sections.

`Bootstrap` is the little that must be known before the database: where it is. It stands in `<home>/ranvier.toml`.
"""

import base64
import tomllib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from appliance import errors
from appliance.delivery.section import AnyDestination
from appliance.events import SettingsChanged
from appliance.fields import UNCHANGED, Restart, Secret, Section, decode_hook, masked, section_fields, to_plain
from appliance.keys import Keys
from appliance.receive.section import DropFolder, Node, PacsNode, WebNode
from appliance.records import events, orders, users
from appliance.records import settings as rows
from appliance.settings_rules import FieldProblem, changed_fields, cross_check, plain_values, unheeded
from appliance.settings_schema import Settings, schema, section_types
from appliance.storage import write_durable

__all__ = [
    "FieldProblem",
    "Settings",
    "changed_fields",
    "cross_check",
    "schema",
    "section_types",
]

_SEALED = "@sealed:"


class Bootstrap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known before the database."""

    database: str = ""
    """`postgresql://...`; empty is SQLite in the home folder."""

    def url(self, home: Path) -> str:
        """The database's address."""
        return self.database or f"sqlite://{home / 'ranvier.db'}"


class SettingsRefused(errors.Misconfigured):
    """These settings cannot be saved: {summary}"""

    code = "settings-refused"
    next_step = "Correct the named fields and save again."

    def __init__(self, problems: list[FieldProblem]) -> None:
        self.problems = problems
        super().__init__(field=problems[0].field, summary="; ".join(f"{one.field}: {one.message}" for one in problems))


class SettingsStale(errors.Conflict):
    """Somebody else saved version {version} while you were editing."""

    code = "settings-stale"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with the version they have in the records (0: defaults, nothing saved yet)."""

    version: int
    settings: Settings


def load_bootstrap(home: Path) -> Bootstrap:
    """Reads `ranvier.toml`; a missing file is all defaults."""
    path = home / "ranvier.toml"
    if not path.exists():
        return Bootstrap()
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Bootstrap)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise errors.Misconfigured(field=f"ranvier.toml: {fault}") from fault


def save_bootstrap(home: Path, bootstrap: Bootstrap) -> None:
    """Writes `ranvier.toml`."""
    escaped = bootstrap.database.replace("\\", "\\\\").replace('"', '\\"')
    write_durable(home / "ranvier.toml", f'database = "{escaped}"\n'.encode())


async def load(keys: Keys) -> Loaded:
    """The settings in force."""
    row = await rows.newest()
    if row is None:
        return Loaded(version=0, settings=Settings())
    return Loaded(version=row.version, settings=_decode(keys, row.document))


async def load_version(keys: Keys, version: int) -> Loaded:
    """Settings as they were saved in one version."""
    row = await rows.one(version)
    if row is None:
        raise errors.Unknown(kind="settings version")
    return Loaded(version=row.version, settings=_decode(keys, row.document))


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One saved version and the names of the fields that it changed."""

    version: int
    saved_at: int
    saved_by: str
    changed: list[str]


async def history(keys: Keys, limit: int = 50) -> list[Revision]:
    """The newest versions, newest first, each compared with the one before it."""
    saved = await rows.history(limit + 1)
    documents = [_decode(keys, one.document) for one in saved]
    if len(saved) <= limit:
        documents.append(Settings())
    return [
        Revision(version=one.version, saved_at=one.saved_at, saved_by=one.saved_by, changed=changed_fields(before, after))
        for one, after, before in zip(saved, documents, documents[1:], strict=False)
    ]


async def save(
    keys: Keys,
    settings: Settings,
    *,
    based_on: int,
    actor: str,
    now: int,
    changed: list[str],
    further: Callable[[Settings, Settings], list[FieldProblem]] = lambda before, after: [],
) -> Loaded:
    """Stores a new version; raises `SettingsStale` when `based_on` is not the newest, `SettingsRefused` for bad values.

    `further` finds what is wrong beyond what the settings alone can tell.
    """
    document = msgspec.json.encode(to_plain(settings, lambda found: _seal(keys, found))).decode()
    async with rows.transaction():
        newest = await rows.newest()
        version = newest.version if newest else 0
        if version != based_on:
            raise SettingsStale(version=version)
        before = _decode(keys, newest.document) if newest else Settings()
        problems = await _mode_problems(before, settings) or [
            *unheeded(before, settings),
            *cross_check(settings),
            *further(before, settings),
        ]
        if problems:
            raise SettingsRefused(problems)
        await rows.add(version + 1, document, now, actor)
        await _void_sessions(before, settings)
        await events.append(SettingsChanged(version=version + 1, actor=actor, sections=", ".join(changed)), now)
    return Loaded(version=version + 1, settings=settings)


async def _void_sessions(before: Settings, after: Settings) -> None:
    """UI-07: a session that the identity provider stood for under other settings is over; without passwords all are."""
    if before.saml == after.saml:
        return
    only = after.saml.enabled and after.saml.mode == "saml"
    await users.revoke_kinds(["saml", "session"] if only else ["saml"])


def shown(settings: Settings) -> dict[str, Any]:
    """Settings as readers see them: secrets that are set read `@secret:unchanged`."""
    plain: dict[str, Any] = to_plain(settings, masked)
    return plain


def patched(settings: Settings, change: dict[str, Any]) -> tuple[Settings, list[str]]:
    """Settings with some fields of some sections changed, and the names of the fields that changed.

    `change` is `{section: {field: value}}`; a secret of `@secret:unchanged` stays as it is. Raises `SettingsRefused` with
    one problem for each wrong field.
    """
    before = plain_values(settings)
    problems: list[FieldProblem] = []
    changed: list[str] = []
    sections: dict[str, Section] = {}
    kinds = section_types()
    for name, fields in change.items():
        if name not in kinds or not isinstance(fields, dict):
            problems.append(FieldProblem(field=name, message="there is no such section"))
            continue
        merged = {**before[name], **_with_secrets(fields, before[name])}
        problems += _field_problems(kinds[name], name, merged)
        if not problems:
            sections[name] = msgspec.convert(merged, kinds[name], dec_hook=decode_hook)
            changed += [f"{name}.{key}" for key in fields if merged.get(key) != before[name].get(key)]
    if problems:
        raise SettingsRefused(problems)
    result = msgspec.structs.replace(settings, **sections)
    later = cross_check(result) + unheeded(settings, result)
    if later:
        raise SettingsRefused(later)
    return result, changed


def section_from(settings: Settings, name: str, fields: dict[str, Any]) -> Section:
    """A section as a form holds it, saved or not; whether its fields may be saved is not asked. Raises `SettingsRefused`."""
    before = plain_values(settings)[name]
    merged = {**before, **_with_secrets(fields, before)}
    kind = section_types()[name]
    problems = _field_problems(kind, name, merged)
    if problems:
        raise SettingsRefused(problems)
    return msgspec.convert(merged, kind, dec_hook=decode_hook)


def destination_from(settings: Settings, plain: dict[str, Any]) -> AnyDestination:
    """A destination as a form holds it, with its stored secret where the form has the mark; raises `SettingsRefused`."""
    found: AnyDestination = _entry_from(settings.delivery.everyone, plain, AnyDestination, "destination")
    return found


def node_from(settings: Settings, plain: dict[str, Any]) -> Node:
    """A node of either kind as a form holds it, in the same way; one with a URL speaks DICOMweb."""
    found: Node = _entry_from(settings.nodes.everyone, plain, WebNode if "url" in plain else PacsNode, "node")
    return found


def drop_from(settings: Settings, plain: dict[str, Any]) -> DropFolder:
    """A watched folder as a form holds it, in the same way."""
    found: DropFolder = _entry_from(settings.drops.folders, plain, DropFolder, "folder")
    return found


def _entry_from(stored: Sequence[Section], plain: dict[str, Any], kind: Any, called: str) -> Any:
    """One entry of a list; the stored one is known by its name."""
    known = to_plain(stored, lambda found: found.reveal())
    before = next((one for one in known if one["name"] == plain.get("name")), None)
    try:
        return msgspec.convert(_with_secrets(plain, before), kind, dec_hook=decode_hook)
    except msgspec.ValidationError as fault:
        message, _, place = str(fault).partition(" - at `$.")
        raise SettingsRefused([FieldProblem(field=place.rstrip("`") or called, message=message)]) from fault


def restarts(changed: list[str]) -> set[Restart]:
    """Which processes must start anew for these fields to act."""
    found: set[Restart] = set()
    for name in changed:
        section, _, key = name.partition(".")
        meta = section_fields(section_types()[section]).get(key)
        restart = (meta.extra_json_schema or {}).get("x-restart") if meta else None
        if restart:
            found.add(restart)
    return found


async def _mode_problems(before: Settings, after: Settings) -> list[FieldProblem]:
    """PRO-07: the processing mode stays as it is while orders are under way, because each was begun for one place."""
    if before.compute.mode == after.compute.mode:
        return []
    found = await orders.under_way()
    if not found:
        return []
    listed = ", ".join(one[-8:] for one in found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
    return [FieldProblem(field="compute.mode", message=f"cannot change while orders are open: {listed}")]


def _field_problems(kind: type[Section], name: str, merged: dict[str, Any]) -> list[FieldProblem]:
    """Each wrong field by itself: msgspec stops at the first, a form wants them all."""
    hints = get_type_hints(kind, include_extras=True)
    problems = [FieldProblem(field=f"{name}.{key}", message="there is no such field") for key in merged if key not in hints]
    for key, value in merged.items():
        if key in hints:
            try:
                msgspec.convert(value, hints[key], dec_hook=decode_hook)
            except msgspec.ValidationError as fault:
                problems.append(FieldProblem(field=f"{name}.{key}", message=_in_words(str(fault), hints[key])))
    return problems


def _in_words(message: str, hint: Any) -> str:
    if "matching regex" in message and get_origin(hint) is Annotated:
        patterns = [one for one in get_args(hint)[1:] if isinstance(one, msgspec.Meta) and one.pattern]
        if patterns and patterns[0].pattern and "x20" in patterns[0].pattern:
            return "1 to 16 characters without backslash and outer spaces"
        return "has not the expected form" + (f" ({patterns[0].pattern})" if patterns and patterns[0].pattern else "")
    return message[0].lower() + message[1:]


def _with_secrets(fields: dict[str, Any], before: Any) -> dict[str, Any]:
    """Puts the stored secret where the writer left the mark; list entries are matched by their name."""
    result: dict[str, Any] = {}
    for key, value in fields.items():
        old = before.get(key) if isinstance(before, dict) else None
        if value == UNCHANGED:
            result[key] = old or ""
        elif isinstance(value, dict):
            result[key] = _with_secrets(value, old)
        elif isinstance(value, list):
            named = {one.get("name"): one for one in old or [] if isinstance(one, dict)}
            result[key] = [_with_secrets(one, named.get(one.get("name"))) if isinstance(one, dict) else one for one in value]
        else:
            result[key] = value
    return result


def _seal(keys: Keys, found: Secret) -> str:
    if not found:
        return ""
    return _SEALED + base64.b64encode(keys.seal("settings", found.reveal().encode(), "settings")).decode()


@lru_cache(maxsize=4)
def _decode(keys: Keys, document: str) -> Settings:
    """A saved document; the same one is asked for by every request and every look of a process."""

    def hook(kind: type, value: object) -> object:
        if kind is Secret and isinstance(value, str) and value.startswith(_SEALED):
            sealed = base64.b64decode(value.removeprefix(_SEALED))
            return Secret(keys.open("settings", sealed, "settings").decode())
        return decode_hook(kind, value)

    return msgspec.json.decode(document, type=Settings, dec_hook=hook, strict=False)
