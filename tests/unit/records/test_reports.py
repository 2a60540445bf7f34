"""Reports in the records, on both engines."""

import pytest

from appliance.errors import Unknown
from appliance.moments import new_id
from appliance.records import reports
from appliance.records.engine import Records

NOW = 1_700_000_000_000
ORDER = new_id(NOW)


async def add(kind: reports.Kind = "report", *, now: int = NOW, order: str = ORDER) -> reports.ReportRow:
    number = await reports.next_version(order, kind)
    return await reports.add(
        new_id(now), order, kind, number, content="{}", formats=["json", "pdf"], folder="studies/x/v1/reports/y", now=now
    )


async def test_a_corrected_report_has_the_next_version_and_names_what_it_supersedes(records: Records) -> None:
    """RES-01: corrected reports are `_report_v2`."""
    first, second = await add(), await add(now=NOW + 1)
    assert (first.version, first.supersedes) == (1, "")
    assert (second.version, second.supersedes) == (2, first.id)
    assert first.format_list == ["json", "pdf"]
    assert await reports.newest(ORDER) == second
    assert await reports.of_order(ORDER) == [second, first]


async def test_failure_reports_count_their_own_versions(records: Records) -> None:
    failure, report = await add("failure"), await add("report", now=NOW + 1)
    assert (failure.version, report.version, report.supersedes) == (1, 1, "")
    assert await reports.newest(ORDER, "failure") == failure
    assert await reports.newest(ORDER) == report
    assert await reports.next_version(ORDER, "failure") == reports.NextVersion(version=2, supersedes=failure.id)


async def test_one_version_is_stored_once(records: Records) -> None:
    await add()
    with pytest.raises(reports.ReportThere):
        await reports.add(new_id(), ORDER, "report", reports.NextVersion(), content="{}", formats=[], folder="", now=NOW)
    assert len(await reports.of_order(ORDER)) == 1


async def test_other_orders_have_nothing_to_do_with_it(records: Records) -> None:
    await add()
    assert await reports.newest(new_id()) is None
    with pytest.raises(Unknown):
        await reports.get(new_id())
