"""How long a sender pauses within a study, and the quiet time that follows from it.

Only pauses between two associations count: as long as one is open its studies are not stable anyway. A proposal is made once
enough studies were seen; it would have cut at most one study in 200 apart.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from appliance.receive.admission import bound_to
from appliance.receive.inbox import Arrival
from appliance.receive.section import ReceiveSection
from appliance.records.senders import Seen, SenderRow

LENGTHS: Final = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 14400)
"""Seconds; a pause counts under the shortest of these that is not shorter. What lasts longer is no pause but another day."""
ENOUGH_STUDIES: Final = 20
ONE_CUT_IN: Final = 200
_REMEMBERED = 2_000


class Pauses:
    """The pauses of studies that are being received by this process."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}

    def seen(self, study: str, arrivals: Sequence[Arrival], *, is_new: bool) -> list[Seen]:
        """What new instances of a study, in order of arrival, tell about their senders."""
        pauses: dict[str, Counter[int]] = {}
        for arrival in arrivals:
            counted = pauses.setdefault(arrival.origin.sender, Counter())
            before = self._last.get(study)
            if before is not None and before[0] != arrival.association:
                length = length_of((arrival.received_at - before[1]) / 1000)
                if length:
                    counted[length] += 1
            self._last[study] = (arrival.association, arrival.received_at)
        self._forget_some()
        senders = [one.origin.sender for one in arrivals]
        first = senders[0] if senders else ""
        return [
            Seen(
                sender=sender,
                address=next(one.origin.address for one in arrivals if one.origin.sender == sender),
                studies=int(is_new and sender == first),
                instances=senders.count(sender),
                pauses=dict(counted),
            )
            for sender, counted in pauses.items()
            if sender
        ]

    def _forget_some(self) -> None:
        while len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]


def length_of(seconds: float) -> int:
    """The length a pause counts under; 0 for one too short or too long to matter."""
    if not 1 <= seconds <= LENGTHS[-1]:
        return 0
    return next(one for one in LENGTHS if seconds <= one)


def merged(seen: Iterable[Seen]) -> list[Seen]:
    """One entry a sender."""
    found: dict[str, Seen] = {}
    for one in seen:
        before = found.get(one.sender)
        if before is None:
            found[one.sender] = one
            continue
        found[one.sender] = Seen(
            sender=one.sender,
            address=one.address,
            studies=before.studies + one.studies,
            instances=before.instances + one.instances,
            pauses=dict(Counter(before.pauses) + Counter(one.pauses)),
        )
    return list(found.values())


def proposal(sender: SenderRow) -> int | None:
    """The quiet time in seconds that a sender's own pauses ask for, one length longer; None while too little is known."""
    if sender.studies < ENOUGH_STUDIES:
        return None
    allowed = sender.studies // ONE_CUT_IN
    longer = 0
    for place in range(len(LENGTHS) - 1, -1, -1):
        longer += sender.pauses.get(LENGTHS[place], 0)
        if longer > allowed:
            return max(_SHORTEST, LENGTHS[min(place + 1, len(LENGTHS) - 1)])
    return _SHORTEST


_SHORTEST: Final = 10


def quiet_seconds(section: ReceiveSection, sender: str, learned: Mapping[str, int]) -> int:
    """The quiet time in force for a sender: the one set for it, the learned one where that is wanted, or that of all."""
    own = bound_to(sender, section.quiet_times)
    if own:
        return int(own[0])
    return learned.get(sender, section.quiet_seconds) if section.learned_quiet else section.quiet_seconds
