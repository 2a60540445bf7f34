"""How many wrong passwords an account bears, and how long it is locked then."""

from collections import OrderedDict

import msgspec

from appliance.access.section import AccessSection
from appliance.errors import Denied
from appliance.moments import iso

LONGEST_MS = 24 * 3600 * 1000
_STRANGERS = 2000


class WrongPassword(Denied):
    """The name or the password is wrong; {tries_left} tries left before the account is locked."""

    code = "wrong-password"
    next_step = "Try again, or ask an administrator for a new password."


class Locked(Denied):
    """The account is locked until {locked_until} after too many wrong passwords."""

    code = "locked"
    next_step = "Wait until then, or run `ranvier users reset-password` on the appliance."

    def __init__(self, until: int, now: int) -> None:
        self.retry_after_s = max(1, (until - now + 999) // 1000)
        super().__init__(locked_until=iso(until))


class Tries(msgspec.Struct, kw_only=True, frozen=True):
    """Wrong passwords in a row, and until when the account is locked (milliseconds)."""

    failures: int = 0
    locked_until: int = 0


def counted(before: Tries, section: AccessSection, now: int) -> Tries:
    """One more try: the last one allowed locks at once, for twice as long as the time before."""
    failures = before.failures + 1
    if failures % section.lock_after:
        return Tries(failures=failures, locked_until=0)
    locks_before = failures // section.lock_after - 1
    wait = min(section.lock_minutes * 60_000 << min(locks_before, 20), LONGEST_MS)
    return Tries(failures=failures, locked_until=now + wait)


def refusal(tries: Tries, section: AccessSection, now: int) -> Denied:
    """What somebody is told after a wrong password."""
    if tries.locked_until > now:
        return Locked(tries.locked_until, now)
    return WrongPassword(tries_left=section.lock_after - tries.failures % section.lock_after)


class Strangers:
    """Counts tries on names that do not exist, so that the answers do not tell which names do; forgets the oldest."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, Tries] = OrderedDict()

    def count(self, name: str, section: AccessSection, now: int) -> Tries:
        """One more try on an unknown name; raises `Locked` while it counts as locked."""
        before = self._tries.get(name, Tries())
        if before.locked_until > now:
            raise Locked(before.locked_until, now)
        self._tries[name] = counted(before, section, now)
        self._tries.move_to_end(name)
        if len(self._tries) > _STRANGERS:
            self._tries.popitem(last=False)
        return self._tries[name]
