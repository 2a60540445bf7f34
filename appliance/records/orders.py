"""Orders and product runs: claim, renew, move, read.

A worker holds an order by a lease: its name, the attempt it made, and an end. Every write of a worker names all three, so a
worker that lost its lease writes nothing. Only `appliance.pipeline` calls the functions that change a state.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from appliance.errors import Conflict, Unknown
from appliance.records.engine import Records
from appliance.records.tables import Order, ProductRun
from appliance.states import ORDER_FACTS, OrderState, RunState

FAILURE_REPORT_DUE = "failure-report"
"""`stage` of a failed order whose failure report is still to be made."""


class LeaseLost(Conflict):
    """Another worker has taken order {order}, or it was moved meanwhile."""

    code = "lease-lost"


class OrderRow(msgspec.Struct, kw_only=True, frozen=True):
    """One order as it stands in the records."""

    id: str
    study: str
    study_version: int
    state: OrderState
    code: str
    detail: str
    products: str
    priority: int
    group_name: str
    owner: str
    qc_verdict: str
    qc_report: str
    bypass_by: str
    bypass_reason: str
    metadata: str
    inputs: str
    passport: str
    stage: str
    step: str
    percent: int
    worker: str
    attempt: int
    lease_until: int
    not_before: int
    failures: int
    delivery_failed: bool
    cancel_asked: bool
    idempotency_key: str
    created_at: int
    updated_at: int
    row_version: int

    @property
    def product_list(self) -> list[str]:
        """The products by id."""
        return [one for one in self.products.split(",") if one]


class RunRow(msgspec.Struct, kw_only=True, frozen=True):
    """One product's run."""

    id: str
    order: str
    product: str
    product_version: str
    state: RunState
    attempt: int
    code: str
    detail: str
    result: str
    started_at: int | None
    ended_at: int | None


def _order(row: dict[str, Any]) -> OrderRow:
    return msgspec.convert(row, OrderRow, strict=False)


async def get(order: str) -> OrderRow:
    """One order; raises `Unknown`."""
    row = await Order.select().where(Order.id == order).first().run()
    if row is None:
        raise Unknown(kind="order")
    return _order(row)


async def of_study(study: str) -> list[OrderRow]:
    """The orders of a study, newest first."""
    rows = await Order.select().where(Order.study == study).order_by(Order.id, ascending=False).run()
    return [_order(row) for row in rows]


async def by_idempotency_key(key: str) -> OrderRow | None:
    """The order that was made under this key."""
    row = await Order.select().where(Order.idempotency_key == key).first().run() if key else None
    return _order(row) if row else None


async def add(row: Order) -> None:
    """Stores a new order."""
    await Order.insert(row).run()


async def claim(records: Records, *, worker: str, states: Sequence[OrderState], now: int, lease_ms: int) -> OrderRow | None:
    """Takes the most urgent order that is due and in no other worker's hands; None when there is none.

    Single studies go before those of groups. An order that another worker still holds though its lease has ended was in the
    hands of one that died: that counts as a failure of its state.
    """
    marks = ", ".join("{}" for _ in states)
    skip = "" if records.on_sqlite else "FOR UPDATE SKIP LOCKED"
    rows = await records.run(
        "UPDATE orders SET failures = failures + CASE WHEN worker <> '' THEN 1 ELSE 0 END, "
        "worker = {}, attempt = attempt + 1, lease_until = {} WHERE id = ("
        f"SELECT id FROM orders WHERE (state IN ({marks}) OR (state = {{}} AND stage = {{}})) "
        "AND lease_until <= {} AND not_before <= {} "
        "ORDER BY priority DESC, CASE WHEN group_name = '' THEN 0 ELSE 1 END, created_at, id LIMIT 1 "
        f"{skip}) AND lease_until <= {{}} RETURNING *",
        worker,
        now + lease_ms,
        *(str(state) for state in states),
        str(OrderState.FAILED),
        FAILURE_REPORT_DUE,
        now,
        now,
        now,
    )
    return _order(rows[0]) if rows else None


async def renew(records: Records, row: OrderRow, *, now: int, lease_ms: int) -> bool:
    """Keeps a lease; gives whether somebody has asked to cancel. Raises `LeaseLost`."""
    rows = await records.run(
        "UPDATE orders SET lease_until = {} WHERE id = {} AND worker = {} AND attempt = {} RETURNING cancel_asked",
        now + lease_ms,
        row.id,
        row.worker,
        row.attempt,
    )
    if not rows:
        raise LeaseLost(order=row.id)
    return bool(rows[0]["cancel_asked"])


async def show_progress(
    records: Records, row: OrderRow, *, stage: str, step: str, percent: int, waits_no_more: bool = False
) -> None:
    """Writes how far the stage has come, where the lease still holds; `waits_no_more` takes off why it waited.

    A failed order keeps its mark that its failure report is due.
    """
    reason = "code = '', detail = '', " if waits_no_more else ""
    await records.run(
        f"UPDATE orders SET {reason}stage = CASE WHEN state = 'FAILED' THEN stage ELSE {{}} END, step = {{}}, percent = {{}} "
        "WHERE id = {} AND worker = {} AND attempt = {}",
        stage,
        step[:64],
        percent,
        row.id,
        row.worker,
        row.attempt,
    )


async def move(records: Records, row: OrderRow, new: OrderState, *, now: int, changes: dict[str, Any]) -> None:
    """Changes state and columns where state, worker and attempt still hold, and gives the lease back; raises `LeaseLost`."""
    values = {
        "code": "",
        "detail": "",
        "stage": "",
        "step": "",
        "percent": 0,
        "not_before": 0,
        **changes,
        "state": str(new),
        "worker": "",
        "lease_until": 0,
        "updated_at": now,
    }
    listed = ", ".join(f"{name} = {{}}" for name in values)
    rows = await records.run(
        f"UPDATE orders SET {listed}, row_version = row_version + 1 "
        "WHERE id = {} AND state = {} AND worker = {} AND attempt = {} RETURNING id",
        *values.values(),
        row.id,
        str(row.state),
        row.worker,
        row.attempt,
    )
    if not rows:
        raise LeaseLost(order=row.id)


async def set_priority(records: Records, order: str, priority: int, *, now: int) -> None:
    """Changes how urgent an order is."""
    await records.run(
        "UPDATE orders SET priority = {}, updated_at = {}, row_version = row_version + 1 WHERE id = {}", priority, now, order
    )


async def under_way() -> list[str]:
    """The orders that have neither ended nor been reported, oldest first."""
    done = [str(state) for state, facts in ORDER_FACTS.items() if facts.terminal or state is OrderState.REPORTED]
    rows = await Order.select(Order.id).where(Order.state.not_in(done)).order_by(Order.id).run()
    return [str(row["id"]) for row in rows]


async def ask_cancel(records: Records, order: str) -> None:
    """Tells the worker that holds an order to stop."""
    await records.run("UPDATE orders SET cancel_asked = {} WHERE id = {}", True, order)


async def clear_delivery_failed(records: Records, order: str) -> None:
    """Takes the flag of a failed delivery off an order whose delivery starts anew."""
    await records.run("UPDATE orders SET delivery_failed = {} WHERE id = {}", False, order)


async def give_up(
    records: Records, row: OrderRow, *, now: int, not_before: int, failures: int, detail: str, code: str = ""
) -> None:
    """Returns an order to the queue for a later attempt, state unchanged; `code` says what it waits for.

    Raises `LeaseLost`.
    """
    rows = await records.run(
        "UPDATE orders SET worker = '', lease_until = 0, stage = CASE WHEN state = 'FAILED' THEN stage ELSE '' END, step = '', "
        "percent = 0, not_before = {}, failures = {}, code = CASE WHEN state = 'FAILED' THEN code ELSE {} END, "
        "detail = CASE WHEN state = 'FAILED' THEN detail ELSE {} END, updated_at = {}, row_version = row_version + 1 "
        "WHERE id = {} AND worker = {} AND attempt = {} RETURNING id",
        not_before,
        failures,
        code,
        detail,
        now,
        row.id,
        row.worker,
        row.attempt,
    )
    if not rows:
        raise LeaseLost(order=row.id)


async def leaseholders(records: Records) -> list[str]:
    """The names of all workers that hold an order or a delivery."""
    rows = await records.run(
        "SELECT DISTINCT worker FROM orders WHERE worker <> '' UNION SELECT DISTINCT worker FROM deliveries WHERE worker <> ''"
    )
    return [str(row["worker"]) for row in rows]


async def free_leases(records: Records, workers: Iterable[str]) -> None:
    """Ends the leases of workers that are known to be dead, so that others need not wait them out."""
    for worker in workers:
        await records.run("UPDATE orders SET lease_until = 0 WHERE worker = {}", worker)
        await records.run("UPDATE deliveries SET lease_until = 0 WHERE worker = {}", worker)


async def counts(records: Records) -> dict[str, int]:
    """State -> number of orders."""
    rows = await records.run("SELECT state, COUNT(*) AS n FROM orders GROUP BY state")
    return {str(row["state"]): int(row["n"]) for row in rows}


async def settled_reported(records: Records, order: str = "") -> list[OrderRow]:
    """Reported orders, or one, whose every delivery of the newest report has an end, to be closed or flagged."""
    rows = await records.run(
        f"SELECT * FROM orders o WHERE {'o.id = {} AND ' if order else ''}o.state = {{}} AND o.delivery_failed = {{}} "
        "AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.order_id = o.id AND d.state IN ('PENDING', 'SENDING')) LIMIT 100",
        *([order] if order else []),
        str(OrderState.REPORTED),
        False,
    )
    return [_order(row) for row in rows]


async def runs(order: str) -> list[RunRow]:
    """The product runs of an order."""
    rows = await ProductRun.select().where(ProductRun.order == order).order_by(ProductRun.id).run()
    return [msgspec.convert({**row, "order": order}, RunRow, strict=False) for row in rows]


async def add_runs(rows: Sequence[ProductRun]) -> None:
    """Stores new product runs."""
    if rows:
        await ProductRun.insert(*rows).run()


async def change_run(run: str, changes: dict[str, Any]) -> None:
    """Changes one product run; the caller holds its order's lease in the same transaction."""
    await (
        ProductRun.update({getattr(ProductRun, name): value for name, value in changes.items()})
        .where(ProductRun.id == run)
        .run()
    )


async def hold_lease(records: Records, row: OrderRow) -> None:
    """Raises `LeaseLost` unless this worker still holds the order; inside a transaction it fences what follows."""
    rows = await records.run(
        "UPDATE orders SET attempt = attempt WHERE id = {} AND worker = {} AND attempt = {} RETURNING id",
        row.id,
        row.worker,
        row.attempt,
    )
    if not rows:
        raise LeaseLost(order=row.id)
