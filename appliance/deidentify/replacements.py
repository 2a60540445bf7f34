"""What stands in place of UIDs, dates, ages and ZIP codes.

Everything follows from the appliance's secret by HMAC-SHA256, so that a study that is sent again gets the same new values and
nobody without the secret can compute them.
"""

import hmac
import re
from datetime import date, timedelta
from hashlib import sha256

from appliance.deidentify.dictionary import is_registered
from appliance.deidentify.profile import CLASS_TAGS, STANDARD_ROOT
from appliance.deidentify.vocabulary import RESTRICTED_ZIPS

OLDEST = 89
_DA = re.compile(r"^(\d{4})[.]?(\d\d)[.]?(\d\d)$")
_DT = re.compile(r"^(\d{8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?$")
_AGE = re.compile(r"^(\d{1,4})([DWMY]?)[+]?$")
_ZIP = re.compile(r"(?<!\d)(\d{3})\d\d(?:-\d{4})?(?!\d)")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}


def new_uid(secret: bytes, uid: bytes) -> bytes:
    """The UID in place of `uid`: a UUID under 2.25 (PS3.5, B.2; RFC 9562, version 8)."""
    value = int.from_bytes(hmac.digest(secret, b"uid\0" + uid, "sha256")[:16], "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return b"2.25.%d" % value


def stays(tag: int, uid: bytes) -> bool:
    """Whether a UID is the standard's own: it names a class, a syntax or a well-known instance."""
    if not uid.startswith(STANDARD_ROOT):
        return False
    return tag in CLASS_TAGS or is_registered(uid)


def date_offset(secret: bytes, pseudonym: str, range_days: int) -> timedelta:
    """The days by which all dates of one patient move: within the range either way, never 0."""
    drawn = int.from_bytes(hmac.new(secret, b"date-offset\0" + pseudonym.encode(), sha256).digest()[:16], "big")
    days = drawn % (2 * range_days) - range_days
    return timedelta(days=days if days < 0 else days + 1)


def parsed_date(text: str) -> date | None:
    """A DA value, the retired form with dots included."""
    found = _DA.match(text.strip())
    if not found:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None


def shifted_date(text: str, offset: timedelta) -> str:
    """A DA value moved by the offset; empty when it is no date."""
    day = parsed_date(text)
    if day is None:
        return ""
    try:
        return (day + offset).strftime("%Y%m%d").zfill(8)
    except OverflowError:
        return ""


def shifted_datetime(text: str, offset: timedelta) -> str:
    """A DT value with its date moved; the time is kept, the zone is not; empty when the date is not complete."""
    found = _DT.match(text.strip())
    moved = shifted_date(found[1], offset) if found else ""
    return moved + (found[2] or "") if found and moved else ""


def age_in_years(text: str) -> float | None:
    """An AS value, also as a bare number or with a plus sign, in years."""
    found = _AGE.match(text.strip().upper())
    return int(found[1]) * _YEARS[found[2]] if found else None


def capped_age(text: str, *, over: bool) -> str:
    """An AS value as it may leave: over 89 is 090Y, what is no age is empty."""
    years = age_in_years(text)
    if years is None:
        return ""
    if over or int(years) > OLDEST:
        return "090Y"
    return text if re.match(r"^\d{3}[DWMY]$", text) else f"{int(years):03d}Y"


def age_at(birth: date, day: date) -> int:
    """Completed years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def masked_zip(address: str) -> str:
    """The three digits of an address that may stay, as a ZIP code; 00000 for areas of few people, empty without a ZIP."""
    found = _ZIP.findall(address)
    if not found:
        return ""
    return ("000" if found[-1] in RESTRICTED_ZIPS else found[-1]) + "00"
