"""Recall and false positives of the text scrubber, on invented people whose key the engine never reads."""

import random
from collections.abc import Callable

import pytest

from appliance.deidentify.rules import Kind
from appliance.deidentify.scrub import Identity, Scrubber
from tests.unit.deidentify.people import TECHNICAL, Person, a_person, a_text

COUNTS = [600, pytest.param(60_000, marks=pytest.mark.long)]


def a_scrubber(person: Person) -> Scrubber:
    """Knows what a header says of a person, and nothing of the texts."""
    identity = Identity()
    identity.add_name(person.name)
    identity.add_value(person.patient_id, Kind.IDENTIFIER)
    return Scrubber(identity)


@pytest.mark.parametrize("count", COUNTS)
def test_every_mention_of_the_patient_goes(count: int, record_property: Callable[[str, object], None]) -> None:
    """DEID-05: recall on parts, initials with surname, reversed, other separators, other character sets, and the patterns."""
    chance = random.Random(count)
    missed: list[tuple[str, str]] = []
    damaged: list[tuple[str, str]] = []
    tokens = 0
    for _ in range(count // 20):
        person = a_person(chance)
        scrubber = a_scrubber(person)
        for _ in range(20):
            text = a_text(chance, person)
            cleaned = scrubber.free_text(text.text)
            tokens += len(text.gone)
            missed += [(text.text, cleaned) for token in text.gone if token.casefold() in cleaned.casefold()]
            if text.kept and text.kept not in cleaned:
                damaged.append((text.text, cleaned))
    record_property("tokens", tokens)
    record_property("recall", f"{100 * (tokens - len(missed)) / tokens:.2f} %")
    record_property("texts whose technical part was changed", f"{100 * len(damaged) / count:.2f} %")
    assert missed[:5] == []
    assert damaged[:5] == []


@pytest.mark.parametrize("count", [30, pytest.param(2000, marks=pytest.mark.long)])
def test_texts_that_name_nobody_stay_as_they_are(count: int, record_property: Callable[[str, object], None]) -> None:
    """DEID-05: the rate of false positives; words of the trade that are the patient's own name are not counted."""
    chance = random.Random(count)
    changed, looked = [], 0
    for _ in range(count):
        person = a_person(chance)
        scrubber = a_scrubber(person)
        own = {word.casefold() for word in person.words}
        for text in TECHNICAL:
            if own & set(text.replace("_", " ").casefold().split()):
                continue
            looked += 1
            changed += [(person.name, text)] if scrubber.free_text(text) != text else []
    record_property("texts", looked)
    record_property("false positives", f"{100 * len(changed) / looked:.3f} %")
    assert changed == []
