"""Retention: what is old goes with every trace, what somebody still needs stays, and the schedule shows what happened."""

import os
from pathlib import Path

import pytest

from appliance import retention, settings
from appliance.house import House
from appliance.moments import now_ms
from appliance.receive.stable import force_stable
from appliance.records import audit
from tests.api.conftest import a_report, an_order, file_phantom
from tests.api.test_deletion_traces import _everything_in_rows, _files_with, _words, house
from tests.phantoms import a_small_diffusion_study

__all__ = ["house"]
DAY = 86_400_000
LONG_AGO = 100 * DAY


async def _aged(house: House, study: str, state: str) -> str:
    """An order of a study that nothing has happened to for a hundred days."""
    await force_stable(house.records, study, now=now_ms())
    order = await an_order(house, study, state=state)
    then = now_ms() - LONG_AGO
    await house.records.run("UPDATE studies SET last_at = {}, state = 'STABLE' WHERE id = {}", then, study)
    await house.records.run("UPDATE orders SET updated_at = {} WHERE id = {}", then, order)
    return order


async def test_an_old_study_goes_with_every_trace_and_a_dry_run_leaves_all(house: House, tmp_path: Path) -> None:
    """NOT-04, on both engines: searched byte by byte; recorded in the audit, which itself stays."""
    phantom = a_small_diffusion_study(tmp_path / "phantom")
    study = await file_phantom(house, phantom)
    order = await _aged(house, study, "DELIVERED")
    await a_report(house, study, order)
    would = await retention.run(house, actor="test", now=now_ms(), dry_run=True)
    assert (would.studies, would.orders, would.files > 0) == ([study], 1, True)
    needles = [one.encode() for one in _words(phantom)]
    assert _files_with(house.home, needles), "a dry run deletes nothing"
    done = await retention.run(house, actor="appliance", now=now_ms())
    assert (done.studies, done.files, done.rows) == ([study], would.files, would.rows)
    assert _files_with(house.home, needles) == []
    after = (await _everything_in_rows(house)).lower()
    assert not [one for one in _words(phantom) if one.lower() in after]
    assert [(one.actor, one.target) async for one in audit.in_order() if one.action == "study.deleted"] == [
        ("appliance", study)
    ]
    assert (await retention.run(house, actor="appliance", now=now_ms())).studies == []


NEEDED = {
    "held": "UPDATE orders SET state = 'HELD'",
    "in use": "UPDATE orders SET state = 'PROCESSING'",
    "not delivered": "INSERT INTO deliveries (id, report, order_id, destination, state, created_at) "
    "SELECT 'd', 'r', id, 'PACS', 'FAILED', 1 FROM orders",
    "still arriving": "INSERT INTO activities (id, kind, process, study, opened_at, seen_at) "
    "SELECT 'a', 'dicom', 'p', id, 1, 1 FROM studies",
    "not committed": "INSERT INTO commitments (id, sender, sealed, asked_at, next_at) "
    "SELECT 'c', sender, {}, 1, 1 FROM studies",
    "being pulled": "INSERT INTO pulls (id, node, state, uid_key, sealed) "
    "SELECT 'p', 'PACS', 'RUNNING', uid_key, {} FROM studies",
}


@pytest.mark.parametrize("reason", NEEDED)
async def test_what_is_still_needed_stays_however_old(house: House, tmp_path: Path, reason: str) -> None:
    """NOT-04, faults row 29: never what is in use, uncommitted or held; the run says what stays and why."""
    study = await file_phantom(house, a_small_diffusion_study(tmp_path / "phantom"))
    await _aged(house, study, "DELIVERED")
    await house.records.run(NEEDED[reason], *([b""] if "{}" in NEEDED[reason] else []))
    found = await retention.run(house, actor="appliance", now=now_ms())
    assert (found.studies, found.kept) == ([], {reason: 1})
    assert len(await house.records.run("SELECT id FROM studies")) == 1


async def test_what_is_young_stays_and_zero_days_is_without_end(house: House, tmp_path: Path) -> None:
    study = await file_phantom(house, a_small_diffusion_study(tmp_path / "phantom"))
    order = await _aged(house, study, "DELIVERED")
    await house.records.run("UPDATE orders SET updated_at = {}", now_ms() - 89 * DAY)
    assert (await retention.run(house, actor="appliance", now=now_ms())).studies == [], "its order is younger than the study"
    await house.records.run("UPDATE orders SET updated_at = 1 WHERE id = {}", order)
    loaded = await house.settings()
    result, changed = settings.patched(loaded.settings, {"retention": {"orders_days": 0}})
    await house.save(result, based_on=loaded.version, actor="test", now=now_ms(), changed=changed)
    assert (await retention.run(house, actor="appliance", now=now_ms())).studies == []


async def test_old_rows_and_logs_go_and_the_audit_and_kept_studies_events_stay(house: House, tmp_path: Path) -> None:
    """NOT-04: rows without end by default; the audit is never purged."""
    study = await file_phantom(house, a_small_diffusion_study(tmp_path / "phantom"))
    for name, owner in (("kept", study), ("lone", ""), ("orphan", "gone")):
        await house.records.run(
            "INSERT INTO events (at, name, severity, study, body) VALUES (1, {}, 'info', {}, '{{}}')", name, owner
        )
    rows = len([one async for one in audit.in_order()])
    log = house.home / "logs" / "api.jsonl.1"
    log.parent.mkdir(exist_ok=True)
    log.write_text("{}\n")
    os.utime(log, (1, 1))
    first = await retention.run(house, actor="appliance", now=now_ms(), dry_run=True)
    assert (first.rows, first.logs, log.exists()) == ({}, 1, True)
    loaded = await house.settings()
    result, changed = settings.patched(loaded.settings, {"retention": {"records_days": 30}})
    await house.save(result, based_on=loaded.version, actor="test", now=now_ms(), changed=changed)
    done = await retention.run(house, actor="appliance", now=now_ms())
    assert (done.rows, done.logs, log.exists()) == ({"events": 2}, 1, False)
    names = {row["name"] for row in await house.records.run("SELECT name FROM events WHERE at = 1")}
    assert names == {"kept"}
    assert len([one async for one in audit.in_order()]) == rows + 1, "the deletion itself"
