"""What the API answers about groups."""

from collections.abc import Sequence

from api.fill import delivery_view
from api.views import DeliveryView, View, at
from appliance.groups import rules
from appliance.records import deliveries
from appliance.records.groups import GroupLine, GroupReportRow


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


def group_view(line: GroupLine, installed: dict[str, str]) -> GroupView:
    """One group as the list shows it."""
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
