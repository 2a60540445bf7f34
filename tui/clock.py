"""The console's clock, passed in so that tests can move it, and times as people read them."""

import time
from datetime import UTC, datetime, tzinfo


class Clock:
    """The wall clock and a clock that never jumps."""

    def now(self) -> datetime:
        """This moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()


def moment(text: str | None) -> datetime | None:
    """A time of the API (ISO 8601 in UTC); None where it is absent or unreadable."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def zone(name: str) -> tzinfo:
    """The site's time zone; UTC when the machine does not know the name."""
    if not name or name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def offset(at: datetime) -> str:
    """The offset from UTC as short as it can be said: `+01`, `+05:30`."""
    text = at.strftime("%z")
    return text[:3] if text.endswith("00") else f"{text[:3]}:{text[3:]}"


def clock_time(at: datetime | None, place: tzinfo) -> str:
    """`14:32:07 +01`."""
    if at is None:
        return "-"
    local = at.astimezone(place)
    return f"{local:%H:%M:%S} {offset(local)}"


def full_time(at: datetime | None, place: tzinfo) -> str:
    """`2026-11-22 14:32:07 +01`."""
    if at is None:
        return "-"
    local = at.astimezone(place)
    return f"{local:%Y-%m-%d %H:%M:%S} {offset(local)}"


def day_or_time(at: datetime | None, now: datetime, place: tzinfo) -> str:
    """Five cells: `14:32` today, `11-20` before."""
    if at is None:
        return "-"
    local = at.astimezone(place)
    return f"{local:%H:%M}" if local.date() == now.astimezone(place).date() else f"{local:%m-%d}"


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, in one unit: `now`, `40 s`, `12 min`, `5 h`, `3 d`."""
    if at is None:
        return "-"
    seconds = int((now - at).total_seconds())
    if seconds < 5:
        return "now"
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"
