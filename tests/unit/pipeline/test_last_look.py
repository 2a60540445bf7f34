"""On every way on which something leaves without the identity, a finding stops it in a state that a person must look at."""

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from appliance import cohort_reports, cohorts, notices, pipeline, support
from appliance.deidentify.last_look import storable
from appliance.deidentify.search import Wanted
from appliance.delivery.section import Email, Folder, Hl7, Rest
from appliance.dispatch import Dispatcher
from appliance.events import StudyStable
from appliance.house import House, open_house
from appliance.records import deliveries, events, identities, orders, reports
from appliance.records import notices as notice_rows
from appliance.records.identities import PatientIdentity
from appliance.records.orders import FAILURE_REPORT_DUE
from appliance.sought import ReasonNamesPatient
from appliance.states import DELIVERY_FACTS, ORDER_FACTS, DeliveryState, OrderState
from appliance.worker import Worker
from tests.servers import HOST
from tests.unit.delivery.parcels import an_endpoint
from tests.unit.pipeline.conftest import NOW
from tests.unit.pipeline.test_cohorts import a_member, a_report_of, saved
from tests.unit.pipeline.test_notices import failed, recorded, set_to, to_a_webhook

WHO = PatientIdentity(patient_name="Wolkenstein^Cassiopeia", patient_id="PX-88-4417", birth_date="19440229")
TOKENS = ("Wolkenstein", "Cassiopeia", "PX-88-4417", "19440229")


@pytest.fixture
async def house(new_home: Path) -> AsyncIterator[House]:
    """One engine is enough: what these tests are about is read and written by queries that others run on both."""
    async with open_house(new_home, create=True) as found:
        yield found


async def known(house: House, study: str) -> None:
    """Whose study it is, and what its de-identification looked for."""
    wanted = Wanted(dates={WHO.birth_date})
    wanted.name(WHO.patient_name)
    await identities.put(house.keys, study, WHO)
    await identities.put_sought(house.keys, study, storable(wanted))


async def an_order(house: House, study: str, state: OrderState, **columns: object) -> str:
    await known(house, study)
    order = await pipeline.open_order(house, study, actor="meyer", now=NOW)
    await house.records.run("DELETE FROM product_runs WHERE order_id = {}", order)
    for name, value in {"state": str(state), **columns}.items():
        await house.records.run(f"UPDATE orders SET {name} = {{}} WHERE id = {{}}", value, order)
    return order


def with_caveat(content: str, caveat: str) -> str:
    told = json.loads(content)
    return json.dumps({**told, "caveats": [*told["caveats"], caveat]})


def named_in(text: str) -> list[str]:
    return [token for token in TOKENS if token.lower() in text.lower()]


@pytest.mark.parametrize(
    ("reason", "state"),
    [("Mrs Wolkenstein cannot come again", OrderState.HELD), ("the scan cannot be repeated", OrderState.DELIVERED)],
)
async def test_a_report_with_a_name_in_it_is_held_and_nothing_of_it_is_kept(
    house: House, study: str, reason: str, state: OrderState
) -> None:
    """DEID-09, DEID-11: no format of a report exists before it was looked through."""
    order = await an_order(house, study, OrderState.PROCESSED, bypass_by="meyer", bypass_reason=reason)
    assert await Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    row = await orders.get(order)
    assert row.state is state, row.detail
    folder = house.storage.reports(row.study, row.study_version, row.id)
    if state is OrderState.HELD:
        assert (row.code, ORDER_FACTS[row.state].needs_person) == ("identity-found", True)
        assert "identity: name" in row.detail and not named_in(row.detail)
        assert await reports.of_order(order) == [] and not list(folder.rglob("*.*"))
    else:
        (made,) = await reports.of_order(order)
        assert set(msgspec.json.decode(made.searched)) == set(made.format_list)


async def test_a_failure_report_with_a_name_in_it_is_not_made_and_the_order_says_so(house: House, study: str) -> None:
    columns = {"code": "some-code", "detail": "No series of Wolkenstein.", "stage": FAILURE_REPORT_DUE}
    order = await an_order(house, study, OrderState.FAILED, **columns)
    assert await Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    row = await orders.get(order)
    assert (row.state, row.code) == (OrderState.FAILED, "some-code") and "identity: name" in row.detail
    assert await reports.of_order(order) == []


DESTINATIONS = [
    Folder(name="there", folder="", formats=("json",)),
    Hl7(name="there", host=HOST, port=1),
    pytest.param(
        Email(name="there", host=HOST, port=1, sender="a@b.example", recipients="c@d.example", formats=("json",)),
        marks=pytest.mark.long,
    ),
    pytest.param(Rest(name="there", url=f"http://{HOST}:1/", own_machine=True, formats=("json",)), marks=pytest.mark.long),
]


@pytest.mark.parametrize("section", DESTINATIONS, ids=lambda one: type(one).__name__)
async def test_a_file_that_changed_since_it_was_looked_through_is_looked_through_again(
    house: House, study: str, tmp_path: Path, section: Folder | Email | Rest | Hl7
) -> None:
    """DEID-09: the delivery fails before anything is said to the destination, and a person must look."""
    if isinstance(section, Folder):
        section = msgspec.structs.replace(section, folder=str(tmp_path))
    delivery = msgspec.structs.replace((await house.settings()).settings.delivery, destinations=(section,))
    await saved(house, delivery=delivery)
    order = await an_order(house, study, OrderState.PROCESSED)
    assert await Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    (report,) = await reports.of_order(order)
    content = with_caveat(report.content, "as Wolkenstein asked")
    await house.records.run("UPDATE reports SET content = {} WHERE id = {}", content, report.id)
    (house.storage.absolute(report.folder) / f"{order}_report.json").write_text(content)
    assert await Dispatcher(house, "worker", clock=lambda: NOW).deliver_once()
    (row,) = await deliveries.of_order(order)
    assert (row.state, DELIVERY_FACTS[row.state].needs_person) == (DeliveryState.FAILED, True)
    assert "identity: name" in row.answer and not named_in(row.answer)
    assert not list(tmp_path.glob("*_report.json")) and (await orders.get(order)).delivery_failed


async def test_where_the_identity_is_wanted_and_where_nothing_changed_nobody_looks_again(
    house: House, study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What leaves is, byte for byte, what was looked through when it was made."""
    section = Folder(name="there", folder=str(tmp_path), formats=("json", "pdf"))
    delivery = msgspec.structs.replace((await house.settings()).settings.delivery, destinations=(section,))
    await saved(house, delivery=delivery)
    order = await an_order(house, study, OrderState.PROCESSED)
    assert await Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    monkeypatch.setattr("appliance.parcels.run_stage", None)
    assert await Dispatcher(house, "worker", clock=lambda: NOW).deliver_once()
    (row,) = await deliveries.of_order(order)
    assert row.state is DeliveryState.SENT and len(list(tmp_path.glob("*_report.*"))) == 2


async def test_a_groups_report_with_a_name_in_it_is_withheld_and_told_once(house: House) -> None:
    """DEID-09: the values of all members together."""
    await cohorts.create(house, "PARK-01", ["dti"], actor="meyer", now=NOW)
    first, second = await a_member(house, 1), await a_member(house, 2)
    await known(house, (await orders.get(first)).study)
    (report,) = await reports.of_order(second)
    text = with_caveat(report.content, "compared with Wolkenstein")
    await house.records.run("UPDATE reports SET content = {} WHERE id = {}", text, report.id)
    for _ in range(2):
        await cohorts.tend(house, NOW)
    withheld = [one for one in await events.after(0) if one.name == "group-report-withheld"]
    assert len(withheld) == 1 and "identity: name" in withheld[0].event.text() and not named_in(withheld[0].event.text())
    with pytest.raises(cohort_reports.Withheld):
        await cohorts.report(house, "PARK-01", now=NOW, send=True)
    await a_report_of(house, (await orders.get(second)).study, second, 0.4)
    assert (await cohorts.report(house, "PARK-01", now=NOW, send=False)).done == 2


async def test_a_support_bundle_leaves_out_the_part_with_a_name_in_it(house: House, study: str) -> None:
    order = await an_order(house, study, OrderState.HELD)
    path = await support.write_bundle(
        house, (await house.settings()).settings, await orders.get(order), "Wolkenstein.dcm is broken", now=NOW
    )
    with zipfile.ZipFile(path) as bundle:
        parts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert json.loads(parts["order.json"]) == {"withheld": [{"place": "order.json, crash", "rule": "identity: name"}]}
    assert json.loads(parts["study.json"])["instances"] == 3
    assert not named_in("".join(parts.values()))


async def test_a_notice_with_a_name_in_it_is_not_sent(house: House, study: str) -> None:
    """DEID-09, NOT-02: recorded as failed; the names of a study that was never de-identified are known too."""
    await identities.put(house.keys, study, WHO)
    await notices.tend(house, NOW)
    with an_endpoint(200) as endpoint:
        await set_to(house, to_a_webhook(endpoint.port))
        await failed(house, study, "the age of PX-88-4417")
        await failed(house, study, "sex")
        await notices.tend(house, NOW)
        sent = [one["body"].decode() for one in endpoint.got]
    assert sorted(state for state, _ in await recorded()) in (["failed", "sent"], ["failed", "suppressed"])
    assert not named_in("".join(sent))
    (row,) = [one for one in (await notice_rows.page())[0] if one.state == "failed"]
    assert "identity: identifier" in row.reason and not named_in(row.reason)


async def test_a_person_who_types_the_patients_name_is_told_at_once(house: House, study: str) -> None:
    """DEID-09: the reason of a bypass is printed; better said before than found after."""
    await identities.put(house.keys, study, WHO)
    await events.append(StudyStable(study=study, version=1, instances=3), NOW)
    order = await pipeline.open_order(house, study, actor="meyer", now=NOW)
    await house.records.run("UPDATE orders SET state = 'QC_FAILED' WHERE id = {}", order)
    for reason in ("because Wolkenstein says so", "px 88 4417 is known", "born 29.02.1944, fits"):
        with pytest.raises(ReasonNamesPatient) as refused:
            await pipeline.bypass(house, order, actor="meyer", reason=reason, now=NOW)
        assert refused.value.facts["field"] == "reason"
    await pipeline.bypass(house, order, actor="meyer", reason="because I say so", now=NOW)
