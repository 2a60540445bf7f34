"""When a delivery is tried again: pure functions of the attempt, the answer and the clock."""

import random

from appliance.delivery.parcel import Outcome, Result

LONGEST_WAIT_S = 3600.0
LONGEST_ASKED_S = 24 * 3600.0
"""A destination may ask for a longer wait than we would choose, but not for ever."""
_SPREAD = 0.25


def next_attempt(attempt: int, first_wait_s: float, outcome: Outcome, now: int, *, jitter: float | None = None) -> int | None:
    """When attempt number `attempt` (from 1) is followed by another, in milliseconds UTC; None when it is not.

    The wait doubles with each attempt and is spread by a quarter either way, so that many deliveries to one destination do
    not come back together; `jitter` from 0 to 1 replaces the die. A Retry-After of the destination is never undercut.
    """
    if outcome.result is not Result.TRY_AGAIN:
        return None
    die = random.random() if jitter is None else jitter
    doubled = min(first_wait_s * 2.0 ** min(attempt - 1, 32), LONGEST_WAIT_S)
    wait = doubled * (1 - _SPREAD + 2 * _SPREAD * die)
    asked = min(outcome.retry_after_s or 0.0, LONGEST_ASKED_S)
    return now + round(max(wait, asked) * 1000)
