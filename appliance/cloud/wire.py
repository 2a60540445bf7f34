"""One call to the cloud, and what its status means: away, over, refused, or an answer."""

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator
from typing import Any

from appliance import asking
from appliance.asking import Answer, NoAnswer
from appliance.cloud.errors import CloudAway, CloudBusy, CloudRefuses
from appliance.cloud.section import CloudSection

CALL_S = 60.0
PART_S = 3600.0
AWAY_S = 15.0
LONGEST_WAIT_S = 3600.0
MOST_BYTES = 100_000_000
"""Of a result; a report with pictures has a few."""
_TOLD = 200


async def ask(section: CloudSection, call: str, method: str, url: str, *, timeout_s: float = CALL_S, **sent: Any) -> Answer:
    """An answer of any status below 500 but 408, 425 and 429; raises `CloudAway` or `CloudBusy` for the others and for none.

    Raises `Misconfigured` for a URL that may not be used.
    """
    try:
        found = await asking.ask(
            method,
            url,
            allow_local=section.own_machine,
            authority=section.authority,
            timeout_s=timeout_s,
            field="api_url",
            most=MOST_BYTES,
            **sent,
        )
    except NoAnswer as fault:
        raise CloudAway(after=AWAY_S, why=fault.facts["why"]) from None
    if found.status in (408, 425, 429) or found.status >= 500:
        wait = _retry_after(found)
        if wait is not None:
            raise CloudBusy(after=wait, seconds=round(wait))
        raise CloudAway(after=AWAY_S, why=f"it answered {call} with HTTP {found.status}")
    return found


def _retry_after(found: Answer) -> float | None:
    """Retry-After (RFC 9110 section 10.2.3) within an hour; None when there is none."""
    text = found.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT_S)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 1.0), LONGEST_WAIT_S)


def told(text: object) -> str:
    """The cloud's own words, as far as they fit into a line."""
    return "".join(one for one in str(text)[:_TOLD] if one.isprintable())


def refusal(call: str, found: Answer, words: object) -> CloudRefuses:
    """What a status that nobody waits for becomes."""
    return CloudRefuses(call=call, status=found.status, told=told(words) or "no reason given")


async def paced(data: bytes, kb_s: int) -> AsyncIterator[bytes]:
    """A body in pieces, as fast as the setting allows."""
    piece = 64 << 10
    begun = time.monotonic()
    for place in range(0, len(data), piece):
        yield data[place : place + piece]
        ahead = (place + piece) / (kb_s * 1000) - (time.monotonic() - begun)
        if ahead > 0:
            await asyncio.sleep(ahead)
