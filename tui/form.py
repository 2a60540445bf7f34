"""JSON Schema -> what a form needs to know. No widget is made here and no rule is invented: the schema is the API's.

A field's draft is always text, as a person types it; `read` turns it into the value that the API takes, or says what is wrong
with its form. Bounds, patterns and rules between fields are checked by the API, which names the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Kind = Literal["text", "number", "whole", "choice", "list", "json", "secret"]

SECRET_KEPT = "@secret:unchanged"
"""What the API shows in place of a secret that is set, and takes back for "leave it as it is"."""

ON, OFF = "on", "off"


class Unreadable(ValueError):
    """A draft does not have the form of its field."""


@dataclass(frozen=True)
class FormField:
    """One setting."""

    section: str
    name: str
    title: str
    help: str
    kind: Kind
    choices: tuple[str, ...] = ()
    unit: str = ""
    bounds: str = ""
    recommended: str = ""
    restart: str = ""
    applies_when: str = ""
    unavailable: str = ""
    tall: bool = False
    """Whether it holds many lines."""

    @property
    def key(self) -> str:
        """`section.name`, as the API names fields."""
        return f"{self.section}.{self.name}"

    def about(self) -> str:
        """Help, bounds, recommendation and effect in one text; first of all why it cannot be set, where that is so."""
        parts = [f"Not available in this version: {self.unavailable}."] if self.unavailable else []
        parts.append(self.help)
        if self.bounds:
            parts.append(f"Allowed: {self.bounds}.")
        if self.choices:
            parts.append(f"One of {', '.join(self.choices)}.")
        if self.kind == "list":
            parts.append("Several are separated by commas.")
        if self.kind == "json":
            parts.append("As JSON.")
        if self.recommended:
            parts.append(f"Recommended: {self.recommended}.")
        if self.restart:
            parts.append(f"Acts after a restart of {self.restart}.")
        return " ".join(part for part in parts if part)

    def reason_against(self, settings: Mapping[str, Any]) -> str:
        """Why the field cannot be set among these values; empty when it can."""
        if self.unavailable:
            return self.unavailable
        for condition in filter(None, self.applies_when.split(", ")):
            where, _, wanted = condition.partition("=")
            section, _, name = where.partition(".")
            if str(settings.get(section, {}).get(name)) not in wanted.split("|"):
                return f"only with {where} {wanted.replace('|', ' or ')}"
        return ""

    def hint(self, value: Any) -> str:
        """What an empty field says: of a secret, whether there is one."""
        if self.kind != "secret":
            return ""
        return "set; type to replace" if value == SECRET_KEPT else "not set"

    def show(self, value: Any) -> str:
        """A value as a person reads and types it."""
        if self.kind == "secret":
            return ""
        if isinstance(value, bool):
            return ON if value else OFF
        if value is None:
            return ""
        if self.kind == "list" and isinstance(value, list | tuple):
            return ", ".join(str(one) for one in value)
        if self.kind == "json":
            return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        return str(value)

    def read(self, draft: str) -> Any:
        """The value of a draft; raises `Unreadable`."""
        text = draft.strip()
        match self.kind:
            case "whole" | "number":
                try:
                    return int(text) if self.kind == "whole" else float(text)
                except ValueError:
                    raise Unreadable("is not a whole number" if self.kind == "whole" else "is not a number") from None
            case "choice" if self.choices == (ON, OFF):
                return text == ON
            case "list":
                return [one.strip() for one in text.split(",") if one.strip()]
            case "json":
                try:
                    return msgspec.json.decode(text or "[]")
                except msgspec.DecodeError as fault:
                    raise Unreadable(f"is not JSON: {fault}") from None
        return draft if self.kind == "secret" else text


@dataclass(frozen=True)
class FormSection:
    """One page of settings."""

    name: str
    title: str
    fields: tuple[FormField, ...]


def sections(schema: Mapping[str, Any]) -> list[FormSection]:
    """The pages of a settings schema, in its order."""
    root = _resolved(schema, schema)
    found: list[FormSection] = []
    for name, entry in (root.get("properties") or {}).items():
        section = _resolved(entry, schema)
        title = str(section.get("description") or section.get("title") or name).strip().splitlines()[0]
        fields = tuple(_field(name, key, _resolved(one, schema)) for key, one in (section.get("properties") or {}).items())
        found.append(FormSection(name=name, title=title, fields=fields))
    return found


def _field(section: str, name: str, entry: Mapping[str, Any]) -> FormField:
    kind, choices = _kind(entry)
    return FormField(
        section=section,
        name=name,
        title=str(entry.get("title") or name.replace("_", " ").capitalize()),
        help=str(entry.get("description") or ""),
        kind=kind,
        choices=choices,
        unit=str(entry.get("x-unit") or ""),
        bounds=_bounds(entry),
        recommended=str(entry.get("x-recommended") or ""),
        restart=str(entry.get("x-restart") or ""),
        applies_when=str(entry.get("x-applies-when") or ""),
        unavailable=str(entry.get("x-unavailable") or ""),
        tall=kind == "json" or entry.get("x-widget") in ("pem", "template"),
    )


def _kind(entry: Mapping[str, Any]) -> tuple[Kind, tuple[str, ...]]:
    if entry.get("enum"):
        return "choice", tuple(str(one) for one in entry["enum"])
    if any(one.get("format") == "password" for one in (entry, *(entry.get("anyOf") or ()))):
        return "secret", ()
    match entry.get("type"):
        case "boolean":
            return "choice", (ON, OFF)
        case "integer":
            return "whole", ()
        case "number":
            return "number", ()
        case "string":
            return "text", ()
        case "array" if (entry.get("items") or {}).get("type") == "string" or (entry.get("items") or {}).get("enum"):
            return "list", ()
    return "json", ()


def _bounds(entry: Mapping[str, Any]) -> str:
    low, high = entry.get("minimum"), entry.get("maximum")
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return f"{low} or more"
    if high is not None:
        return f"{high} or less"
    longest = entry.get("maxLength")
    return f"up to {longest} characters" if longest and longest < 1000 else ""


def _resolved(entry: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry with its `$ref` followed; what stands beside the reference wins."""
    reference = entry.get("$ref")
    if not isinstance(reference, str):
        return entry
    target = (schema.get("$defs") or {}).get(reference.rsplit("/", 1)[-1], {})
    return {**target, **{key: value for key, value in entry.items() if key != "$ref"}}
