"""When a delivery is tried again."""

import pytest

from appliance.delivery.parcel import Outcome, Result
from appliance.delivery.schedule import LONGEST_ASKED_S, LONGEST_WAIT_S, next_attempt

NOW = 1_700_000_000_000
AGAIN = Outcome(result=Result.TRY_AGAIN, answer="HTTP 503")


def waits(*, attempt: int, first: float = 30, outcome: Outcome = AGAIN, jitter: float = 0.5) -> float:
    due = next_attempt(attempt, first, outcome, NOW, jitter=jitter)
    assert due is not None
    return (due - NOW) / 1000


def test_the_wait_doubles_with_each_attempt() -> None:
    """RES-02: three attempts with back-off."""
    assert [waits(attempt=number) for number in (1, 2, 3)] == [30, 60, 120]


def test_the_die_spreads_the_wait_by_a_quarter_either_way() -> None:
    assert waits(attempt=1, jitter=0.0) == 22.5
    assert waits(attempt=1, jitter=1.0) == 37.5


def test_without_a_die_given_the_wait_stays_within_its_spread() -> None:
    due = [next_attempt(1, 30, AGAIN, NOW) for _ in range(50)]
    assert all(one is not None and 22_500 <= one - NOW <= 37_500 for one in due)
    assert len(set(due)) > 1


@pytest.mark.parametrize("result", [Result.SENT, Result.SENT_WITH_WARNING, Result.REFUSED])
def test_what_is_sent_or_refused_is_not_tried_again(result: Result) -> None:
    assert next_attempt(1, 30, Outcome(result=result, answer=""), NOW) is None


def test_a_destination_that_asks_for_time_gets_it() -> None:
    asked = Outcome(result=Result.TRY_AGAIN, answer="HTTP 429", retry_after_s=300)
    assert waits(attempt=1, outcome=asked) == 300
    assert waits(attempt=6, outcome=asked) == 960


def test_no_wait_is_endless() -> None:
    asked = Outcome(result=Result.TRY_AGAIN, answer="HTTP 429", retry_after_s=1e12)
    assert waits(attempt=1, outcome=asked) == LONGEST_ASKED_S
    assert waits(attempt=5000) == LONGEST_WAIT_S
