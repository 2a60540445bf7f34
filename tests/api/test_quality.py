"""Pictures of quality control and consent to a gradient repair over HTTP."""

from io import BytesIO

import msgspec
from PIL import Image

from appliance.house import House
from appliance.moments import now_ms
from appliance.qc.finding import Finding, GradientRepair, QcReport, Verdict
from appliance.records import audit, orders
from tests.api.conftest import Door, Filed, an_order

FLIP_X = ((-1, 0, 0), (0, 1, 0), (0, 0, 1))


async def _with_a_flipped_table(door: Door, study: str, state: str) -> str:
    """An order whose QC proposes a repair and has one picture, in any state."""
    order = await an_order(door.house, study, state=state)
    await with_a_flipped_table(door.house, study, order)
    return order


async def with_a_flipped_table(house: House, study: str, order: str) -> None:
    """Gives an order findings, a proposed repair and a picture."""
    findings = [
        Finding(check="gradient-table", title="Gradient table", verdict=Verdict.FAILED, found="x", expected="y", action="z"),
        Finding(
            check="image-motion", title="Motion", verdict=Verdict.PASSED, found="x", expected="y", picture="image-motion.png"
        ),
    ]
    repair = GradientRepair(series="ours", number=4, change=FLIP_X, words="the sign of x wrong", before=80.0, after=101.0)
    report = QcReport(
        verdict=Verdict.FAILED, findings=findings, inputs={"dti": ["ours"]}, metadata={}, repairs=[repair], thresholds="2026-11"
    )
    text = msgspec.json.encode(report).decode()
    await house.records.run("UPDATE orders SET qc_report = {}, qc_verdict = 'failed' WHERE id = {}", text, order)
    folder = house.storage.quality(study, 1, order)
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("L", (12, 8), 90).save(folder / "image-motion.png")


async def _audited(action: str) -> list[tuple[str, str, str, str]]:
    return [(row.actor, row.target, row.result, row.detail) async for row in audit.in_order() if row.action == action]


async def test_a_finding_says_where_its_picture_is_and_the_audit_who_saw_it(door: Door, filed: Filed) -> None:
    """QC-04, QC-06: the picture of a check, as a file of the API."""
    order = await _with_a_flipped_table(door, filed.study, "QC_FAILED")
    qc = await door.get(f"/api/orders/{order}/qc", role="user")
    without, with_picture = (one["picture"] for one in qc["findings"])
    assert (without, qc["thresholds"]) == ("", "2026-11")
    answer = await door.call("user", "GET", with_picture)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(BytesIO(answer.content)).size == (12, 8)
    assert await _audited("order.qc-picture") == [("the-user", order, "done", "image-motion")]
    assert (await door.call("user", "GET", f"/api/orders/{order}/qc/gradient-table/picture")).status_code == 404
    (door.house.storage.quality(filed.study, 1, order) / "image-motion.png").unlink()
    gone = await door.call("user", "GET", with_picture)
    assert (gone.status_code, gone.json()["code"]) == (409, "qc-picture-missing")


async def test_a_repair_needs_an_administrator_and_is_kept_with_the_name(door: Door, filed: Filed) -> None:
    """QC-04: consent by a person; before and after stay with it, and the audit has it."""
    order = await _with_a_flipped_table(door, filed.study, "QC_FAILED")
    assert (await door.call("user", "POST", f"/api/orders/{order}/repair-gradients")).status_code == 403
    answer = await door.call("admin", "POST", f"/api/orders/{order}/repair-gradients")
    assert (answer.json()["order"], answer.json()["state"]) == (order, "QC")
    (repair,) = (await door.get(f"/api/orders/{order}/qc"))["repairs"]
    assert (repair["consent"], repair["before"], repair["after"]) == ("the-admin", 80.0, 101.0)
    again = await door.call("admin", "POST", f"/api/orders/{order}/repair-gradients")
    assert again.status_code == 409
    results = [(actor, result) for actor, _, result, _ in await _audited("order.repair-gradients")]
    assert results == [("the-admin", "done"), ("the-admin", "not-now")]
    rows = await door.house.records.run("SELECT name FROM events WHERE order_id = {}", order)
    assert "gradient-repair-agreed" in [row["name"] for row in rows]


async def test_an_order_with_a_report_keeps_it_and_a_new_one_carries_the_repair(door: Door, filed: Filed) -> None:
    """QC-04: a small gain only warns, so the report may be made before somebody reads the finding."""
    order = await _with_a_flipped_table(door, filed.study, "REPORTED")
    carrier = (await door.call("admin", "POST", f"/api/orders/{order}/repair-gradients")).json()
    assert (carrier["order"] != order, carrier["state"], carrier["study"]) == (True, "QC", filed.study)
    assert (await orders.get(order)).state == "REPORTED"
    assert [one["consent"] for one in (await door.get(f"/api/orders/{order}/qc"))["repairs"]] == [""]
    assert [one["consent"] for one in (await door.get(f"/api/orders/{carrier['order']}/qc"))["repairs"]] == ["the-admin"]
    assert (await orders.get(carrier["order"])).created_at <= now_ms()


async def test_without_a_proposal_there_is_nothing_to_agree_to(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="QC_FAILED")
    answer = await door.call("admin", "POST", f"/api/orders/{order}/repair-gradients")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing-to-repair")
