"""What a report says before its numbers when people have decided something about the study (RES-01)."""

import asyncio

import msgspec
import pytest

from appliance import pipeline
from appliance.house import House
from appliance.qc.finding import Finding, QcReport, Verdict
from appliance.receive.stable import force_stable
from appliance.records import reports
from appliance.reports.content import ReportContent
from appliance.worker import Worker
from tests.unit.pipeline.conftest import NOW


async def caveats(house: House, study: str, qc: QcReport | None = None) -> list[str]:
    """Those of the report of a new order whose products have run; every format of it says the first."""
    order = await pipeline.open_order(house, study, actor="meyer", now=NOW)
    said = msgspec.json.encode(qc).decode() if qc else ""
    await house.records.run("UPDATE orders SET state = 'PROCESSED', qc_report = {} WHERE id = {}", said, order)
    assert await Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    row = await reports.newest(order, "report")
    assert row is not None
    found = msgspec.json.decode(row.content, type=ReportContent).caveats
    for one in found[:1]:
        for name in ("txt", "json", "xml", "csv", "fhir.json"):
            file = house.storage.absolute(row.folder) / f"{order}_report.{name}"
            assert one in " ".join(file.read_text().replace("\n!", "").split()), name
    return found


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
async def test_a_study_whose_wait_a_person_ended_says_so_in_its_report(house: House, study: str) -> None:
    """RES-01: a report made from a study that may be incomplete says so, in every format."""
    await house.records.run("UPDATE studies SET state = 'RECEIVING' WHERE id = {}", study)
    await force_stable(house.records, study, now=NOW)
    (told,) = await caveats(house, study)
    assert told.startswith("A person said that the study is complete before its quiet time had passed")


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("verdict", "found", "figure", "said"),
    [
        (Verdict.WARNING, "300 of 312 instances that PACS holds", 96.2, "The study is incomplete: "),
        (Verdict.WARNING, "PACS could not tell: no answer", None, "Whether the study is complete is not known: "),
        (Verdict.PASSED, "312 of 312 instances that PACS holds", 100.0, ""),
    ],
)
async def test_a_study_that_its_source_holds_more_of_says_so_in_its_report(
    house: House, study: str, verdict: Verdict, found: str, figure: float | None, said: str
) -> None:
    """RES-01: from an incomplete study, where missing instances are only warned of."""
    finding = Finding(
        check="completeness", title="Complete as at the source", verdict=verdict, found=found, expected="all", figure=figure
    )
    qc = QcReport(verdict=verdict, findings=[finding], inputs={}, metadata={})
    assert await caveats(house, study, qc) == ([f"{said}{found}."] if said else [])
