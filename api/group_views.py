"""What the API answers about groups."""

from collections.abc import Sequence

import msgspec

from api.fill import delivery_view
from api.views import DeliveryView, View, at
from appliance import cohorts
from appliance.groups import rules
from appliance.records import deliveries
from appliance.records.groups import GroupLine, GroupReportRow
from appliance.reports.cohort import Distribution
from appliance.settings import Settings


class GroupView(View, frozen=True, kw_only=True):
    """One group with how far its studies are."""

    group: str
    products: dict[str, str]
    """Product -> the version that the group is fixed to."""
    newer: dict[str, str]
    """Product -> installed version, where another one is installed: accept it before further studies are analysed."""
    studies: int
    done: int
    failed: int
    cancelled: int
    waiting: int
    """For a person."""
    complete: bool
    created_by: str
    created_at: str | None
    reports: int
    reported_at: str | None
    delivered: str
    """Of the newest report: `failed`, `waiting`, `sent`, or empty where it goes nowhere."""
    next_at: str | None
    """When the clock sends the next report; null where there is no schedule."""
    sends_on_completion: bool


class GroupReportView(View, frozen=True, kw_only=True):
    """One report of a group."""

    report: str
    version: int
    reason: str
    studies: int
    done: int
    failed: int
    name: str
    """Of its files, without the ending."""
    formats: list[str]
    created_at: str | None
    deliveries: list[DeliveryView]


class GroupDetail(GroupView, frozen=True, kw_only=True):
    """One group with its reports, newest first."""

    report_list: list[GroupReportView]


class OutlierView(View, frozen=True, kw_only=True):
    """A study that stands out with one number."""

    study: str
    value: float


class DistributionView(View, frozen=True, kw_only=True):
    """How one number is distributed over the studies of a group that have it."""

    column: str
    label: str
    unit: str
    count: int
    mean: float
    deviation: float
    least: float
    lower: float
    """The lower quartile; with fewer than four studies the median, as is the upper."""
    middle: float
    """The median."""
    upper: float
    most: float
    outliers: list[OutlierView]
    """Beyond Tukey's fences, furthest first."""


def distribution_view(one: Distribution) -> DistributionView:
    """One number of a group."""
    outliers = [OutlierView(study=study, value=value) for study, value in one.outliers]
    return DistributionView(**(msgspec.structs.asdict(one) | {"outliers": outliers}))


def group_view(line: GroupLine, installed: dict[str, str], settings: Settings, now: int) -> GroupView:
    """One group as the list shows it."""
    next_at = cohorts.next_scheduled(settings, line, now)
    products = rules.unpinned(line.products)
    return GroupView(
        group=line.name,
        products=products,
        newer={name: installed.get(name, "none") for name, version in products.items() if installed.get(name) != version},
        studies=line.studies,
        done=line.done,
        failed=line.failed,
        cancelled=line.cancelled,
        waiting=line.waiting,
        complete=0 < line.studies == line.done + line.failed + line.cancelled,
        created_by=line.created_by,
        created_at=at(line.created_at),
        reports=line.reports,
        reported_at=at(line.reported_at),
        delivered=line.delivered,
        next_at=at(next_at),
        sends_on_completion=settings.groups.send_on_completion,
    )


async def report_views(rows: Sequence[GroupReportRow]) -> list[GroupReportView]:
    """Reports with where they went."""
    return [await report_view(row) for row in rows]


async def report_view(row: GroupReportRow) -> GroupReportView:
    """One report with where it went."""
    return GroupReportView(
        report=row.id,
        version=row.version,
        reason=row.reason,
        studies=row.members,
        done=row.done,
        failed=row.failed,
        name=row.stem,
        formats=row.format_list,
        created_at=at(row.created_at),
        deliveries=[delivery_view(one) for one in await deliveries.of_report(row.id)],
    )
