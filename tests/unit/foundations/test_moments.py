"""Time in milliseconds, identifiers that sort by it."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from appliance.moments import iso, new_id, now_ms

LAST_MOMENT = 253_402_300_799_999


@given(at=st.integers(0, 2**48 - 1), bits=st.integers(0, 2**74 - 1))
def test_an_identifier_is_a_uuid_of_version_7(at: int, bits: int) -> None:
    made = uuid.UUID(new_id(at, bits))
    assert made.variant == uuid.RFC_4122
    assert made.int >> 76 & 0xF == 7
    assert made.int >> 80 == at
    assert (made.int >> 64 & 0xFFF) << 62 | made.int & (1 << 62) - 1 == bits


@given(earlier=st.integers(0, LAST_MOMENT - 1), step=st.integers(1, 10_000))
def test_identifiers_made_later_sort_later(earlier: int, step: int) -> None:
    assert new_id(earlier) < new_id(earlier + step)


def test_identifiers_of_one_moment_differ() -> None:
    at = now_ms()
    assert len({new_id(at) for _ in range(1000)}) == 1000


def test_a_moment_reads_as_utc_to_the_millisecond() -> None:
    assert iso(1_795_305_600_007) == "2026-11-22T00:00:00.007Z"
