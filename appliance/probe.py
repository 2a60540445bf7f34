"""What a test of a connection found."""

import msgspec


class Probe(msgspec.Struct, kw_only=True, frozen=True):
    """Whether a test went well, in sentences for the person who asked; never a secret, never a patient's value."""

    ok: bool
    lines: list[str]
    values: dict[str, str] = {}
    """Settings that the other side told, by field: an identity provider's metadata."""


TEST_S = 12
"""A test waits no longer than this for any one answer, whatever the section's own time-out says."""
