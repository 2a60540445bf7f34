"""Deliveries in the records, on both engines."""

import asyncio

import pytest

from appliance.errors import Unknown
from appliance.moments import new_id, uid_of
from appliance.records import deliveries
from appliance.records.deliveries import DeliveryRow, DeliveryTaken
from appliance.records.engine import Records
from appliance.states import DeliveryState, IllegalMove

NOW = 1_700_000_000_000
LEASE = 30_000
REPORT = new_id(NOW)
ORDER = new_id(NOW)


async def a_claim(records: Records, *, worker: str = "w1", now: int = NOW) -> DeliveryRow:
    row = await deliveries.claim(records, worker=worker, now=now, lease_ms=LEASE)
    assert row is not None
    return row


async def test_each_destination_of_a_report_gets_one_row_however_often_it_is_asked(records: Records) -> None:
    """RES-04: one row for each report and destination."""
    first = await deliveries.create(REPORT, ORDER, ["PACS", "HIS", "PACS"], NOW)
    again = await deliveries.create(REPORT, ORDER, ["HIS", "PACS", "Archive"], NOW + 5)
    assert [row.destination for row in first] == ["HIS", "PACS"]
    assert [row.destination for row in again] == ["Archive", "HIS", "PACS"]
    assert again[1:] == first
    assert {row.state for row in again} == {DeliveryState.PENDING}


async def test_two_workers_that_make_the_rows_at_once_make_them_once(records: Records) -> None:
    await asyncio.gather(*(deliveries.create(REPORT, ORDER, ["PACS", "HIS"], NOW) for _ in range(5)))
    assert len(await deliveries.of_report(REPORT)) == 2


async def test_key_and_uid_are_fixed_when_the_row_is_made(records: Records) -> None:
    """RES-04: the same idempotency key and SOP Instance UID at every attempt."""
    (row,) = await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    assert row.sop_instance_uid == uid_of(row.id)
    assert row.idempotency_key == row.id
    assert len(row.sop_instance_uid) <= 64
    claimed = await a_claim(records)
    await deliveries.settle(records, claimed, DeliveryState.FAILED, answer="no", now=NOW)
    again = await deliveries.send_again(records, row.id, now=NOW)
    assert (again.idempotency_key, again.sop_instance_uid) == (row.idempotency_key, row.sop_instance_uid)


def test_other_reports_and_destinations_have_other_identifiers() -> None:
    other = new_id(NOW)
    found = {deliveries.delivery_id(report, name) for report in (REPORT, other) for name in ("PACS", "HIS")}
    assert len(found) == 4
    assert all(one[14] == "7" for one in found)


async def test_a_due_delivery_is_claimed_once(records: Records) -> None:
    await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    found = await asyncio.gather(
        *(deliveries.claim(records, worker=f"w{number}", now=NOW, lease_ms=LEASE) for number in range(6))
    )
    (row,) = [one for one in found if one is not None]
    assert (row.state, row.attempt, row.lease_until) == (DeliveryState.SENDING, 1, NOW + LEASE)
    assert row.order == ORDER


async def test_nothing_is_claimed_before_it_is_due(records: Records) -> None:
    await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    claimed = await a_claim(records)
    await deliveries.settle(records, claimed, DeliveryState.PENDING, answer="HTTP 503", now=NOW, not_before=NOW + 100)
    assert await deliveries.claim(records, worker="w1", now=NOW + 99, lease_ms=LEASE) is None
    again = await a_claim(records, now=NOW + 100)
    assert (again.attempt, again.answer) == (2, "HTTP 503")


async def test_the_one_that_is_due_longest_goes_first_and_busy_destinations_are_left_out(records: Records) -> None:
    """RES-02: one dead destination delays no other."""
    late, early = new_id(NOW), new_id(NOW)
    await deliveries.create(late, ORDER, ["PACS"], NOW)
    await deliveries.create(early, ORDER, ["PACS", "HIS"], NOW - 5)
    left = await deliveries.claim(records, worker="w1", now=NOW, lease_ms=LEASE, leave_out=["PACS", "Archive"])
    assert left is not None
    assert (left.report, left.destination) == (early, "HIS")
    assert (await a_claim(records)).report == early
    assert (await a_claim(records)).report == late
    assert await deliveries.claim(records, worker="w1", now=NOW, lease_ms=LEASE) is None


async def test_a_sender_that_died_loses_its_lease_and_writes_nothing_more(records: Records) -> None:
    """RES-04: the fence of a dead worker."""
    await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    dead = await a_claim(records, worker="dead")
    assert await deliveries.claim(records, worker="w2", now=NOW + LEASE - 1, lease_ms=LEASE) is None
    heir = await a_claim(records, worker="w2", now=NOW + LEASE)
    assert (heir.id, heir.attempt) == (dead.id, 2)
    for stale in (
        deliveries.settle(records, dead, DeliveryState.SENT, answer="late", now=NOW),
        deliveries.renew(records, dead, now=NOW, lease_ms=LEASE),
    ):
        with pytest.raises(DeliveryTaken):
            await stale
    await deliveries.settle(records, heir, DeliveryState.SENT, answer="HTTP 201", now=NOW + LEASE + 1)
    row = await deliveries.get(dead.id)
    assert (row.state, row.answer, row.sent_at, row.worker) == (DeliveryState.SENT, "HTTP 201", NOW + LEASE + 1, "")


async def test_a_renewed_lease_holds(records: Records) -> None:
    await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    claimed = await a_claim(records)
    await deliveries.renew(records, claimed, now=NOW + 20_000, lease_ms=LEASE)
    assert await deliveries.claim(records, worker="w2", now=NOW + LEASE, lease_ms=LEASE) is None
    await deliveries.settle(records, claimed, DeliveryState.SENT_WITH_WARNING, answer="B000", now=NOW + LEASE)


async def test_what_has_ended_is_settled_once(records: Records) -> None:
    await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    claimed = await a_claim(records)
    await deliveries.settle(records, claimed, DeliveryState.SENT, answer="", now=NOW)
    with pytest.raises(DeliveryTaken):
        await deliveries.settle(records, claimed, DeliveryState.FAILED, answer="", now=NOW)
    with pytest.raises(IllegalMove):
        await deliveries.settle(records, await deliveries.get(claimed.id), DeliveryState.FAILED, answer="", now=NOW)


async def test_an_ended_delivery_can_be_sent_again_with_all_its_attempts(records: Records) -> None:
    """RES-02: manual re-send any time."""
    await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    for end in (DeliveryState.FAILED, DeliveryState.SENT, DeliveryState.SENT_WITH_WARNING):
        claimed = await a_claim(records)
        assert claimed.attempt == 1
        await deliveries.settle(records, claimed, end, answer="", now=NOW)
        again = await deliveries.send_again(records, claimed.id, now=NOW)
        assert (again.state, again.attempt, again.sent_at) == (DeliveryState.PENDING, 0, None)


async def test_a_delivery_under_way_is_not_started_a_second_time(records: Records) -> None:
    (row,) = await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    with pytest.raises(IllegalMove):
        await deliveries.send_again(records, row.id, now=NOW)
    await a_claim(records)
    with pytest.raises(DeliveryTaken):
        await deliveries.send_again(records, row.id, now=NOW)


async def test_the_settlement_of_a_report_counts_its_destinations(records: Records) -> None:
    nothing = await deliveries.settlement(REPORT)
    assert (nothing.complete, nothing.open) == (True, 0)
    await deliveries.create(REPORT, ORDER, ["PACS", "HIS", "Archive"], NOW)
    for end in (DeliveryState.SENT, DeliveryState.SENT_WITH_WARNING):
        await deliveries.settle(records, await a_claim(records), end, answer="", now=NOW)
    assert (await deliveries.settlement(REPORT)).open == 1
    await deliveries.settle(records, await a_claim(records), DeliveryState.FAILED, answer="", now=NOW)
    found = await deliveries.settlement(REPORT)
    assert (found.total, found.sent, found.failed, found.complete, found.open) == (3, 2, 1, False, 0)
    assert [row.destination for row in await deliveries.of_order(ORDER)] == ["Archive", "HIS", "PACS"]


async def test_a_rolled_back_settlement_leaves_the_delivery_in_hand(records: Records) -> None:
    await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    claimed = await a_claim(records)
    with pytest.raises(ZeroDivisionError):
        async with records.transaction():
            await deliveries.settle(records, claimed, DeliveryState.SENT, answer="", now=NOW)
            raise ZeroDivisionError
    assert (await deliveries.get(claimed.id)).state is DeliveryState.SENDING


async def test_an_unknown_delivery_is_unknown(records: Records) -> None:
    with pytest.raises(Unknown):
        await deliveries.get(new_id())


async def test_a_paused_destination_gets_only_what_a_person_sends_again(records: Records) -> None:
    """RES-02: manual re-send any time, also while a destination is left alone."""
    (row, _) = await deliveries.create(REPORT, ORDER, ["HIS", "PACS"], NOW)

    async def claimed(*paused: str) -> DeliveryRow | None:
        return await deliveries.claim(records, worker="w1", now=NOW, lease_ms=LEASE, paused=paused)

    assert await claimed("HIS", "PACS") is None
    mine = await claimed("PACS")
    assert mine is not None
    assert mine.id == row.id
    await deliveries.settle(records, mine, DeliveryState.FAILED, answer="HTTP 503", now=NOW)
    await deliveries.send_again(records, row.id, now=NOW)
    again = await claimed("HIS", "PACS")
    assert again is not None
    assert again.id == row.id


async def test_a_promise_is_taken_once_and_a_look_at_it_is_no_attempt(records: Records) -> None:
    """RES-08: an answer that comes before the wait is written is not lost; the retry forgets a refusal."""
    await deliveries.create(REPORT, ORDER, ["PACS"], NOW)
    row = await a_claim(records)
    uid = row.sop_instance_uid
    await deliveries.will_ask(records, row, "2.25.1")
    assert not await deliveries.promised(records, "", {uid: 0}, now=NOW)
    assert not await deliveries.promised(records, "2.25.2", {uid: 0}, now=NOW)
    assert not await deliveries.promised(records, "2.25.1", {"2.25.9": 0}, now=NOW)
    await deliveries.wait_for_promise(records, row, answer="stored", warned=True, now=NOW, until=NOW + 500)
    assert await deliveries.claim(records, worker="w1", now=NOW + 499, lease_ms=LEASE) is None
    assert await deliveries.promised(records, "2.25.1", {uid: 0x0112}, now=NOW + 5)
    assert await deliveries.promised(records, "2.25.1", {uid: 0}, now=NOW + 6)
    look = await a_claim(records, now=NOW + 6)
    assert (look.attempt, look.commitment, look.warned, look.asked_at) == (1, 0x0112, True, NOW)
    await deliveries.settle(records, look, DeliveryState.PENDING, answer="not kept", now=NOW + 6, not_before=NOW + 6)
    again = await a_claim(records, now=NOW + 6)
    assert (again.attempt, again.commitment, again.transaction_uid, again.asked_at) == (2, -1, "", 0)
    await deliveries.will_ask(records, again, "2.25.3")
    assert await deliveries.promised(records, "2.25.3", {uid: 0}, now=NOW + 7)
    await deliveries.wait_for_promise(records, again, answer="stored", warned=False, now=NOW + 8, until=NOW + 999)
    assert (await a_claim(records, worker="w2", now=NOW + 8)).commitment == 0
    with pytest.raises(DeliveryTaken):
        await deliveries.will_ask(records, again, "2.25.4")
