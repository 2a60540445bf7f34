"""What is told, when and how: rules without a clock, a network or a database (NOT-01)."""

from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest

from appliance.events import (
    DeliveryFailed,
    DeliverySent,
    Event,
    GroupCompleted,
    GroupReportFailed,
    GroupReportSent,
    LowDisk,
    MetricHigh,
    MetricRecovered,
    OrderFailed,
    OrderMoved,
    QcFailed,
    QcPassed,
    StudyStable,
)
from appliance.notify import decide, subjects
from appliance.notify.section import NotifySection, Rule, Subject
from appliance.upkeep.machine import Change, Readings, Watch, read

SUBJECTS = get_args(Subject)
ALL = NotifySection(events=SUBJECTS, protocol="webhook")
MINUTE = 60_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def an_event(kind: type[Event], **values: object) -> Event:
    words = {"group": "G", "destination": "PACS", "metric": "CPU", "host": "h", "code": "c"}
    given: Any = {
        one.name: values.get(one.name, words.get(one.name, 3 if one.type is int else "x"))
        for one in msgspec.structs.fields(kind)
    }
    return kind(**given)


def test_each_of_the_guides_18_events_comes_of_an_event_of_the_house() -> None:
    """NOT-01: all of them, and each has a title and a severity."""
    events = [
        an_event(StudyStable),
        an_event(QcPassed),
        an_event(QcFailed),
        an_event(OrderMoved, old="UPLOADING", new="PROCESSING"),
        an_event(OrderMoved, old="UPLOADING", new="FAILED"),
        an_event(DeliverySent),
        an_event(DeliveryFailed),
        an_event(OrderFailed),
        an_event(GroupCompleted),
        an_event(GroupReportSent),
        an_event(GroupReportFailed),
        an_event(OrderMoved, old="PROCESSING", new="PROCESSED"),
        an_event(OrderMoved, old="PROCESSING", new="HELD"),
        *(an_event(MetricHigh, metric=one) for one in ("CPU", "Memory", "Swap", "Free disk space")),
        an_event(MetricRecovered),
    ]
    assert [subjects.subject_of(one, local=True) for one in events] == list(SUBJECTS)
    assert set(subjects.TITLES) == set(subjects.SEVERITIES) == set(SUBJECTS)
    assert {one.name() for one in events} <= set(subjects.NAMES)
    assert subjects.subject_of(an_event(LowDisk), local=True) == "low-disk", "the reserve is told as well"
    assert subjects.subject_of(an_event(OrderMoved, old="PROCESSING", new="PROCESSED"), local=False) is None
    assert subjects.subject_of(an_event(OrderMoved, old="QC", new="QUEUED"), local=True) is None


def told(
    section: NotifySection, subject: Subject, now: str = "2026-11-22T12:00:30", last: int | None = None
) -> list[decide.Plan]:
    return decide.plans(section, subject, now=at(now), zone="Europe/Berlin", last_told=last)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_event_has_its_switch_and_goes_at_once(subject: Subject) -> None:
    assert told(NotifySection(protocol="webhook"), subject) == []
    (plan,) = told(msgspec.structs.replace(ALL, events=(subject,)), subject)
    assert plan == ("webhook", subjects.SEVERITIES[subject], "waiting", "", at("2026-11-22T12:00:30"), False)


def test_a_rule_gives_an_event_its_own_severity_ways_and_cool_down() -> None:
    rule = Rule(name="qc-passed", severity="error", routes=("email", "apprise"), cool_down_minutes=5)
    section = msgspec.structs.replace(ALL, rules=(rule,))
    assert [(one.route, one.severity) for one in told(section, "qc-passed")] == [("email", "error"), ("apprise", "error")]
    earlier = at("2026-11-22T12:00:30") - 6 * MINUTE
    assert {one.state for one in told(section, "qc-passed", last=earlier)} == {"waiting"}
    assert [one.route for one in told(section, "qc-failed")] == ["webhook"]


def test_what_cannot_be_told_and_what_was_told_just_now_is_suppressed_with_the_reason() -> None:
    """NOT-02."""
    (plan,) = told(msgspec.structs.replace(ALL, protocol="none"), "qc-failed")
    assert (plan.state, plan.reason) == ("suppressed", "no way is set by which it could be told")
    (plan,) = told(ALL, "qc-failed", last=at("2026-11-22T12:00:30") - 59 * MINUTE)
    assert (plan.state, plan.reason) == ("suppressed", "cool-down: the same was told 59 minutes ago")
    (plan,) = told(ALL, "qc-failed", last=at("2026-11-22T12:00:30") - 60 * MINUTE)
    assert plan.state == "waiting"


def test_quiet_hours_span_midnight_in_the_sites_time_and_errors_break_them() -> None:
    """Berlin is an hour before UTC in winter and two in summer."""
    section = msgspec.structs.replace(ALL, quiet_from="22:00", quiet_until="06:30")
    for now, until in (
        ("2026-11-22T21:30:00", "2026-11-23T05:30:00"),
        ("2026-11-23T05:29:59", "2026-11-23T05:30:00"),
        ("2026-07-01T20:30:00", "2026-07-02T04:30:00"),
        ("2026-10-24T21:00:00", "2026-10-25T05:30:00"),
    ):
        (plan,) = told(section, "qc-failed", now)
        assert (plan.not_before, plan.digest) == (at(until), True), now
        assert told(section, "low-disk", now)[0].not_before == at(now)
    for now in ("2026-11-22T20:59:59", "2026-11-23T05:30:00", "2026-11-23T12:00:00"):
        assert told(section, "qc-failed", now)[0].digest is False


def test_a_digest_gathers_to_the_next_full_step_and_errors_go_at_once() -> None:
    section = msgspec.structs.replace(ALL, digest_minutes=15)
    (plan,) = told(section, "qc-passed", "2026-11-22T12:07:00")
    assert (plan.not_before, plan.digest) == (at("2026-11-22T12:15:00"), True)
    assert told(section, "processing-failed", "2026-11-22T12:07:00")[0].digest is False


def test_what_counts_as_the_same_is_the_event_about_the_same_thing() -> None:
    one, other = an_event(DeliveryFailed, order="o1"), an_event(DeliveryFailed, order="o2")
    assert subjects.topic_of("report-delivery-failed", one) != subjects.topic_of("report-delivery-failed", other)
    assert subjects.topic_of("high-cpu", an_event(MetricHigh, study="", order="")) == "high-cpu:CPU:h"


LIMITS = Readings(cpu=90, memory=90, swap=50, disk_free=10)
CALM = Readings(cpu=10, memory=40, swap=0, disk_free=60)


def changes_of(values: list[Readings], repeat_ms: int = 10**9) -> list[Change]:
    watch, found = Watch(), []
    for number, one in enumerate(values):
        found += watch.changes(one, LIMITS, number * 10_000, repeat_ms)
    return found


def test_a_metric_is_told_when_it_stays_beyond_its_threshold_and_once_it_is_well_behind_it() -> None:
    """NOT-01: high CPU, memory, swap, low disk, recovered, with hysteresis."""
    high = CALM._replace(cpu=95)
    assert changes_of([high, high, CALM, high, high]) == [], "two readings are a spike"
    assert changes_of([high] * 30) == [Change("CPU", True, 95, 90)]
    near = CALM._replace(cpu=87)
    assert changes_of([high] * 3 + [near, high, near] * 10) == [Change("CPU", True, 95, 90)], "it hovers at the threshold"
    assert changes_of([high] * 3 + [CALM] * 3) == [Change("CPU", True, 95, 90), Change("CPU", False, 10, 90)]
    worst = Readings(cpu=91, memory=95, swap=60, disk_free=4)
    assert [one.metric for one in changes_of([worst] * 3)] == ["CPU", "Memory", "Swap", "Free disk space"]
    assert [one.high for one in changes_of([worst] * 3 + [CALM] * 3)] == [True] * 4 + [False] * 4


def test_a_metric_that_stays_high_is_told_again_after_the_cool_down() -> None:
    assert len(changes_of([CALM._replace(swap=80)] * 20, repeat_ms=60_000)) == 3


def test_the_real_machine_has_readings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """NOT-01: once for real, by psutil."""
    found = read(tmp_path_factory.getbasetemp())
    assert all(0 <= one <= 100 for one in found)
    assert found.memory > 0
    assert found.disk_free > 0
    watch, never = Watch(), Readings(cpu=101, memory=0.001, swap=101, disk_free=0)
    told_of = [one for number in range(3) for one in watch.changes(read(tmp_path_factory.getbasetemp()), never, number, 10**9)]
    assert [(one.metric, one.high) for one in told_of] == [("Memory", True)]
