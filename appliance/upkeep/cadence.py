"""When management tasks are due: the named cadences and cron expressions, in the site's time zone."""

from datetime import UTC, datetime, time, timedelta
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
_MOST_DAYS = 10 * 366
_SHIFT = timedelta(hours=2)
"""No clock is set by more."""


def due(section: SchedulerSection, zone: str, last: int, now: int) -> bool:
    """Whether a moment of the cadence lies after `last` and not after `now` (milliseconds UTC), however long ago."""
    found = following(expression_of(section), zone, min(last, now))
    return found is not None and found <= now


def expression_of(section: SchedulerSection) -> str:
    """The cadence of the settings as cron expression."""
    return EXPRESSIONS.get(section.cadence, section.cron)


def following(expression: str, zone: str, after: int) -> int | None:
    """The first moment of a cron expression after another, in milliseconds UTC; None when it names no day of ten years.

    As cron(5) has it: with both days given, either is enough; Sunday is 0 and 7. When clocks are set, a time that the site's
    clock skips counts by the hour before, so that it comes once, and one that it shows twice counts the first time. Expressions
    with a step or star for hours or minutes follow the clock as it goes.
    """
    minutes, hours, days, months, weekdays = _fields(expression)
    either = not any(expression.split()[place].startswith("*") for place in (2, 4))
    steady = not any(field.startswith("*") for field in expression.split()[:2])
    times = [time(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)]
    site = ZoneInfo(zone)
    begin = datetime.fromtimestamp(after / 1000, UTC).astimezone(site).replace(tzinfo=None) - _SHIFT
    for number in range(_MOST_DAYS):
        day = begin.date() + timedelta(days=number)
        fits = day.day in days, day.isoweekday() % 7 in {one % 7 for one in weekdays}
        if day.month not in months or not (any(fits) if either else all(fits)):
            continue
        found = _first(after, [datetime.combine(day, each) for each in times], begin, site, steady)
        if found is not None:
            return found
    return None


def _first(after: int, times: list[datetime], begin: datetime, site: ZoneInfo, steady: bool) -> int | None:
    """The first moment after another at which the site's clock shows one of a day's times."""
    found: list[int] = []
    enough = datetime.max
    for each in times:
        if each < begin:
            continue
        if each > enough:
            break
        later = [one for one in _moments(each.replace(tzinfo=site), steady) if one > after]
        if later and not found:
            enough = each + _SHIFT
        found += later
    return min(found, default=None)


def _moments(at: datetime, steady: bool) -> list[int]:
    """When the site's clock shows a time: once, or twice where it is set back and the expression follows the clock."""
    both = [at] if steady else [at, at.replace(fold=1)]
    found = {int(one.timestamp() * 1000) for one in both}
    if not steady:
        # What the clock never shows is no time of an expression that follows it.
        found = {one for one in found if datetime.fromtimestamp(one / 1000, at.tzinfo).time() == at.time()}
    return sorted(found)


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
    return "" if following(expression, "UTC", 0) is not None else "names a day that no month has"


def _fields(expression: str) -> list[set[int]]:
    return [_values(text, *span) for text, span in zip(expression.split(), _RANGES, strict=True)]


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
