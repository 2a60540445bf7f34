"""The queue: who goes first, what waits and how long, pause, processing mode, and studies that take workers along."""

import asyncio
from typing import Any

import msgspec
import pytest

from appliance import pipeline, settings, worker
from appliance.compute.local import OutOfMemory
from appliance.compute.section import ComputeSection
from appliance.house import House
from appliance.pipeline import open_order
from appliance.products import catalogue
from appliance.records import durations, events, identities, orders
from appliance.records.identities import PatientIdentity
from appliance.records.tables import Order, ProductRun, Study
from appliance.settings import Settings, SettingsRefused
from appliance.states import OrderState, RunState
from appliance.steps import Move, Work
from tests.unit.pipeline.conftest import NOW

STATES = (OrderState.QC, OrderState.QUEUED)


async def saved(house: House, **fields: Any) -> Settings:
    """Settings of processing, changed without the rules between sections."""
    loaded = await house.settings()
    wanted, changed = settings.patched(loaded.settings, {"compute": fields})
    await settings.save(house.keys, wanted, based_on=loaded.version, actor="a", now=NOW, changed=changed)
    return wanted


async def next_id(house: House, now: int = NOW + 100) -> str:
    row = await orders.claim(house.records, worker="w", states=STATES, now=now, lease_ms=1000)
    assert row is not None
    return row.id


# --- who goes first --------------------------------------------------------------------------------------------------


async def test_orders_of_urgent_senders_and_those_made_urgent_by_hand_go_first_and_groups_last(
    house: House, study: str
) -> None:
    """PRO-05: routine and urgent, by AE title or by hand; groups yield to single studies."""
    grouped = await open_order(house, study, actor="a", now=NOW)
    await Order.update({Order.group_name: "cohort"}).where(Order.id == grouped).run()
    routine = await open_order(house, study, actor="a", now=NOW + 1)
    by_hand = await open_order(house, study, actor="a", now=NOW + 2)
    await saved(house, urgent_callers=["STROKE_MR"])
    await Study.update({Study.sender: "STROKE_MR"}).where(Study.id == study).run()
    by_sender = await open_order(house, study, actor="a", now=NOW + 3)
    await pipeline.set_priority(house, by_hand, priority=pipeline.URGENT, actor="a", now=NOW + 4)
    assert [await next_id(house) for _ in range(4)] == [by_hand, by_sender, routine, grouped]
    (event,) = [one for one in await events.after(0, order=by_hand) if one.name == "priority-given"]
    assert event.event.text() == "Made urgent by a."


async def test_a_study_whose_description_holds_an_urgent_word_goes_first(house: House, study: str) -> None:
    """PRO-05: priority by tag."""
    identity = PatientIdentity(study_description="MR Schaedel, Notfall Stroke")
    await identities.put(house.keys, study, identity)
    assert (await orders.get(await open_order(house, study, actor="a", now=NOW))).priority == pipeline.ROUTINE
    await saved(house, urgent_descriptions=["notfall"])
    assert (await orders.get(await open_order(house, study, actor="a", now=NOW))).priority == pipeline.URGENT


async def test_an_order_that_has_ended_gets_no_other_priority(house: House, study: str) -> None:
    order = await open_order(house, study, actor="a", now=NOW)
    await pipeline.cancel(house, order, actor="a", now=NOW)
    with pytest.raises(pipeline.NotNow):
        await pipeline.set_priority(house, order, priority=5, actor="a", now=NOW)


# --- figures -----------------------------------------------------------------------------------------------------------


async def test_the_queue_says_what_waits_and_how_long_it_will_take_from_measured_stages(house: House, study: str) -> None:
    """PRO-05: queue metrics."""
    for _ in range(3):
        await open_order(house, study, actor="a", now=NOW)
    await pipeline.set_priority(house, (await orders.of_study(study))[0].id, priority=5, actor="a", now=NOW)
    await next_id(house, now=NOW)
    found = await durations.queue(house.records, workers=1, now=NOW)
    assert (found.waiting, found.urgent, found.running, found.expected_s) == (2, 0, 1, None), "nothing is measured yet"
    for stage, seconds in {"qc": 2.0, "qc-images": 3.0, "deidentify": 4.0, "product/dti": 60.0, "report": 1.0}.items():
        await durations.note(house.records, stage, seconds)
    assert (await durations.queue(house.records, workers=1, now=NOW)).expected_s == 210.0
    assert (await durations.queue(house.records, workers=2, now=NOW)).expected_s == 105.0
    await house.records.run("UPDATE orders SET state = 'PROCESSED' WHERE study = {}", study)
    assert (await durations.queue(house.records, workers=1, now=NOW)).expected_s == 3.0
    assert (await durations.queue(house.records, workers=1, now=NOW + 5000)).running == 0, "its lease has ended"


async def test_the_mean_of_a_stage_follows_what_is_measured_now(house: House) -> None:
    for _ in range(20):
        await durations.note(house.records, "qc", 10.0)
    assert (await durations.means(house.records))["qc"] == pytest.approx(10.0)
    for _ in range(20):
        await durations.note(house.records, "qc", 2.0)
    assert 2.0 <= (await durations.means(house.records))["qc"] < 2.2


# --- pause -------------------------------------------------------------------------------------------------------------


async def test_a_paused_appliance_starts_no_stage_and_goes_on_when_resumed(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def step(_work: Work) -> Move:
        return Move(OrderState.QUEUED)

    monkeypatch.setitem(pipeline.STEPS, OrderState.QC, step)
    order = await open_order(house, study, actor="a", now=NOW)
    hands = worker.Worker(house, clock=lambda: NOW)
    await pipeline.set_paused(house, True, actor="a", now=NOW)
    await pipeline.set_paused(house, True, actor="a", now=NOW)
    assert (await house.settings()).version == 1, "again is nothing"
    assert not await hands.work_once(asyncio.Event())
    assert (await orders.get(order)).state is OrderState.QC
    await pipeline.set_paused(house, False, actor="a", now=NOW)
    assert await hands.work_once(asyncio.Event())
    assert (await orders.get(order)).state is OrderState.QUEUED


# --- mode --------------------------------------------------------------------------------------------------------------


async def test_the_mode_stays_while_orders_are_open_and_the_refusal_says_which(house: House, study: str) -> None:
    """PRO-07: a change of mode is refused while orders are open, and says which."""
    order = await open_order(house, study, actor="a", now=NOW)
    wanted = msgspec.structs.replace(Settings(), compute=ComputeSection(mode="cloud"))
    with pytest.raises(SettingsRefused) as refused:
        await settings.save(house.keys, wanted, based_on=0, actor="a", now=NOW, changed=["compute.mode"])
    (problem,) = refused.value.problems
    assert problem.field == "compute.mode"
    assert order[-8:] in problem.message
    await pipeline.cancel(house, order, actor="a", now=NOW)
    with pytest.raises(SettingsRefused) as refused:
        await settings.save(house.keys, wanted, based_on=0, actor="a", now=NOW, changed=["compute.mode"])
    assert "open" not in refused.value.problems[0].message


async def test_a_product_that_cannot_run_in_this_mode_is_not_taken(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PRO-07: only products that can run in the mode are offered."""
    elsewhere = msgspec.structs.replace(catalogue()["dti"], runs_on=("cloud",))
    monkeypatch.setattr(pipeline, "catalogue", lambda home: {"dti": elsewhere})
    with pytest.raises(pipeline.ProductNotHere, match="mode local"):
        await open_order(house, study, actor="a", now=NOW, products=["dti"])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"scheduler": "tcp://10.0.0.7:8786"}, {"compute.scheduler"}),
        (
            {"scheduler": "tls://10.0.0.7:8786", "scheduler_ca": "/ca.pem"},
            {"compute.scheduler_certificate", "compute.scheduler_key"},
        ),
        ({"scheduler": "http://10.0.0.7"}, {"compute.scheduler"}),
    ],
)
def test_a_cluster_on_another_machine_is_reached_by_tls_only(fields: dict[str, str], wrong: set[str]) -> None:
    """PRO-06: whoever speaks with a scheduler can run programs there."""
    with pytest.raises(SettingsRefused) as refused:
        settings.patched(Settings(), {"compute": fields})
    assert {one.field for one in refused.value.problems} == wrong


# --- studies that take workers along -----------------------------------------------------------------------------------


async def test_a_study_that_took_ten_workers_along_is_put_aside(house: House, study: str) -> None:
    """Row 25 of the faults: a worker that the kernel ends counts nowhere but in its lease."""
    order = await open_order(house, study, actor="a", now=NOW)
    now = NOW
    for _ in range(worker.MOST_DEATHS):
        assert await orders.claim(house.records, worker="w", states=STATES, now=now, lease_ms=10) is not None
        now += 20
    assert (await orders.get(order)).failures == worker.MOST_DEATHS - 1
    assert await worker.Worker(house, clock=lambda: now).work_once(asyncio.Event())
    row = await orders.get(order)
    assert (row.state, row.code) == (OrderState.HELD, "took-workers-along")
    assert "10 workers" in row.detail


async def test_an_order_that_was_handed_back_has_not_failed(house: House, study: str) -> None:
    order = await open_order(house, study, actor="a", now=NOW)
    for _ in range(5):
        row = await orders.claim(house.records, worker="w", states=STATES, now=NOW, lease_ms=1000)
        assert row is not None
        await orders.give_up(house.records, row, now=NOW, not_before=0, failures=row.failures, detail="")
    assert (await orders.get(order)).failures == 0


async def test_a_product_that_crashes_to_the_end_takes_no_other_products_result_with_it(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PRO-02, PRO-04: with one finished run the order is reported, and the report names the other."""
    from appliance import analysis
    from appliance.deidentify import verifier
    from appliance.deidentify.passport import Passport

    async def product(work: Work, run: orders.RunRow, _released: object) -> None:
        if run.product == "crashes":
            raise OutOfMemory(stage="product", used_mb=900, allowed_mb=800)
        await analysis._settle_run(work, run, RunState.DONE, {"result": "{}"})

    passport = msgspec.json.encode(_a_passport(Passport)).decode()
    monkeypatch.setattr(analysis, "_run_product", product)
    monkeypatch.setattr(verifier, "release", lambda folder, passport: None)
    order = await open_order(house, study, actor="a", now=NOW)
    await house.records.run("UPDATE orders SET state = 'PROCESSING', passport = {} WHERE id = {}", passport, order)
    await orders.add_runs(
        [
            ProductRun(id=f"0000000{number}", order=order, product=name, state="PENDING")
            for number, name in enumerate(("crashes", "works"))
        ]
    )
    hands = worker.Worker(house, clock=lambda: NOW + 60_000)
    for _ in range(3):
        await house.records.run("UPDATE orders SET not_before = 0 WHERE id = {}", order)
        assert await hands.work_once(asyncio.Event())
    assert (await orders.get(order)).state is OrderState.PROCESSED
    runs = {run.product: (run.state, run.code) for run in await orders.runs(order)}
    assert runs == {"crashes": (RunState.FAILED, "out-of-memory"), "works": (RunState.DONE, "")}


def _a_passport(kind: type[Any]) -> Any:
    """A passport with every field empty: the release is not what this is about."""
    hints = msgspec.structs.fields(kind)
    plain = {one.name: _empty(one.type) for one in hints if one.required}
    return msgspec.convert(plain, kind)


def _empty(kind: Any) -> Any:
    text = str(kind)
    if "dict" in text:
        return {}
    if "list" in text or "tuple" in text:
        return []
    return {"int": 0, "bool": True, "float": 0.0}.get(getattr(kind, "__name__", ""), "")
