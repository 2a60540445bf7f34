"""What belongs to some orders: runs, reports and deliveries, read for a whole page at once."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from appliance.records.deliveries import DeliveryRow
from appliance.records.orders import OrderRow, RunRow
from appliance.records.tables import Delivery, Order, ProductRun, Report

_AT_ONCE = 400
"""Values in one IN list: SQLite of old builds takes 999 in a statement."""


class ReportHead(msgspec.Struct, kw_only=True, frozen=True):
    """A report without its content."""

    id: str
    order: str
    kind: str
    version: int
    supersedes: str
    formats: str
    created_at: int


class OrderDetails(msgspec.Struct, kw_only=True, frozen=True):
    """One order with all that belongs to it."""

    order: OrderRow
    runs: list[RunRow]
    reports: list[ReportHead]
    deliveries: list[DeliveryRow]


_REPORT = [getattr(Report, name) for name in ReportHead.__struct_fields__]


async def of_orders(orders: Sequence[str]) -> list[OrderDetails]:
    """These orders in the order asked for; those that are gone are left out."""
    found: dict[str, OrderRow] = {}
    runs: defaultdict[str, list[RunRow]] = defaultdict(list)
    reports: defaultdict[str, list[ReportHead]] = defaultdict(list)
    deliveries: defaultdict[str, list[DeliveryRow]] = defaultdict(list)
    for start in range(0, len(orders), _AT_ONCE):
        part = list(orders[start : start + _AT_ONCE])
        for row in await Order.select().where(Order.id.is_in(part)).run():
            found[row["id"]] = msgspec.convert(row, OrderRow, strict=False)
        for row in await ProductRun.select().where(ProductRun.order.is_in(part)).order_by(ProductRun.id).run():
            run = msgspec.convert(_named(row), RunRow, strict=False)
            runs[run.order].append(run)
        query = Report.select(*_REPORT).where(Report.order.is_in(part))
        for row in await query.order_by(Report.created_at, Report.version, ascending=False).run():
            report = msgspec.convert(_named(row), ReportHead, strict=False)
            reports[report.order].append(report)
        query = Delivery.select().where(Delivery.order.is_in(part)).order_by(Delivery.report, Delivery.destination)
        for row in await query.run():
            delivery = msgspec.convert(_named(row), DeliveryRow, strict=False)
            deliveries[delivery.order].append(delivery)
    return [
        OrderDetails(order=found[one], runs=runs[one], reports=reports[one], deliveries=deliveries[one])
        for one in orders
        if one in found
    ]


async def of_reports(reports: Sequence[str]) -> dict[str, list[DeliveryRow]]:
    """The deliveries of some reports."""
    deliveries: defaultdict[str, list[DeliveryRow]] = defaultdict(list)
    for start in range(0, len(reports), _AT_ONCE):
        query = Delivery.select().where(Delivery.report.is_in(list(reports[start : start + _AT_ONCE])))
        for row in await query.order_by(Delivery.destination).run():
            delivery = msgspec.convert(_named(row), DeliveryRow, strict=False)
            deliveries[delivery.report].append(delivery)
    return deliveries


def _named(row: dict[str, object]) -> dict[str, object]:
    return {**row, "order": row["order_id"]} if "order_id" in row else row
