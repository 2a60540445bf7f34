"""What an HTTP status means for a delivery by STOW-RS or REST."""

import email.utils
import time

from appliance.delivery.parcel import Outcome, Result
from appliance.endpoint import phrase
from appliance.errors import Misconfigured

AGAIN = frozenset({408, 425, 429})
"""Client errors that pass (RFC 9110, RFC 8470, RFC 6585); every other 4xx is final."""


def outcome_of(status: int, retry_after: str = "", now_s: float | None = None) -> Outcome:
    """What an HTTP status means for the delivery; the endpoint's own words are never repeated."""
    words = phrase(status)
    if 200 <= status < 300:
        return Outcome(result=Result.SENT, answer=words)
    if status == 409:
        return Outcome(result=Result.SENT, answer=f"{words}: it was there already")
    if status in AGAIN or status >= 500:
        return Outcome(result=Result.TRY_AGAIN, answer=words, retry_after_s=_seconds(retry_after, now_s))
    if 300 <= status < 400:
        return Outcome(result=Result.REFUSED, answer=f"{words}: the endpoint has moved; set its new address")
    return Outcome(result=Result.REFUSED, answer=words)


class UrlMissing(Misconfigured):
    """This destination has no URL."""

    code = "url-missing"
    next_step = "Enter the address that reports are sent to."


def _seconds(retry_after: str, now_s: float | None) -> float | None:
    """Retry-After as seconds: a number or a date (RFC 9110 section 10.2.3); None when it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now_s is None else now_s))
