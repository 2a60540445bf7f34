"""Time and identifiers, the two things that every row needs.

Times are whole milliseconds since 1970-01-01 UTC: they sort, compare and index alike on SQLite and PostgreSQL.
Functions of the house take `now` as an argument; only process edges call `now_ms`.
"""

import secrets
import time
from datetime import date, timedelta
from functools import lru_cache
from uuid import UUID


def now_ms() -> int:
    """The wall clock in milliseconds UTC."""
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=8192)
def iso(at: int) -> str:
    """A moment as ISO 8601 in UTC, to the millisecond."""
    # A list that is looked at again and again shows the same moments.
    seconds, milliseconds = divmod(at, 1000)
    days, rest = divmod(seconds, 86_400)
    minutes, second = divmod(rest, 60)
    return f"{_day(days)}T{minutes // 60:02}:{minutes % 60:02}:{second:02}.{milliseconds:03}Z"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    # A page of a list shows hundreds of moments of a few days.
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def new_id(at: int | None = None, random_bits: int | None = None) -> str:
    """A UUIDv7 as text (RFC 9562, section 5.7): identifiers made later sort later.

    `at` is milliseconds UTC and `random_bits` 74 bits; both are for tests.
    """
    moment = now_ms() if at is None else at
    bits = secrets.randbits(74) if random_bits is None else random_bits
    high, low = bits >> 62, bits & ((1 << 62) - 1)
    value = (moment & ((1 << 48) - 1)) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_of_digest(digest: str) -> str:
    """The UUIDv8 (RFC 9562, section 5.8) of a digest in hexadecimal digits: the same one always."""
    value = int(digest[:32], 16) & ~(0xF << 76) & ~(0b11 << 62) | 0x8 << 76 | 0b10 << 62
    return str(UUID(int=value))


def uid_of(identifier: str) -> str:
    """The DICOM UID of one of our identifiers (PS3.5 section B.2): `2.25.` and the UUID as a decimal number."""
    return f"2.25.{UUID(identifier).int}"
