"""The test button of a settings page: what stands in the form goes to the API, saved or not, and its sentences come back."""

from collections.abc import Mapping
from typing import Any

from tui.client import Client
from tui.flows import ProbeFound
from tui.form import FormSection, Unreadable

TESTS = {"cloud": "cloud", "saml": "saml", "notify": "notification", "scan": "malware", "delivery": "delivery"}
"""Section -> the API's word for its test."""


def requests(section: FormSection, drafts: Mapping[str, str], saved: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and body of each test of a section; raises `Unreadable` for a draft that has not the form of its field."""
    fields = {field.name: field.read(drafts[field.key]) for field in section.fields if field.key in drafts}
    if section.name != "delivery":
        return [(section.title, fields)]
    found = []
    for name in ("destinations", "failure_destinations"):
        listed = fields.get(name, saved.get(name, []))
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise Unreadable("is no list of destinations")
        found += [(str(one.get("name", "destination")), one) for one in listed]
    return found


async def run(client: Client, section: FormSection, asked: list[tuple[str, dict[str, Any]]]) -> str:
    """The answers of all tests as one text."""
    parts = []
    for name, body in asked:
        found = await client.post(f"/api/settings/test/{TESTS[section.name]}", ProbeFound, body)
        head = f"{name}: {'works' if found.ok else 'does not work'}"
        told = [f"{key}: {value.splitlines()[0]}" for key, value in found.values.items() if value]
        parts.append("\n".join([head, *(f"  {line}" for line in (*found.lines, *told))]))
    return "\n\n".join(parts) or "There is no destination to test."
