"""When the data disk will be full, from how its free space went."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final

from appliance.records import disk
from appliance.records.disk import Sample
from appliance.storage import Storage

DAY_MS: Final = 86_400_000
ENOUGH_SAMPLES: Final = 6
LONGEST_DAYS: Final = 3650
"""Beyond this nothing is foretold."""
_MOST_SAMPLES = 60
_NOTICEABLE = 1 << 20


async def of_disk(storage: Storage) -> float | None:
    """Days until the data disk has but a quarter of its reserve left; None when that is not in sight."""
    return days_until_full(await disk.samples(), storage.free_bytes(), storage.reserve_size() // 4)


def days_until_full(samples: Sequence[Sample], free: int, kept: int) -> float | None:
    """Days until `free` bytes have come down to the `kept` ones; None when they do not fall or too little is known.

    The slope is the median of all pairs' (Theil and Sen), so that a retention run or a large copy does not tip it. A day of
    samples is needed.
    """
    if len(samples) < ENOUGH_SAMPLES or samples[-1].at - samples[0].at < DAY_MS:
        return None
    step = -(-len(samples) // _MOST_SAMPLES)
    thinned = [*samples[::step], samples[-1]]
    slopes = [(two.free - one.free) / (two.at - one.at) for one, two in combinations(thinned, 2) if two.at > one.at]
    daily_loss = -median(slopes) * DAY_MS
    if daily_loss < _NOTICEABLE:
        return None
    days = max(0.0, (free - kept) / daily_loss)
    return days if days <= LONGEST_DAYS else None
