"""What is told: one message of one notice, or of several that waited for each other; and how the other side took it."""

from typing import NamedTuple

import msgspec

from appliance.notify.section import Severity, Subject

SCHEMA = "ranvier-notice/1"


class Line(msgspec.Struct, kw_only=True, frozen=True):
    """One event as it is told."""

    event: Subject
    title: str
    severity: Severity
    at: str
    """ISO 8601 UTC."""
    text: str
    study: str = ""
    order: str = ""
    patient: str = ""
    """Name and ID, only where the setting allows it."""


class Letter(msgspec.Struct, kw_only=True, frozen=True):
    """One message."""

    id: str
    """Stays the same when it is sent again."""
    site: str
    lines: list[Line]

    @property
    def title(self) -> str:
        """One line for a subject; never a patient's."""
        if len(self.lines) == 1:
            return f"Ranvier {self.site}: {self.lines[0].title}"
        return f"Ranvier {self.site}: {len(self.lines)} notices"

    @property
    def text(self) -> str:
        """The message for people."""
        return "\n\n".join(_paragraph(one) for one in self.lines) + "\n"

    def body(self) -> bytes:
        """The message for programs, as the manual says."""
        told = {"schema": SCHEMA, "id": self.id, "site": self.site, "notices": self.lines}
        return msgspec.json.encode(told)


def _paragraph(one: Line) -> str:
    parts = [f"{one.title} ({one.severity}), {one.at}", one.text]
    parts += [f"Order {one.order}"] if one.order else []
    parts += [f"Study {one.study}"] if one.study else []
    parts += [f"Patient {one.patient}"] if one.patient else []
    return "\n".join(parts)


class Told(NamedTuple):
    """How a message was taken; `again` says whether another attempt may go better."""

    ok: bool
    again: bool
    words: str
