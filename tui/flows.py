"""The answers about other systems: outbound destinations, tests of them, and who sends."""

from tui.contract import Answer


class Flow(Answer, frozen=True, kw_only=True):
    """One outbound destination."""

    section: str = ""
    name: str = ""
    protocol: str = ""
    address: str = ""
    gets: str = ""
    identified: str = ""
    encrypted: str = ""
    active: bool = False
    remark: str = ""
    last_use: str | None = None


class ProbeFound(Answer, frozen=True, kw_only=True):
    """What a test of a connection found."""

    ok: bool = False
    lines: list[str] = []
    values: dict[str, str] = {}


TEST_PATIENT = "RANVIER-TEST"
"""The patient ID of test objects; repeating it is how the API is told that a person agreed."""


def test_object_effect(*places: str) -> str:
    """What storing a test object does, as the question for a person."""
    return (
        f"A marked test object of the patient RANVIER^TEST (ID {TEST_PATIENT}) is stored at {', '.join(places)}. "
        "It stays there until somebody deletes it."
    )


class AssociationTrouble(Answer, frozen=True, kw_only=True):
    """An association that was refused, aborted or failed."""

    at: str | None = None
    kind: str = ""
    caller: str = ""
    address: str = ""
    sentence: str = ""
    advice: str = ""


class Sender(Answer, frozen=True, kw_only=True):
    """Somebody who has sent."""

    ae_title: str = ""
    address: str = ""
    studies: int = 0
    instances: int = 0
    allowed: bool = True
    quiet_s: int = 0
    proposed_quiet_s: int | None = None
    last_at: str | None = None
