"""Deleting orders and studies with all their traces."""

from appliance import pipeline
from appliance.moments import now_ms
from appliance.records import audit, events
from tests.api.conftest import Door, Filed, a_report, an_order

TABLES = ("studies", "series", "instances", "identities", "orders", "product_runs", "reports", "deliveries")


async def _rows(door: Door) -> dict[str, int]:
    return {table: (await door.house.records.run(f"SELECT COUNT(*) AS n FROM {table}"))[0]["n"] for table in TABLES}


async def _made(door: Door, filed: Filed, state: str = "REPORTED") -> str:
    order = await an_order(door.house, filed.study, state=state)
    await a_report(door.house, filed.study, order)
    preview = door.house.storage.quality(filed.study, 1, order)
    preview.mkdir(parents=True)
    (preview / "slice.png").write_bytes(b"png")
    return order


async def test_a_study_goes_with_files_rows_previews_reports_and_identity(door: Door, filed: Filed) -> None:
    """UI-02: delete names what goes, and it goes."""
    order = await _made(door, filed)
    folder = door.house.storage.study(filed.study, 1).parent
    before = sum(1 for path in folder.rglob("*") if path.is_file())
    would = (await door.call("admin", "DELETE", f"/api/studies/{filed.study}", params={"dry_run": "true"})).json()
    assert (would["dry_run"], would["orders"], would["files"]) == (True, [order], before)
    assert (would["rows"]["reports"], would["rows"]["identities"]) == (1, 1)
    assert folder.exists()
    answer = await door.call("admin", "DELETE", f"/api/studies/{filed.study}")
    assert answer.json() == {**would, "dry_run": False}
    assert set((await _rows(door)).values()) == {0}
    assert not folder.exists()
    assert not any(path.is_file() for path in (door.house.storage.root / "scratch").rglob("*"))
    assert (await events.after(0, study=filed.study))[-1].name == "study-deleted"
    rows = [(row.action, row.target, row.result) async for row in audit.in_order()]
    assert ("study.delete", filed.study, "done") in rows
    assert (await door.call("admin", "DELETE", f"/api/studies/{filed.study}")).status_code == 404


async def test_an_order_goes_alone_and_does_not_come_back_by_itself(door: Door, filed: Filed) -> None:
    order = await _made(door, filed)
    answer = await door.call("admin", "DELETE", f"/api/orders/{order}")
    assert (answer.status_code, answer.json()["files"]) == (200, 5)
    left = await _rows(door)
    assert (left["studies"], left["identities"], left["orders"], left["reports"]) == (1, 1, 0, 0)
    assert not door.house.storage.reports(filed.study, 1, order).exists()
    assert any(door.house.storage.original(filed.study, 1).iterdir())
    assert await pipeline.open_due_orders(door.house, now=now_ms()) == []
    again = await door.call("user", "POST", "/api/orders", json={"study": filed.study})
    assert again.status_code == 201, "a person can open one"


async def test_nothing_goes_while_a_stage_runs_or_a_report_is_sent(door: Door, filed: Filed) -> None:
    """UI-02: refused while a stage runs."""
    order = await _made(door, filed, state="PROCESSING")
    lease = now_ms() + 60_000
    await door.house.records.run("UPDATE orders SET worker = 'w1', lease_until = {} WHERE id = {}", lease, order)
    before = await _rows(door)
    for path in (f"/api/studies/{filed.study}", f"/api/orders/{order}"):
        answer = await door.call("admin", "DELETE", path)
        assert (answer.status_code, answer.json()["code"]) == (409, "stage-runs")
    assert await _rows(door) == before
    await door.house.records.run("UPDATE orders SET lease_until = {} WHERE id = {}", now_ms() - 1, order)
    assert (await door.call("admin", "DELETE", f"/api/orders/{order}")).status_code == 200


async def test_nothing_goes_while_instances_may_still_arrive(door: Door, filed: Filed) -> None:
    await door.house.records.run(
        "INSERT INTO activities (id, kind, process, study, sender, opened_at, seen_at) "
        "VALUES ('a', 'dicom', 'p', {}, '', 1, 1)",
        filed.study,
    )
    answer = await door.call("admin", "DELETE", f"/api/studies/{filed.study}")
    assert (answer.status_code, answer.json()["code"]) == (409, "still-arriving")
    assert door.house.storage.original(filed.study, 1).exists()
