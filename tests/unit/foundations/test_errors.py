"""Every error says what happened and what to do, under a code of its own."""

import re
import string

import pytest

from appliance import errors
from appliance.errors import Denied, Misconfigured, RanvierError, Retry, Unknown
from tests.house.catalogue import CARRIERS, every_error, sentence

Errors = list[type[RanvierError]]

TREE = {errors.Rejected, errors.Retry, errors.Failed, errors.NeedsPerson, errors.Misconfigured, errors.Denied}
TREE |= {errors.Unknown, errors.Conflict}


@pytest.fixture(scope="module", name="every_error")
def _every_error() -> list[type[RanvierError]]:
    return every_error()


def _place(kind: type[RanvierError]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_the_tree_is_named_by_what_happens_next(every_error: Errors) -> None:
    roots = {kind for kind in every_error if RanvierError in kind.__bases__ and kind.__name__ not in CARRIERS}
    assert roots == TREE


def test_every_error_has_a_sentence_of_its_own(every_error: Errors) -> None:
    assert not [_place(kind) for kind in every_error if not sentence(kind).endswith((".", "}", "?"))]


def test_every_error_says_what_to_do_next(every_error: Errors) -> None:
    assert not [_place(kind) for kind in every_error if not kind.next_step.strip()]


def test_every_error_has_a_code_in_words(every_error: Errors) -> None:
    assert not [_place(kind) for kind in every_error if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", kind.code)]


def test_no_two_errors_share_a_code(every_error: Errors) -> None:
    by_code: dict[str, list[str]] = {}
    for kind in every_error:
        by_code.setdefault(kind.code, []).append(_place(kind))
    assert not {code: places for code, places in by_code.items() if len(places) > 1}


def test_the_names_in_messages_are_names(every_error: Errors) -> None:
    """A brace that is no placeholder would break the message where it is shown."""
    named = {_place(kind): _names(sentence(kind)) | _names(kind.next_step) for kind in every_error}
    assert not {place: names for place, names in named.items() if not all(name.isidentifier() for name in names)}


def test_facts_fill_the_message_and_the_advice() -> None:
    class DoorClosed(errors.Failed):
        """The door {door} is closed
        for {hours} hours.

        This paragraph is for readers of the code.
        """

        code = "door-closed"
        next_step = "Ring at {door}."

    fault = DoorClosed(door="A", hours=3)
    assert str(fault) == fault.what == "The door A is closed for 3 hours."
    assert fault.advice == "Ring at A."


def test_a_missing_fact_stays_visible_instead_of_raising() -> None:
    assert str(Unknown()) == "There is no {kind} with this identifier."


def test_a_retry_knows_when_and_a_misconfiguration_knows_where() -> None:
    assert Retry(after=5.0).after == 5.0
    assert Misconfigured(field="receive.port").facts == {"field": "receive.port"}
    assert Denied().advice.startswith("Sign in")
