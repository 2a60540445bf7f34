"""The body of a REST delivery: a JSON template whose texts may name values, filled without ever being evaluated.

The template is parsed as JSON first and names are replaced inside its texts, so that no value can change the structure:
quotes, braces and line breaks in a value stay characters.
"""

import json
import string
from collections.abc import Iterator, Mapping
from typing import Any

from appliance.errors import Misconfigured

IDENTITY = frozenset({"patient_id", "patient_name", "birth_date", "accession"})
"""Names that say who the patient is; usable only where the destination's setting allows it."""

ALWAYS = frozenset(
    {
        "order",
        "report",
        "delivery",
        "study",
        "kind",
        "version",
        "state",
        "verdict",
        "made_at",
        "format",
        "filename",
        "content_type",
        "content",
        "idempotency_key",
    }
)
"""Names that every report has; a product adds one for each of its numbers."""

STANDARD: dict[str, str] = {
    name: f"${name}" for name in ("order", "report", "study", "kind", "version", "verdict", "made_at", "format")
} | {"filename": "$filename", "content_type": "$content_type", "content": "$content"}
"""What is sent when the setting is empty."""


class BodyNotJson(Misconfigured):
    """The body is not JSON (line {line}, column {column}); names such as $order belong inside quotes."""

    code = "body-not-json"
    next_step = "Correct the body, or leave it empty for the standard object."


class BodyNamesUnknown(Misconfigured):
    """The body names ${names}, which this report does not have."""

    code = "body-names-unknown"
    next_step = "Use the names that the help of this field lists; write $$ for a dollar sign."


class BodyNamesIdentity(Misconfigured):
    """The body names ${names}, but this destination may not have the patient's identity."""

    code = "body-names-identity"
    next_step = "Switch on 'Identity in the body' for this destination, or take the name out of the body."


class BodyDollar(Misconfigured):
    """The body has a dollar sign without a name."""

    code = "body-dollar"
    next_step = "Write $$ for a dollar sign."


def parse(body: str) -> Any:
    """The template as JSON; the standard object when it is empty. Raises `BodyNotJson`."""
    if not body.strip():
        return STANDARD
    try:
        return json.loads(body)
    except json.JSONDecodeError as fault:
        raise BodyNotJson(field="body", line=fault.lineno, column=fault.colno) from None
    except RecursionError:
        raise BodyNotJson(field="body", line=1, column=1) from None


def names(template: Any) -> set[str]:
    """Every name that the template uses; raises `BodyDollar`."""
    found: set[str] = set()
    for text in _texts(template):
        one = string.Template(text)
        if not one.is_valid():
            raise BodyDollar(field="body")
        found.update(one.get_identifiers())
    return found


def check(body: str, *, identity: bool) -> set[str]:
    """Names outside `ALWAYS` that only a product's numbers could explain; raises `Misconfigured` for what can never work."""
    used = names(parse(body))
    if not identity and used & IDENTITY:
        raise BodyNamesIdentity(field="body", names=", $".join(sorted(used & IDENTITY)))
    return used - ALWAYS - IDENTITY


def fill(body: str, values: Mapping[str, str], *, identity: bool) -> bytes:
    """The body with its names replaced, as UTF-8 JSON; raises `Misconfigured` naming what is wrong."""
    template = parse(body)
    used = names(template)
    if not identity and used & IDENTITY:
        raise BodyNamesIdentity(field="body", names=", $".join(sorted(used & IDENTITY)))
    unknown = used - set(values)
    if unknown:
        raise BodyNamesUnknown(field="body", names=", $".join(sorted(unknown)))
    return json.dumps(_filled(template, values)).encode()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return string.Template(value).substitute(values)
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    return value
