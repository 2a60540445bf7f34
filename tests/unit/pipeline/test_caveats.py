"""What a report says before its numbers when people have decided something about the study (RES-01)."""

import asyncio

import msgspec
import pytest

from appliance import pipeline
from appliance.house import House
from appliance.receive.stable import force_stable
from appliance.records import reports
from appliance.reports.content import ReportContent
from appliance.worker import Worker
from tests.unit.pipeline.conftest import NOW


async def caveats(house: House, study: str) -> list[str]:
    """Those of the report of a new order whose products have run."""
    order = await pipeline.open_order(house, study, actor="meyer", now=NOW)
    await house.records.run("UPDATE orders SET state = 'PROCESSED' WHERE id = {}", order)
    assert await Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    row = await reports.newest(order, "report")
    assert row is not None
    assert (house.storage.absolute(row.folder) / f"{order}_report.txt").read_text().count("instances may be missing") == 1
    return msgspec.json.decode(row.content, type=ReportContent).caveats


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
async def test_a_study_whose_wait_a_person_ended_says_so_in_its_report(house: House, study: str) -> None:
    """RES-01: a report made from a study that may be incomplete says so, in every format."""
    await house.records.run("UPDATE studies SET state = 'RECEIVING' WHERE id = {}", study)
    await force_stable(house.records, study, now=NOW)
    (told,) = await caveats(house, study)
    assert told.startswith("A person said that the study is complete before its quiet time had passed")
