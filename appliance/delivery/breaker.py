"""Leaves a destination that is down alone for a while, so that its reports keep their attempts and others their turn.

After some faults in a row the destination's deliveries wait; then one of them tries. Every further fault doubles the pause up
to ten minutes, the first success ends it. A Retry-After of the destination pauses it at once, for as long as it says.
"""

from dataclasses import dataclass

from appliance.delivery.parcel import Outcome, Result
from appliance.delivery.schedule import LONGEST_ASKED_S

LONGEST_PAUSE_S = 600.0
"""So long at most a destination that is back is left alone."""


@dataclass(slots=True)
class _Trouble:
    faults: int = 0
    until: int = 0


class Breakers:
    """The destinations in trouble, as one process has found them; times are milliseconds UTC."""

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}

    def paused(self, now: int) -> set[str]:
        """Destinations that nothing is sent to for now."""
        return {name for name, one in self._troubles.items() if one.until > now}

    def note(self, destination: str, outcome: Outcome, now: int, *, most_faults: int, pause_s: float) -> int | None:
        """Takes what an attempt ended with; gives the moment until which the destination is left alone, if that begins now."""
        if outcome.result is not Result.TRY_AGAIN:
            self._troubles.pop(destination, None)
            return None
        trouble = self._troubles.setdefault(destination, _Trouble())
        trouble.faults += 1
        wait = 0.0
        if trouble.faults >= most_faults:
            wait = min(pause_s * 2.0 ** min(trouble.faults - most_faults, 16), LONGEST_PAUSE_S)
        wait = max(wait, min(outcome.retry_after_s or 0.0, LONGEST_ASKED_S))
        if not wait:
            return None
        trouble.until = now + round(wait * 1000)
        return trouble.until
