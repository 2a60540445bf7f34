"""The state tables: every state can be reached, and the last ones are last by the table."""

from collections.abc import Callable
from enum import StrEnum

import pytest

from appliance.states import (
    DELIVERY_FACTS,
    ORDER_FACTS,
    SETTLED,
    STUDY_FACTS,
    DeliveryState,
    Facts,
    IllegalMove,
    OrderState,
    StudyState,
    check_delivery_move,
    check_order_move,
    check_study_move,
    order_moves,
)

Check = Callable[[StrEnum, StrEnum], None]
TABLES = [
    pytest.param(StudyState, check_study_move, StudyState.RECEIVING, STUDY_FACTS, id="studies"),
    pytest.param(OrderState, check_order_move, OrderState.QC, ORDER_FACTS, id="orders"),
    pytest.param(DeliveryState, check_delivery_move, DeliveryState.PENDING, DELIVERY_FACTS, id="deliveries"),
]


def _allowed(check: Check, old: StrEnum, new: StrEnum) -> bool:
    try:
        check(old, new)
    except IllegalMove:
        return False
    return True


@pytest.mark.parametrize(("kind", "check", "first", "facts"), TABLES)
def test_every_state_can_be_reached_from_the_first(
    kind: type[StrEnum], check: Check, first: StrEnum, facts: dict[StrEnum, Facts]
) -> None:
    reached, edge = {first}, {first}
    while edge:
        edge = {new for old in edge for new in kind if _allowed(check, old, new)} - reached
        reached |= edge
    assert reached == set(kind)


@pytest.mark.parametrize(("kind", "check", "first", "facts"), TABLES)
def test_every_state_says_what_it_is_in_words_of_its_own(
    kind: type[StrEnum], check: Check, first: StrEnum, facts: dict[StrEnum, Facts]
) -> None:
    assert set(facts) == set(kind)
    assert len({one.filter_word for one in facts.values()}) == len(facts)
    assert len({one.word for one in facts.values()}) == len(facts)
    for one in facts.values():
        assert len(one.glyph) == len(one.plain_glyph) == 1
        assert one.plain_glyph.isascii()
        assert not (one.terminal and one.active)


@pytest.mark.parametrize(("kind", "check", "first", "facts"), TABLES)
def test_no_state_moves_to_itself(kind: type[StrEnum], check: Check, first: StrEnum, facts: dict[StrEnum, Facts]) -> None:
    assert not [state for state in kind if _allowed(check, state, state)]


def test_an_ended_order_begins_anew_or_stays() -> None:
    beginnings = {OrderState.QC, OrderState.QUEUED}
    for state, facts in ORDER_FACTS.items():
        moves = order_moves()[state]
        if state is OrderState.DELIVERED:
            assert moves == {OrderState.REPORTED}  # a corrected report, or a delivery by hand
        elif facts.terminal:
            assert facts.retryable
            assert moves == beginnings
        else:
            assert moves - {state}


def test_every_order_that_is_not_done_can_be_cancelled() -> None:
    """PRO-05: cancel at any point."""
    done = {OrderState.DELIVERED, OrderState.FAILED, OrderState.EXPIRED, OrderState.CANCELLED}
    assert {state for state, moves in order_moves().items() if OrderState.CANCELLED in moves} == set(OrderState) - done


def test_an_order_waits_for_a_person_only_where_a_person_can_let_it_go_on() -> None:
    for state, facts in ORDER_FACTS.items():
        if facts.needs_person:
            assert order_moves()[state] & {OrderState.QC, OrderState.QUEUED}
            assert not facts.active


def test_settled_deliveries_are_the_ones_that_arrived() -> None:
    assert {DeliveryState.SENT, DeliveryState.SENT_WITH_WARNING} == SETTLED
    assert all(DELIVERY_FACTS[state].terminal for state in SETTLED)


def test_a_refused_move_names_both_states() -> None:
    with pytest.raises(IllegalMove, match="A order in state QC cannot become DELIVERED"):
        check_order_move(OrderState.QC, OrderState.DELIVERED)
