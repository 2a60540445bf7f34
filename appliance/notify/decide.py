"""Whether, how and when an event is told: switch, ways, cool-down, quiet hours, digest."""

from datetime import UTC, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from appliance.notify.section import NotifySection, Severity, Subject
from appliance.notify.subjects import SEVERITIES

MINUTE_MS = 60_000
NO_WAY = "none"


class Plan(NamedTuple):
    """What becomes of one event on one way."""

    route: str
    severity: Severity
    state: Literal["waiting", "suppressed"]
    reason: str
    not_before: int
    digest: bool


def plans(section: NotifySection, subject: Subject, *, now: int, zone: str, last_told: int | None) -> list[Plan]:
    """One plan for each way; none for an event that is switched off. `last_told` is when the same was last told."""
    if subject not in section.events:
        return []
    rule = next((one for one in section.rules if one.name == subject), None)
    severity: Severity = (rule.severity if rule else "") or SEVERITIES[subject]
    routes = (rule.routes if rule else ()) or (() if section.protocol == "none" else (section.protocol,))
    if not routes:
        return [Plan(NO_WAY, severity, "suppressed", "no way is set by which it could be told", now, False)]
    cool_down = section.cool_down_minutes if rule is None or rule.cool_down_minutes is None else rule.cool_down_minutes
    if last_told is not None and now - last_told < cool_down * MINUTE_MS:
        minutes = (now - last_told) // MINUTE_MS
        reason = f"cool-down: the same was told {minutes} minutes ago"
        return [Plan(route, severity, "suppressed", reason, now, False) for route in routes]
    begins, digest = _when(section, severity, now, zone)
    return [Plan(route, severity, "waiting", "", begins, digest) for route in routes]


def _when(section: NotifySection, severity: Severity, now: int, zone: str) -> tuple[int, bool]:
    """When it is told, and whether together with others."""
    if severity == "error":
        return now, False
    quiet_end = _quiet_until(section, now, zone)
    if quiet_end is not None:
        return quiet_end, True
    if section.digest_minutes:
        step = section.digest_minutes * MINUTE_MS
        return (now // step + 1) * step, True
    return now, False


def _quiet_until(section: NotifySection, now: int, zone: str) -> int | None:
    """The end of the quiet hours that `now` is in; None outside of them. They may span midnight."""
    if not section.quiet_from or not section.quiet_until or section.quiet_from == section.quiet_until:
        return None
    begin, end = time.fromisoformat(section.quiet_from), time.fromisoformat(section.quiet_until)
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(zone))
    clock = local.time().replace(tzinfo=None)
    inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    if not inside:
        return None
    day = local.date() + timedelta(days=1 if clock >= end else 0)
    return int(datetime.combine(day, end, ZoneInfo(zone)).timestamp() * 1000)
