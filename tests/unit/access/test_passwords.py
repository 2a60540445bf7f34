import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.access import passwords
from appliance.access.passwords import WeakPassword, check_rules, digest_of, matches, require_strong

GOOD = "Correct-Horse-Battery-1"


def test_a_password_that_keeps_every_rule_is_taken() -> None:
    """UI-06: 15 characters or more, lower, upper, digit, special."""
    require_strong(GOOD)
    assert all(answer.kept for answer in check_rules(GOOD))


@pytest.mark.parametrize(
    ("password", "broken"),
    [
        ("Short-Horse-1", {"length"}),
        ("CORRECT-HORSE-BATTERY-1", {"lower"}),
        ("correct-horse-battery-1", {"upper"}),
        ("Correct-Horse-Battery-X", {"digit"}),
        ("CorrectHorseBattery11", {"special"}),
        ("Correct Horse Battery 1", {"special"}),
        ("", {"length", "lower", "upper", "digit", "special"}),
        ("Aa1-" * 65, {"length"}),
    ],
)
def test_each_rule_answers_for_itself(password: str, broken: set[str]) -> None:
    """UI-06: the answer says which rules a password does not keep."""
    assert {answer.rule for answer in check_rules(password) if not answer.kept} == broken
    with pytest.raises(WeakPassword):
        require_strong(password)


def test_the_message_of_a_weak_password_does_not_hold_it() -> None:
    with pytest.raises(WeakPassword) as caught:
        require_strong("hunter2")
    assert "hunter2" not in caught.value.what
    assert "an upper case letter" in caught.value.what


async def test_a_digest_matches_its_password_and_no_other() -> None:
    digest = await digest_of(GOOD)
    assert digest.startswith("$argon2id$")
    assert await matches(digest, GOOD)
    assert not await matches(digest, GOOD + "x")
    assert await digest_of(GOOD) != digest


async def test_characters_after_the_72nd_byte_count() -> None:
    """UI-06: the trap of bcrypt, which stops there."""
    long = GOOD + "é" * 60
    assert not await matches(await digest_of(long), long[:-1])


async def test_nothing_matches_an_unknown_name_or_a_broken_digest() -> None:
    assert not await matches("", GOOD)
    assert not await matches("", "a password that nobody has, for the time it takes to compare")
    assert not await matches("not a digest", GOOD)


async def test_an_unknown_name_costs_a_comparison_too(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def same(digest: str, _password: str) -> bool:
        compared.append(digest)
        return True

    monkeypatch.setattr(passwords, "_same", same)
    assert not await matches("", GOOD)
    assert compared[0].startswith("$argon2id$")


@given(st.text(max_size=40))
def test_the_rules_take_any_text(password: str) -> None:
    assert len(check_rules(password)) == 5
