"""Groups: one set of products, a report when they are complete, on schedule and on demand, sent to their destinations."""

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest

from appliance import cohort_reports, cohorts, pipeline
from appliance.delivery.section import Folder
from appliance.dispatch import Dispatcher
from appliance.groups import rules
from appliance.groups.section import GroupsSection
from appliance.house import House
from appliance.moments import new_id
from appliance.records import deliveries, events, groups, orders, reports, studies
from appliance.records.tables import Study
from appliance.reports.content import ProductSection, ReportContent, Row
from appliance.settings import Settings
from appliance.states import DeliveryState, StudyState
from tests.unit.pipeline.conftest import NOW

DAY = 86_400_000


async def saved(house: House, **sections: object) -> None:
    loaded = await house.settings()
    wanted = msgspec.structs.replace(loaded.settings, **sections)
    await house.save(wanted, based_on=loaded.version, actor="test", now=NOW, changed=list(sections))


async def a_study(house: House, number: int) -> str:
    identifier = new_id(NOW + number)
    row = Study(id=identifier, state=str(StudyState.STABLE), uid_key=f"{number:032}", first_at=NOW + number, last_at=NOW)
    await Study.insert(row).run()
    return identifier


async def a_member(house: House, number: int, group: str = "PARK-01", *, fa: float | None = 0.3) -> str:
    """A study of the group whose order is reported, or has failed; gives the order."""
    study = await a_study(house, number)
    await cohorts.put(house, study, group, actor="meyer", now=NOW)
    order = await pipeline.open_order(house, study, actor="meyer", now=NOW)
    if fa is None:
        await house.records.run("UPDATE orders SET state = 'FAILED', code = 'out-of-memory' WHERE id = {}", order)
        return order
    await a_report_of(house, study, order, fa)
    await house.records.run("UPDATE orders SET state = 'DELIVERED' WHERE id = {}", order)
    return order


async def a_report_of(house: House, study: str, order: str, fa: float) -> None:
    number = await reports.next_version(order, "report")
    section = ProductSection(product="dti", version="1.0.0", title="DTI", rows=[Row(name="fa_mean", label="FA", value=fa)])
    content = ReportContent(
        order=order, report=new_id(), version=number.version, study=study, study_version=1, made_at="2026-11-22T10:00:00.000Z",
        instances=3, qc_verdict="passed", sections=[section],
    )  # fmt: skip
    text = msgspec.json.encode(content).decode()
    await reports.add(content.report, order, "report", number, content=text, formats=["json"], folder="f", now=NOW)


async def told(house: House) -> list[str]:
    return [one.name for one in await events.after(0) if one.name.startswith("group-")]


async def made(house: House) -> list[groups.GroupReportRow]:
    return list(await groups.reports((await groups.get("PARK-01")).id))


def rows_of(house: House, row: groups.GroupReportRow) -> list[dict[str, str]]:
    file = house.storage.absolute(row.folder) / f"{row.stem}.csv"
    return list(csv.DictReader(io.StringIO(file.read_text())))


@pytest.fixture
async def group(house: House) -> str:
    """A group fixed to the products that are installed."""
    await cohorts.create(house, "PARK-01", ["dti"], actor="meyer", now=NOW)
    return "PARK-01"


async def test_all_studies_of_a_group_use_its_products(house: House, group: str) -> None:
    """GRP-01: refused with a reason otherwise."""
    first, other = await a_study(house, 1), await a_study(house, 2)
    await cohorts.put(house, first, group, actor="meyer", now=NOW)
    assert (await orders.get(await pipeline.open_order(house, first, actor="meyer", now=NOW))).products == "dti"
    with pytest.raises(rules.GroupProductsDiffer) as refused:
        await pipeline.open_order(house, first, actor="meyer", now=NOW, products=["dti-fw"])
    assert refused.value.what == "All studies of group PARK-01 use dti; this one uses dti-fw."
    await pipeline.open_order(house, other, actor="meyer", now=NOW, products=["dti", "dti-fw"])
    with pytest.raises(rules.GroupProductsDiffer):
        await cohorts.put(house, other, group, actor="meyer", now=NOW)
    assert [one.studies for one in await groups.lines(house.records)] == [1]
    await cohorts.put(house, first, "", actor="meyer", now=NOW)
    assert {one.group_name for one in await orders.of_study(first)} == {""}
    with pytest.raises(groups.GroupThere):
        await cohorts.create(house, group, [], actor="meyer", now=NOW)
    with pytest.raises(rules.BadGroupName):
        await cohorts.create(house, "../PARK", [], actor="meyer", now=NOW)


async def test_a_newer_version_of_a_product_asks_before_it_joins_the_table(house: House, group: str) -> None:
    """GRP-01: a group pins product versions."""
    study = await a_study(house, 1)
    await cohorts.put(house, study, group, actor="meyer", now=NOW)
    row = await groups.get(group)
    await groups.pin(house.records, row.id, "dti@0.0.1")
    assert await pipeline.open_due_orders(house, now=NOW) == []
    assert (await studies.get(study)).reason == "group-versions-differ"
    await cohorts.accept_versions(house, group)
    assert len(await pipeline.open_due_orders(house, now=NOW)) == 1
    assert (await studies.get(study)).reason == ""


async def test_received_studies_join_the_group_of_the_settings(house: House) -> None:
    """GRP-01: auto-assign; the group is made when there is none."""
    await saved(house, groups=GroupsSection(auto_assign="TRIAL"))
    study = await a_study(house, 1)
    (order,) = await pipeline.open_due_orders(house, now=NOW)
    assert ((await orders.get(order)).group_name, (await studies.get(study)).group_name) == ("TRIAL", "TRIAL")
    other = await a_study(house, 2)
    await pipeline.open_order(house, other, actor="meyer", now=NOW, products=["dti", "dti-fw"])
    assert (await studies.get(other)).group_name == "", "other products were asked for"


async def test_a_complete_group_makes_its_report_once_and_again_with_late_members(house: House, group: str) -> None:
    """GRP-02: on completion; additional studies make a new report that has them."""
    await a_member(house, 1)
    await a_member(house, 2, fa=None)
    late = await a_study(house, 3)
    await cohorts.put(house, late, group, actor="meyer", now=NOW)
    await cohorts.tend(house, NOW)
    assert await made(house) == [], "one member has no order yet"
    await cohorts.put(house, late, "", actor="meyer", now=NOW)
    await cohorts.tend(house, NOW)
    await cohorts.tend(house, NOW + 1000)
    (first,) = await made(house)
    assert (first.version, first.members, first.done, first.failed, first.reason) == (1, 2, 1, 1, "completed")
    assert first.stem == "PARK-01_prediction-indexes_2027-01-15"
    assert await told(house) == ["group-completed", "group-report-made"]
    assert [row["dti.fa_mean"] for row in rows_of(house, first)] == ["0.3", ""]
    order = await a_member(house, 4, fa=0.4)
    await cohorts.tend(house, NOW + 2000)
    second = (await made(house))[0]
    assert (second.version, second.members, second.stem) == (2, 3, "PARK-01_prediction-indexes_2027-01-15_v2")
    assert rows_of(house, first) != rows_of(house, second)
    await a_report_of(house, (await orders.get(order)).study, order, 0.41)
    await cohorts.tend(house, NOW + 3000)
    assert [row["dti.fa_mean"] for row in rows_of(house, (await made(house))[0])] == ["0.3", "", "0.41"]
    assert await deliveries.counts(house.records) == {}, "sending when complete is off by default"


async def test_two_processes_make_one_report(house: House, group: str) -> None:
    """One runner in a cluster: the second finds the mark moved and throws its draft away."""
    await a_member(house, 1)
    row = await groups.get(group)

    async def late() -> bool:
        return await groups.claim_completed(house.records, row, "k")

    await groups.claim_completed(house.records, row, "another process was faster")
    with pytest.raises(cohort_reports.Overtaken):
        await cohort_reports.make(house, row, reason="completed", now=NOW, send=True, claim=late)
    assert await made(house) == []
    assert list((house.storage.root / "groups" / row.id).iterdir()) == []


async def test_a_schedule_is_heeded_once_for_each_moment_and_a_missed_one_is_made_up_for(house: House, group: str) -> None:
    """GRP-02: on a schedule, a weekday picker or cron. NOW is a Friday, 08:00 UTC."""
    await saved(house, groups=GroupsSection(schedule="0 6 * * 1,5"))
    await cohorts.tend(house, NOW)
    heeded = [(await groups.get(group)).scheduled_at]
    assert heeded == [NOW], "a new schedule begins now and not this morning"
    for after_days in (0.5, 2.95, 2.96):
        await cohorts.tend(house, NOW + round(after_days * DAY))
        heeded.append((await groups.get(group)).scheduled_at)
    assert heeded == [NOW, NOW, NOW + round(2.95 * DAY), NOW + round(2.95 * DAY)], "Monday at six, seen at 06:48"
    await a_member(house, 1)
    await cohorts.tend(house, NOW + round(6.95 * DAY))
    assert [one.reason for one in await made(house)] == ["scheduled", "completed"]


async def test_a_groups_report_goes_to_its_destinations_and_is_told(house: House, group: str, tmp_path: Path) -> None:
    """GRP-02: delivery; NOT-01: group completed, group report sent and failed. One success for each destination (RES-04)."""
    there = tmp_path / "share"
    there.mkdir()
    delivery = msgspec.structs.replace(
        Settings().delivery,
        group_destinations=(
            Folder(name="Share", folder=str(there), formats=("csv", "pdf")),
            Folder(name="Gone", folder=str(tmp_path / "nowhere"), formats=("csv",)),
        ),
        attempts=1,
        first_wait_s=0,
    )
    await saved(house, groups=GroupsSection(send_on_completion=True), delivery=delivery)
    await a_member(house, 1)
    await cohorts.tend(house, NOW)
    dispatcher = Dispatcher(house, "worker", clock=lambda: NOW)
    while await dispatcher.deliver_once():
        pass
    (row,) = await made(house)
    states = {one.destination: one.state for one in await deliveries.of_report(row.id)}
    assert states == {"Share": DeliveryState.SENT, "Gone": DeliveryState.FAILED}
    assert sorted(one.name for one in there.iterdir()) == [f"{row.stem}.csv", f"{row.stem}.pdf"]
    assert sorted((await told(house))[2:]) == ["group-report-failed", "group-report-sent"]
    again = next(one for one in await deliveries.of_report(row.id) if one.destination == "Share")
    await pipeline.resend(house, again.id, actor="meyer", now=NOW)
    while await dispatcher.deliver_once():
        pass
    assert len(list(there.iterdir())) == 2


async def test_a_report_on_demand_has_its_schema_and_an_empty_group_has_none(house: House, group: str) -> None:
    with pytest.raises(cohort_reports.NobodyThere):
        await cohorts.report(house, group, now=NOW, send=False)
    await a_member(house, 1)
    row = await cohorts.report(house, group, now=NOW, send=False)
    schema = json.loads((house.storage.absolute(row.folder) / f"{row.stem}.schema.json").read_text())
    assert (schema["group"], schema["products"]) == ("PARK-01", rules.unpinned((await groups.get(group)).products))
    with pytest.raises(groups.GroupNotEmpty):
        await groups.remove(house.records, await groups.get(group))
