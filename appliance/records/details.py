"""What belongs to some orders: runs, reports and deliveries, read for a whole page at once."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import msgspec
from piccolo.table import Table

from appliance.records.deliveries import DeliveryRow
from appliance.records.engine import rows_of
from appliance.records.orders import OrderRow, RunRow
from appliance.records.tables import Delivery, Order, ProductRun, Report

Kind = TypeVar("Kind", bound=msgspec.Struct)

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


async def of_orders(orders: Sequence[str]) -> list[OrderDetails]:
    """These orders in the order asked for; those that are gone are left out."""
    found: dict[str, OrderRow] = {}
    runs: defaultdict[str, list[RunRow]] = defaultdict(list)
    reports: defaultdict[str, list[ReportHead]] = defaultdict(list)
    deliveries: defaultdict[str, list[DeliveryRow]] = defaultdict(list)
    for start in range(0, len(orders), _AT_ONCE):
        part = orders[start : start + _AT_ONCE]
        found |= {row.id: row for row in await _rows(OrderRow, Order, "orders", "id", part)}
        for run in await _rows(RunRow, ProductRun, "product_runs", "order_id", part, "ORDER BY id"):
            runs[run.order].append(run)
        for report in await _rows(ReportHead, Report, "reports", "order_id", part, "ORDER BY created_at DESC, version DESC"):
            reports[report.order].append(report)
        for delivery in await _rows(DeliveryRow, Delivery, "deliveries", "order_id", part, "ORDER BY report, destination"):
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
        part = reports[start : start + _AT_ONCE]
        for delivery in await _rows(DeliveryRow, Delivery, "deliveries", "report", part, "ORDER BY destination"):
            deliveries[delivery.report].append(delivery)
    return deliveries


async def _rows(
    kind: type[Kind], of: type[Table], table: str, column: str, values: Sequence[str], order: str = ""
) -> list[Kind]:
    # A query string of Piccolo's looks at each of some hundred values by itself; all rows become structs in one call.
    marks = ", ".join(["{}"] * len(values))
    sql = f"SELECT {_columns(kind)} FROM {table} WHERE {column} IN ({marks}) {order}"
    return msgspec.convert(await rows_of(of, sql, *values), list[kind], strict=False)  # type: ignore[valid-type]


@cache
def _columns(kind: type[msgspec.Struct]) -> str:
    return ", ".join('order_id AS "order"' if name == "order" else f'"{name}"' for name in kind.__struct_fields__)
