"""Deliveries: one row for each report, or study, and destination; claim, renew, settle, send again, read.

A row's identifier, idempotency key and SOP Instance UID follow from the report and the destination's name and never change.
So a second call that makes the rows finds them there, and a second sending, after a death between sending and recording or
by hand, brings the receiver the same object again.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from appliance.errors import Conflict, Unknown
from appliance.moments import new_id, uid_of
from appliance.records.engine import Records
from appliance.records.tables import Delivery
from appliance.states import SETTLED, DeliveryState, check_delivery_move

OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)


class DeliveryTaken(Conflict):
    """Another worker has taken delivery {delivery}, or it was moved meanwhile."""

    code = "delivery-taken"


class DeliveryRow(msgspec.Struct, kw_only=True, frozen=True):
    """One delivery as it stands in the records."""

    id: str
    report: str
    order: str
    destination: str
    state: DeliveryState
    attempt: int
    answer: str
    idempotency_key: str
    sop_instance_uid: str
    worker: str
    lease_until: int
    not_before: int
    created_at: int
    sent_at: int | None
    transaction_uid: str = ""
    """Under which the newest attempt asked for storage commitment; empty when none did."""
    asked_at: int = 0
    """When the wait for the commitment began; 0 while there is none."""
    commitment: int = -1
    """What the PACS answered: 0 for kept, else its failure reason; -1 until then."""
    warned: bool = False


class Settlement(msgspec.Struct, kw_only=True, frozen=True):
    """How the deliveries of one report stand together."""

    total: int
    sent: int
    failed: int

    @property
    def complete(self) -> bool:
        """Whether every destination has the report; true at once when there is none."""
        return self.sent == self.total

    @property
    def open(self) -> int:
        """How many are still waited for."""
        return self.total - self.sent - self.failed


def delivery_id(report: str, destination: str) -> str:
    """The identifier of a report's delivery to a destination: a UUIDv7 of the report's millisecond, the same at every call."""
    digest = hashlib.sha256(f"{report}\x1f{destination}".encode()).digest()
    return new_id(UUID(report).int >> 80, int.from_bytes(digest, "big") >> (256 - 74))


def _row(found: dict[str, Any]) -> DeliveryRow:
    return msgspec.convert({**found, "order": found["order_id"]}, DeliveryRow, strict=False)


async def create(report: str, order: str, destinations: Iterable[str], now: int) -> list[DeliveryRow]:
    """Makes one waiting row for each named destination of a report; rows that are there stay as they are."""
    rows = [
        Delivery(
            id=identifier,
            report=report,
            order=order,
            destination=destination,
            state=str(DeliveryState.PENDING),
            idempotency_key=identifier,
            sop_instance_uid=uid_of(identifier),
            not_before=now,
            created_at=now,
        )
        for destination in dict.fromkeys(destinations)
        for identifier in (delivery_id(report, destination),)
    ]
    if rows:
        await Delivery.insert(*rows).on_conflict(target=Delivery.id, action="DO NOTHING").run()
    return await of_report(report)


async def create_of_study(study: str, version: int, order: str, destination: str, now: int) -> tuple[DeliveryRow, bool]:
    """The delivery of a study's images to a destination, and whether it is new: one for each version, whatever its orders.

    It belongs to no report, and to the order whose copy is sent.
    """
    identifier = delivery_id(study, f"{version}/{destination}")
    row = Delivery(
        id=identifier,
        report="",
        order=order,
        destination=destination,
        state=str(DeliveryState.PENDING),
        idempotency_key=identifier,
        not_before=now,
        created_at=now,
    )
    there = await Delivery.exists().where(Delivery.id == identifier).run()
    await Delivery.insert(row).on_conflict(target=Delivery.id, action="DO NOTHING").run()
    return await get(identifier), not there


async def claim(
    records: Records,
    *,
    worker: str,
    now: int,
    lease_ms: int,
    leave_out: Collection[str] = (),
    paused: Collection[str] = (),
) -> DeliveryRow | None:
    """Takes the delivery that is due longest: a waiting one, or one whose sender's lease has run out; None when there is none.

    `leave_out` names destinations that are busy, so that they delay no other; `paused` those that are known to be down, which
    get only what a person has just asked to send again: a first attempt that has an earlier one's answer. A look at what has
    come of a storage commitment is no new attempt and asks nothing of the destination.
    """
    others = f"AND destination NOT IN ({_marks(leave_out)}) " if leave_out else ""
    if paused:
        others += f"AND (destination NOT IN ({_marks(paused)}) OR (attempt = 0 AND answer <> '') OR asked_at > 0) "
    skip = "" if records.on_sqlite else "FOR UPDATE SKIP LOCKED"
    due = "((state = {} AND not_before <= {}) OR (state = {} AND lease_until <= {}))"
    moment = (str(DeliveryState.PENDING), now, str(DeliveryState.SENDING), now)
    rows = await records.run(
        "UPDATE deliveries SET state = {}, worker = {}, lease_until = {}, "
        "attempt = attempt + CASE WHEN asked_at > 0 THEN 0 ELSE 1 END WHERE id = ("
        f"SELECT id FROM deliveries WHERE {due} {others}ORDER BY not_before, id LIMIT 1 {skip}) AND {due} RETURNING *",
        str(DeliveryState.SENDING),
        worker,
        now + lease_ms,
        *moment,
        *leave_out,
        *paused,
        *moment,
    )
    return _row(rows[0]) if rows else None


def _marks(names: Collection[str]) -> str:
    return ", ".join("{}" for _ in names)


async def renew(records: Records, row: DeliveryRow, *, now: int, lease_ms: int) -> None:
    """Keeps the lease of a sending that takes long; raises `DeliveryTaken`."""
    await _write(records, row, "lease_until = {}", now + lease_ms)


async def _write(records: Records, row: DeliveryRow, change: str, *values: str | int | None) -> None:
    """Changes a delivery where state, worker and attempt are still those of `row`; raises `DeliveryTaken`."""
    rows = await records.run(
        f"UPDATE deliveries SET {change} WHERE id = {{}} AND state = {{}} AND worker = {{}} AND attempt = {{}} RETURNING id",
        *values,
        row.id,
        str(row.state),
        row.worker,
        row.attempt,
    )
    if not rows:
        raise DeliveryTaken(delivery=row.id)


async def settle(records: Records, row: DeliveryRow, to: DeliveryState, *, answer: str, now: int, not_before: int = 0) -> None:
    """Writes how a sending ended, where state, worker and attempt still hold; joins the transaction that is open.

    `not_before` is when a delivery that goes back to PENDING is due again. Raises `IllegalMove` or `DeliveryTaken`.
    """
    check_delivery_move(row.state, to)
    await _write(
        records,
        row,
        "state = {}, answer = {}, worker = '', lease_until = 0, not_before = {}, sent_at = {}, asked_at = 0, "
        "transaction_uid = CASE WHEN commitment > 0 THEN '' ELSE transaction_uid END, "
        "commitment = CASE WHEN commitment > 0 THEN -1 ELSE commitment END",
        str(to),
        answer,
        not_before if to is DeliveryState.PENDING else row.not_before,
        now if to in SETTLED else None,
    )


async def send_again(records: Records, delivery: str, *, now: int) -> DeliveryRow:
    """Sets a delivery that has ended back to its first attempt; raises `Unknown`, `IllegalMove` or `DeliveryTaken`.

    Receivers get the same idempotency key and SOP Instance UID as before.
    """
    row = await get(delivery)
    check_delivery_move(row.state, DeliveryState.PENDING)
    if row.state in OPEN:
        raise DeliveryTaken(delivery=delivery)
    rows = await records.run(
        "UPDATE deliveries SET state = {}, attempt = 0, not_before = {}, sent_at = NULL, "
        "transaction_uid = '', asked_at = 0, commitment = -1, warned = {} "
        "WHERE id = {} AND state = {} RETURNING *",
        str(DeliveryState.PENDING),
        now,
        False,
        delivery,
        str(row.state),
    )
    if not rows:
        raise DeliveryTaken(delivery=delivery)
    return _row(rows[0])


async def will_ask(records: Records, row: DeliveryRow, transaction_uid: str) -> None:
    """Notes, before anything is sent, under which Transaction UID this attempt asks; raises `DeliveryTaken`."""
    await _write(records, row, "transaction_uid = {}, asked_at = 0, commitment = -1, warned = {}", transaction_uid, False)


async def wait_for_promise(records: Records, row: DeliveryRow, *, answer: str, warned: bool, now: int, until: int) -> None:
    """Lets a stored report wait for its commitment; due at `until`, or at once when the PACS was quicker than we.

    Joins the transaction that is open. Raises `IllegalMove` or `DeliveryTaken`.
    """
    check_delivery_move(row.state, DeliveryState.PENDING)
    await _write(
        records,
        row,
        "state = {}, answer = {}, worker = '', lease_until = 0, asked_at = {}, warned = {}, "
        "not_before = CASE WHEN commitment >= 0 THEN CAST({} AS BIGINT) ELSE CAST({} AS BIGINT) END",
        str(DeliveryState.PENDING),
        answer,
        now,
        warned,
        now,
        until,
    )


async def promised(records: Records, transaction_uid: str, instances: Mapping[str, int], *, now: int) -> bool:
    """Writes what a PACS says of a report it was asked to keep, once; false when nobody asked for it.

    The delivery is due at once. A row that is being sent keeps its state: `wait_for_promise` sees the answer.
    """
    row = await Delivery.select().where(Delivery.transaction_uid == transaction_uid).first().run() if transaction_uid else None
    reason = instances.get(row["sop_instance_uid"]) if row else None
    if row is None or reason is None:
        return False
    await records.run(
        "UPDATE deliveries SET commitment = {}, not_before = {} WHERE id = {} AND transaction_uid = {} AND commitment < 0",
        reason,
        now,
        row["id"],
        transaction_uid,
    )
    return True


async def get(delivery: str) -> DeliveryRow:
    """One delivery; raises `Unknown`."""
    row = await Delivery.select().where(Delivery.id == delivery).first().run()
    if row is None:
        raise Unknown(kind="delivery")
    return _row(row)


async def of_report(report: str) -> list[DeliveryRow]:
    """The deliveries of a report in order of destination."""
    return [_row(row) for row in await Delivery.select().where(Delivery.report == report).order_by(Delivery.destination).run()]


async def of_order(order: str) -> list[DeliveryRow]:
    """The deliveries of all reports of an order, oldest report first."""
    query = Delivery.select().where(Delivery.order == order).order_by(Delivery.report, Delivery.destination)
    return [_row(row) for row in await query.run()]


async def settlement(report: str) -> Settlement:
    """How many destinations have this report, and how many deliveries of it have failed."""
    states = [row.state for row in await of_report(report)]
    return Settlement(
        total=len(states),
        sent=sum(1 for state in states if state in SETTLED),
        failed=sum(1 for state in states if state is DeliveryState.FAILED),
    )


async def counts(records: Records) -> dict[str, int]:
    """State -> number of deliveries."""
    rows = await records.run("SELECT state, COUNT(*) AS n FROM deliveries GROUP BY state")
    return {str(row["state"]): int(row["n"]) for row in rows}
