"""A destination in trouble is left alone for a while, and nobody else is."""

from appliance.delivery.breaker import LONGEST_PAUSE_S, Breakers
from appliance.delivery.parcel import Outcome, Result

SENT = Outcome(result=Result.SENT, answer="")
FAULT = Outcome(result=Result.TRY_AGAIN, answer="no answer")
REFUSED = Outcome(result=Result.REFUSED, answer="HTTP 400")


def noted(breakers: Breakers, outcome: Outcome, now: int, name: str = "PACS") -> int | None:
    return breakers.note(name, outcome, now, most_faults=3, pause_s=60)


def test_three_faults_in_a_row_pause_the_destination_and_no_other() -> None:
    """RES-02, faults row 19."""
    breakers = Breakers()
    assert [noted(breakers, FAULT, 0) for _ in range(3)] == [None, None, 60_000]
    noted(breakers, FAULT, 0, "HIS")
    assert breakers.paused(59_999) == {"PACS"}
    assert breakers.paused(60_000) == set()


def test_each_further_fault_doubles_the_pause_up_to_ten_minutes_and_a_success_ends_it() -> None:
    breakers = Breakers()
    pauses = [noted(breakers, FAULT, 0) for _ in range(9)]
    assert pauses[2:5] == [60_000, 120_000, 240_000]
    assert pauses[-1] == LONGEST_PAUSE_S * 1000
    noted(breakers, SENT, 0)
    assert breakers.paused(0) == set()
    assert noted(breakers, FAULT, 0) is None


def test_a_refused_report_is_no_fault_of_the_destination() -> None:
    breakers = Breakers()
    noted(breakers, FAULT, 0)
    noted(breakers, FAULT, 0)
    assert noted(breakers, REFUSED, 0) is None
    assert noted(breakers, FAULT, 0) is None


def test_a_retry_after_pauses_at_once() -> None:
    asked = Outcome(result=Result.TRY_AGAIN, answer="HTTP 429", retry_after_s=90)
    breakers = Breakers()
    assert noted(breakers, asked, 1000) == 91_000
    assert breakers.paused(90_999) == {"PACS"}
