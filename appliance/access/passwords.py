"""Passwords: the rule they must satisfy, and argon2id digests of them.

argon2id takes a password of any length whole (bcrypt stops at 72 bytes). Parameters: 19 MiB, two passes, one lane (the
OWASP minimum for argon2id), so that a burst of sign-ins cannot exhaust a small machine.
"""

import asyncio

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.errors import Rejected

MINIMUM_LENGTH = 15
MAXIMUM_LENGTH = 256
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_ONCE = 2
"""How many digests are computed at the same time: each holds 19 MiB and a core."""
_STRANGER = _HASHER.hash("a password that nobody has, for the time it takes to compare")


class RuleAnswer(msgspec.Struct, kw_only=True, frozen=True):
    """Whether a password satisfies one rule."""

    rule: str
    sentence: str
    kept: bool


class WeakPassword(Rejected):
    """The password does not keep every rule: {broken}."""

    code = "weak-password"
    next_step = "Choose one with at least 15 characters, with lower case, upper case, a digit and a special character."

    def __init__(self, answers: list[RuleAnswer]) -> None:
        self.answers = answers
        super().__init__(broken=", ".join(one.sentence for one in answers if not one.kept))


def check_rules(password: str) -> list[RuleAnswer]:
    """One answer a rule, for live feedback while somebody types (UI-06)."""
    return [
        RuleAnswer(
            rule="length",
            sentence=f"{MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters",
            kept=MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH,
        ),
        RuleAnswer(rule="lower", sentence="a lower case letter", kept=any(one.islower() for one in password)),
        RuleAnswer(rule="upper", sentence="an upper case letter", kept=any(one.isupper() for one in password)),
        RuleAnswer(rule="digit", sentence="a digit", kept=any(one.isdigit() for one in password)),
        RuleAnswer(
            rule="special",
            sentence="a special character",
            kept=any(not one.isalnum() and not one.isspace() for one in password),
        ),
    ]


def require_strong(password: str) -> None:
    """Raise `WeakPassword` unless every rule is kept."""
    answers = check_rules(password)
    if not all(one.kept for one in answers):
        raise WeakPassword(answers)


class _Turns:
    """Lets a few digests run at a time in each event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def here(self) -> asyncio.Semaphore:
        """The semaphore of the running loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._turns = loop, asyncio.Semaphore(_AT_ONCE)
        return self._turns


_TURNS = _Turns()


async def digest_of(password: str) -> str:
    """The argon2id digest of a password that keeps the rule; raises `WeakPassword`."""
    require_strong(password)
    return await digest_of_given(password)


async def digest_of_given(password: str) -> str:
    """The argon2id digest of a password that somebody else's rule was kept with."""
    async with _TURNS.here():
        return await asyncio.to_thread(_HASHER.hash, password)


async def matches(digest: str, password: str) -> bool:
    """Whether a password belongs to a digest; an empty digest (an unknown name) takes as long and never matches."""
    if len(password) > MAXIMUM_LENGTH:
        password = ""
    async with _TURNS.here():
        same = await asyncio.to_thread(_same, digest or _STRANGER, password)
    return same and bool(digest)


def _same(digest: str, password: str) -> bool:
    try:
        return _HASHER.verify(digest, password)
    except (VerificationError, InvalidHashError):
        return False
