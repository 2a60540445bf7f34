"""The queue: who goes first, what waits and how long, pause, processing mode, and studies that take workers along."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance import extras, pipeline, settings, worker
from appliance.compute.dask import NoClusterWorker
from appliance.compute.local import OutOfMemory
from appliance.compute.section import ComputeSection
from appliance.house import House
from appliance.pipeline import open_order
from appliance.products import catalogue
from appliance.products.section import ProductsSection
from appliance.receive.header import EXPLICIT_LITTLE
from appliance.receive.part10 import Origin, prefix
from appliance.records import durations, events, identities, orders, studies
from appliance.records.engine import Records
from appliance.records.identities import PatientIdentity
from appliance.records.tables import Instance, Order, ProductRun, Study
from appliance.settings import Settings, SettingsRefused
from appliance.states import OrderState, RunState
from appliance.steps import Move, Work
from tests.unit.pipeline.conftest import NOW
from tests.unit.receive.test_header import a_dataset, encoded

STATES = (OrderState.QC, OrderState.QUEUED)


async def saved(house: House, **fields: Any) -> Settings:
    """Settings of processing, changed without the rules between sections."""
    loaded = await house.settings()
    wanted, changed = settings.patched(loaded.settings, {"compute": fields})
    await settings.save(house.keys, wanted, based_on=loaded.version, actor="a", now=NOW, changed=changed)
    return wanted


async def change(house: House, sections: dict[str, dict[str, Any]]) -> None:
    """Settings without the rules about installed products."""
    loaded = await house.settings()
    wanted, changed = settings.patched(loaded.settings, sections)
    await settings.save(house.keys, wanted, based_on=loaded.version, actor="a", now=NOW, changed=changed)


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


@pytest.mark.parametrize(("word", "priority"), [("STAT", 5), ("high ", 5), ("ROUTINE", 0), ("LOW", 0), ("", 0)])
async def test_a_study_whose_images_say_that_they_are_urgent_goes_first(
    house: House, study: str, word: str, priority: int
) -> None:
    """PRO-05: priority by Requested Procedure Priority (0040,1003), unless the site does not want that."""
    await an_instance(house, study, word)
    order = await open_order(house, study, actor="a", now=NOW)
    assert (await orders.get(order)).priority == priority
    await saved(house, urgent_tag=False)
    order = await open_order(house, study, actor="a", now=NOW)
    assert (await orders.get(order)).priority == pipeline.ROUTINE


async def an_instance(house: House, study: str, priority: str) -> None:
    """One filed instance whose head is longer than what is read first."""
    dataset = a_dataset()
    dataset.RequestedProcedurePriority = priority
    dataset.add_new(0x00291010, "OB", bytes(300_000))
    origin = Origin(sop_class="1.2.840.10008.5.1.4.1.1.4", sop_instance="1.2.3.4", transfer_syntax=EXPLICIT_LITTLE)
    path = house.storage.root / "studies" / "a.dcm"
    path.write_bytes(prefix(origin) + encoded(dataset, EXPLICIT_LITTLE))
    row = Instance(
        id="i", study=study, series="s", version=1, sop_key="k", content_hash="h", path=house.storage.relative(path), bytes=1
    )
    await Instance.insert(row).run()


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
    assert (await settings.save(house.keys, wanted, based_on=0, actor="a", now=NOW, changed=["compute.mode"])).version == 1


async def test_a_mode_in_which_a_default_product_cannot_run_is_refused_and_says_which_can(house: House) -> None:
    """PRO-07: only products that can run in the mode are offered."""
    cloud = msgspec.structs.replace(Settings(), compute=ComputeSection(mode="cloud"))
    with pytest.raises(SettingsRefused) as refused:
        await house.save(cloud, based_on=0, actor="a", now=NOW, changed=["compute.mode"])
    (problem,) = refused.value.problems
    assert problem.field == "products.default_products"
    assert problem.message == "dti does not run in processing mode cloud; those that do: none"
    a_cloud_product(house)
    both = msgspec.structs.replace(cloud, products=ProductsSection(default_products=("elsewhere",)))
    assert (await house.save(both, based_on=0, actor="a", now=NOW, changed=["compute.mode"])).version == 1


def a_cloud_product(house: House) -> None:
    folder = house.home / "products" / "elsewhere"
    folder.mkdir(parents=True)
    (folder / "manifest.toml").write_text(
        'id = "elsewhere"\nversion = "1"\ntitle = "Elsewhere"\nintended_use = "Test."\nruns_on = ["cloud"]\n'
    )


async def test_an_order_for_the_cloud_is_never_computed_here_instead(house: House, study: str) -> None:
    """PRO-07: without a connection it is held, and says why."""
    a_cloud_product(house)
    await change(house, {"compute": {"mode": "cloud"}, "products": {"default_products": ["elsewhere"]}})
    order = await open_order(house, study, actor="a", now=NOW)
    await house.records.run("UPDATE orders SET state = 'DEIDENTIFIED' WHERE id = {}", order)
    assert await worker.Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    row = await orders.get(order)
    assert (row.state, row.code) == (OrderState.HELD, "mode-not-connected")
    assert await orders.runs(order) == []


async def test_a_study_for_which_no_order_can_be_opened_says_so_once_and_goes_on_when_the_settings_fit(
    house: House, study: str
) -> None:
    """PRO-07: a product that went away, or a mode that it cannot run in, is told and blocks no other study."""
    await change(house, {"products": {"default_products": ["gone"]}})
    for tick in range(3):
        assert await pipeline.open_due_orders(house, now=NOW + tick) == []
    (event,) = [one for one in await events.after(0, study=study) if one.name == "order-not-opened"]
    assert event.event.text() == "No order was opened (product-not-installed): No product gone is installed."
    assert (await studies.get(study)).reason == "product-not-installed"
    await change(house, {"products": {"default_products": ["dti"]}})
    assert len(await pipeline.open_due_orders(house, now=NOW)) == 1
    assert (await studies.get(study)).reason == ""


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


# --- waiting for something that is away --------------------------------------------------------------------------------


async def test_an_order_that_waits_for_the_cluster_counts_no_attempt_and_says_so_once(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PRO-06: a cluster without a worker ends no order, however long it lasts."""
    away = [True]

    async def step(work: Work) -> Move:
        await work.say("product", 0.0, "in the queue of the cluster")
        if away[0]:
            raise NoClusterWorker(after=10.0, address="tls://c:1")
        await work.say("product", 0.5, "half")
        seen.append(await orders.get(order))
        return Move(OrderState.QUEUED)

    seen: list[orders.OrderRow] = []
    monkeypatch.setitem(pipeline.STEPS, OrderState.QC, step)
    order = await open_order(house, study, actor="a", now=NOW)
    now = NOW
    for _ in range(12):
        assert await worker.Worker(house, clock=iter([now] * 99).__next__).work_once(asyncio.Event())
        row = await orders.get(order)
        assert (row.state, row.code, row.failures, row.step) == (OrderState.QC, "cluster-without-worker", 0, "")
        assert row.detail == "The cluster at tls://c:1 has no worker."
        assert row.not_before == now + 10_000
        now += 10_000
    waits = [one for one in await events.after(0, order=order) if one.name == "order-waits"]
    assert [one.event.text() for one in waits] == [f"Order waits (cluster-without-worker): {row.detail}"]
    away[0] = False
    assert await worker.Worker(house, clock=lambda: now).work_once(asyncio.Event())
    assert [(one.code, one.detail, one.step) for one in seen] == [("", "", "half")]
    assert (await orders.get(order)).state is OrderState.QUEUED


async def test_a_failure_report_whose_worker_died_is_made_by_the_next(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PRO-05: what a stage says while it runs does not take away the mark that the report is due."""
    order = await open_order(house, study, actor="a", now=NOW)
    await house.records.run(
        "UPDATE orders SET state = 'FAILED', stage = {}, code = 'x', detail = 'y' WHERE id = {}",
        orders.FAILURE_REPORT_DUE,
        order,
    )
    row = await orders.claim(house.records, worker="w", states=STATES, now=NOW, lease_ms=10)
    assert row is not None
    await orders.show_progress(house.records, row, stage="report", step="pages", percent=10)
    again = await orders.claim(house.records, worker="v", states=STATES, now=NOW + 20, lease_ms=10)
    assert again is not None, "it is still due"
    await orders.give_up(house.records, again, now=NOW, not_before=0, failures=1, detail="crashed")
    row = await orders.get(order)
    assert (row.stage, row.code, row.detail) == (orders.FAILURE_REPORT_DUE, "x", "y")


async def test_the_settings_say_which_extra_the_installation_needs(house: House, tmp_path: Path) -> None:
    """PRO-06: what `init.sh` asks before it installs."""
    assert await extras.needed(tmp_path / "nowhere") == []
    settings.save_bootstrap(house.home, settings.Bootstrap(database=house.records.url))
    assert await extras.needed(house.home) == []
    async with Records(house.records.url):
        await saved(house, scheduler="tcp://127.0.0.1:8786")
    assert await extras.needed(house.home) == ["cluster"]


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
