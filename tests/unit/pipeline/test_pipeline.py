"""Orders: claim, lease, fence, move, cancel, retry; on SQLite and PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from appliance import pipeline, worker
from appliance.compute.local import StageCancelled, StageDied, StageEnded, StageError
from appliance.errors import NeedsPerson
from appliance.house import House
from appliance.pipeline import advance, open_order
from appliance.records import events, orders
from appliance.records.orders import LeaseLost
from appliance.records.tables import Order, Study
from appliance.states import ORDER_FACTS, IllegalMove, OrderState, StudyState
from appliance.steps import Move, Work
from appliance.support import BUNDLE
from tests.unit.pipeline.conftest import NOW

Step = Callable[[Work], Awaitable[Move]]
ACTIVE = (OrderState.QC, OrderState.QUEUED, OrderState.DEIDENTIFIED, OrderState.PROCESSING, OrderState.PROCESSED)


async def claimed(house: House, name: str = "w1", now: int = NOW) -> orders.OrderRow:
    row = await orders.claim(house.records, worker=name, states=ACTIVE, now=now, lease_ms=1000)
    assert row is not None
    return row


async def test_an_order_is_opened_once_for_one_idempotency_key(house: House, study: str) -> None:
    async def opening() -> str:
        return await open_order(house, study, actor="a", now=NOW, idempotency_key="k")

    opened = await asyncio.gather(*(opening() for _ in range(8)))
    assert len(set(opened)) == 1
    assert await Order.count().run() == 1


async def test_an_order_needs_a_stable_study_and_an_installed_product(house: House, study: str) -> None:
    with pytest.raises(pipeline.ProductUnknown):
        await open_order(house, study, actor="a", now=NOW, products=["no-such"])
    await Study.update({Study.state: str(StudyState.RECEIVING)}).where(Study.id == study).run()
    with pytest.raises(pipeline.StudyNotReady):
        await open_order(house, study, actor="a", now=NOW)


async def test_two_workers_never_hold_the_same_order(house: House, study: str) -> None:
    for _ in range(12):
        await open_order(house, study, actor="a", now=NOW)

    async def take(name: str) -> list[str]:
        taken = []
        while row := await orders.claim(house.records, worker=name, states=ACTIVE, now=NOW, lease_ms=1000):
            taken.append(row.id)
        return taken

    found = await asyncio.gather(*(take(f"w{number}") for number in range(4)))
    everything = [order for taken in found for order in taken]
    assert sorted(everything) == sorted(set(everything))
    assert len(everything) == 12


async def test_urgent_orders_go_first_then_the_oldest(house: House, study: str) -> None:
    first = await open_order(house, study, actor="a", now=NOW)
    await open_order(house, study, actor="a", now=NOW + 1)
    urgent = await open_order(house, study, actor="a", now=NOW + 2, priority=5)
    assert [(await claimed(house, now=NOW + 3)).id for _ in range(2)] == [urgent, first]


async def test_a_worker_that_lost_its_lease_writes_nothing(house: House, study: str) -> None:
    await open_order(house, study, actor="a", now=NOW)
    late = await claimed(house, "w1", NOW)
    new = await claimed(house, "w2", NOW + 2000)
    assert new.id == late.id
    seq = await events.newest_seq()
    with pytest.raises(LeaseLost):
        await advance(house, late, Move(OrderState.QUEUED), now=NOW + 2001)
    with pytest.raises(LeaseLost):
        await orders.renew(house.records, late, now=NOW + 2001, lease_ms=1000)
    assert await events.newest_seq() == seq, "the move and its event are one transaction"
    await advance(house, new, Move(OrderState.QUEUED), now=NOW + 2002)
    assert (await orders.get(new.id)).state is OrderState.QUEUED


async def test_a_move_that_the_table_does_not_know_is_refused(house: House, study: str) -> None:
    await open_order(house, study, actor="a", now=NOW)
    row = await claimed(house)
    with pytest.raises(IllegalMove):
        await advance(house, row, Move(OrderState.DELIVERED), now=NOW)


async def test_every_step_of_the_table_serves_a_state_that_is_not_at_rest() -> None:
    resting = {state for state, facts in ORDER_FACTS.items() if facts.terminal or facts.needs_person}
    assert set(pipeline.STEPS) & resting == {OrderState.FAILED}, "FAILED only until its failure report is made"


def step_that(monkeypatch: pytest.MonkeyPatch, step: Step) -> None:
    monkeypatch.setitem(pipeline.STEPS, OrderState.QC, step)


async def test_a_stage_that_dies_is_tried_again_and_its_study_put_aside_after_the_attempts_of_the_setting(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PRO-04, row 25 of the faults: bounded attempts, then quarantine with a support bundle."""

    async def dying(_work: Work) -> Move:
        raise StageDied(after=0, stage="qc", how="signal SIGKILL")

    step_that(monkeypatch, dying)
    order = await open_order(house, study, actor="a", now=NOW)
    hands = worker.Worker(house, clock=lambda: NOW)
    for attempt in (1, 2):
        assert await hands.work_once(asyncio.Event())
        row = await orders.get(order)
        assert (row.state, row.failures, row.worker) == (OrderState.QC, attempt, "")
    assert await hands.work_once(asyncio.Event())
    row = await orders.get(order)
    assert (row.state, row.code) == (OrderState.HELD, "poison-study")
    assert "SIGKILL" in row.detail
    assert (house.storage.quarantine(order) / BUNDLE).is_file()
    assert [one.name for one in await events.after(0, order=order)].count("stage-retried") == 2


@pytest.mark.parametrize(
    ("kind", "state"),
    [("failed", OrderState.FAILED), ("needs-person", OrderState.HELD), ("misconfigured", OrderState.HELD)],
)
async def test_the_error_of_a_stage_decides_the_state(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch, kind: str, state: OrderState
) -> None:
    async def ending(_work: Work) -> Move:
        raise StageEnded(StageError(kind=kind, code="some-code", what="It is so."))

    step_that(monkeypatch, ending)
    order = await open_order(house, study, actor="a", now=NOW)
    assert await worker.Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    row = await orders.get(order)
    assert (row.state, row.code, row.detail) == (state, "some-code", "It is so.")


async def test_an_order_that_needs_a_person_can_be_retried_and_a_delivered_one_cannot(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def holding(_work: Work) -> Move:
        raise NeedsPerson()

    step_that(monkeypatch, holding)
    order = await open_order(house, study, actor="a", now=NOW)
    await worker.Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    await pipeline.retry(house, order, actor="a", now=NOW)
    assert (await orders.get(order)).state is OrderState.QC
    await house.records.run("UPDATE orders SET state = 'DELIVERED' WHERE id = {}", order)
    with pytest.raises(pipeline.NotNow):
        await pipeline.retry(house, order, actor="a", now=NOW)
    with pytest.raises(pipeline.NotNow):
        await pipeline.cancel(house, order, actor="a", now=NOW)


async def test_a_waiting_order_is_cancelled_at_once_and_one_in_hand_by_its_worker(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await open_order(house, study, actor="a", now=NOW)
    await pipeline.cancel(house, waiting, actor="a", now=NOW)
    assert (await orders.get(waiting)).state is OrderState.CANCELLED

    begun = asyncio.Event()

    async def long(work: Work) -> Move:
        begun.set()
        await work.stop.wait()
        raise StageCancelled()

    step_that(monkeypatch, long)
    running = await open_order(house, study, actor="a", now=NOW)
    working = asyncio.create_task(worker.Worker(house, lease_ms=300).work_once(asyncio.Event()))
    await asyncio.wait_for(begun.wait(), 20)
    await pipeline.cancel(house, running, actor="a", now=NOW)
    await asyncio.wait_for(working, 20)
    assert (await orders.get(running)).state is OrderState.CANCELLED


async def test_a_worker_that_is_asked_to_end_hands_its_order_back(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def long(work: Work) -> Move:
        begun.set()
        await work.stop.wait()
        raise StageCancelled()

    step_that(monkeypatch, long)
    order = await open_order(house, study, actor="a", now=NOW)
    stop = asyncio.Event()
    working = asyncio.create_task(worker.Worker(house).work_once(stop))
    await asyncio.wait_for(begun.wait(), 20)
    stop.set()
    await asyncio.wait_for(working, 20)
    row = await orders.get(order)
    assert (row.state, row.worker, row.failures) == (OrderState.QC, "", 0)


async def test_dead_workers_of_this_machine_are_known_and_living_ones_are_left(house: House, study: str) -> None:
    living = worker.worker_name()
    assert not worker.is_dead(living)
    host, pid, _, tail = living.split(":")
    dead = f"{host}:{pid}:1:{tail}"
    assert worker.is_dead(dead)
    assert not worker.is_dead(f"elsewhere:{pid}:1:{tail}"), "another machine's workers are judged by their lease alone"
    await open_order(house, study, actor="a", now=NOW)
    row = await claimed(house, dead)
    await orders.free_leases(house.records, [name for name in await orders.leaseholders(house.records) if worker.is_dead(name)])
    assert (await claimed(house, living)).id == row.id


async def test_bypass_needs_a_reason_and_a_failed_qc(house: House, study: str) -> None:
    order = await open_order(house, study, actor="a", now=NOW)
    with pytest.raises(pipeline.NotNow):
        await pipeline.bypass(house, order, actor="a", reason="because I say so", now=NOW)
    await house.records.run("UPDATE orders SET state = 'QC_FAILED' WHERE id = {}", order)
    with pytest.raises(pipeline.ReasonMissing):
        await pipeline.bypass(house, order, actor="a", reason=" x ", now=NOW)
    await pipeline.bypass(house, order, actor="a", reason="because I say so", now=NOW)
    row = await orders.get(order)
    assert (row.state, row.bypass_by, row.bypass_reason) == (OrderState.QUEUED, "a", "because I say so")


@pytest.mark.parametrize(("age", "sex"), [("abc", ""), ("", "X"), ("", ""), ("1234", "M"), ("-1", "")])
async def test_metadata_that_make_no_sense_are_refused(house: House, study: str, age: str, sex: str) -> None:
    order = await open_order(house, study, actor="a", now=NOW)
    await house.records.run("UPDATE orders SET state = 'QC_FAILED' WHERE id = {}", order)
    with pytest.raises(pipeline.MetadataRefused):
        await pipeline.give_metadata(house, order, actor="a", now=NOW, age=age, sex=sex)


async def test_given_metadata_send_the_order_to_qc_with_their_origin(house: House, study: str) -> None:
    order = await open_order(house, study, actor="a", now=NOW)
    await house.records.run("UPDATE orders SET state = 'QC_FAILED' WHERE id = {}", order)
    await pipeline.give_metadata(house, order, actor="a", now=NOW, age="63", sex="female")
    row = await orders.get(order)
    assert row.state is OrderState.QC
    assert '"origin":"form"' in row.metadata


async def test_studies_that_became_stable_get_one_order_and_new_versions_as_the_setting_says(house: House, study: str) -> None:
    assert len(await pipeline.open_due_orders(house, now=NOW)) == 1
    assert await pipeline.open_due_orders(house, now=NOW) == []
    await Study.update({Study.version: 2}).where(Study.id == study).run()
    assert await pipeline.open_due_orders(house, now=NOW) == [], "late instances: ask is the default"
