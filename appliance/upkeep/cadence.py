"""When management tasks are due: the named cadences and cron expressions, in the site's time zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from appliance.upkeep.section import SchedulerSection

EXPRESSIONS = {
    "every-minute": "* * * * *",
    "every-5-minutes": "*/5 * * * *",
    "hourly": "0 * * * *",
    "daily-midnight": "0 0 * * *",
    "daily-3": "0 3 * * *",
    "weekly-sunday-3": "0 3 * * 0",
}
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MINUTE_MS = 60_000


def due(section: SchedulerSection, zone: str, last: int, now: int) -> bool:
    """Whether a minute of the cadence lies after `last` and not after `now` (milliseconds UTC); looks back a day at most."""
    expression = EXPRESSIONS.get(section.cadence, section.cron)
    minute = now // MINUTE_MS
    return any(
        matches(expression, datetime.fromtimestamp(one * 60, UTC).astimezone(ZoneInfo(zone)))
        for one in range(minute, max(last // MINUTE_MS, minute - 1440), -1)
    )


def matches(expression: str, at: datetime) -> bool:
    """Whether a cron expression (minute, hour, day, month, weekday) names this minute.

    As cron(5) has it: with both days given, either is enough; Sunday is 0 and 7.
    """
    minute, hour, day, month, weekday = (_values(text, *span) for text, span in zip(expression.split(), _RANGES, strict=True))
    if at.minute not in minute or at.hour not in hour or at.month not in month:
        return False
    on_day, on_weekday = at.day in day, at.isoweekday() in weekday or (at.isoweekday() == 7 and 0 in weekday)
    fields = expression.split()
    if fields[2].startswith("*") or fields[4].startswith("*"):
        return on_day and on_weekday
    return on_day or on_weekday


def problem(expression: str) -> str:
    """Why an expression names no minute; empty when it does."""
    fields = expression.split()
    if len(fields) != len(_RANGES):
        return "has not five fields: minute, hour, day, month, weekday"
    for text, (low, high) in zip(fields, _RANGES, strict=True):
        try:
            found = _values(text, low, high)
        except ValueError:
            return f"{text} is no list, range or step of numbers"
        if not found or min(found) < low or max(found) > high:
            return f"{text} is not within {low} and {high}"
    return ""


def _values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = int(begin)
            last = int(end) if dash else high if slash else first
        found |= set(range(first, last + 1, max(1, int(step)) if slash else 1))
    return found
