"""Orders, reports and deliveries over HTTP."""

import json

import msgspec

from appliance.moments import now_ms
from appliance.qc.finding import Finding, Origin, QcReport, Verdict
from appliance.records import audit, deliveries
from appliance.reports.content import ProductSection, ReportContent, Row
from tests.api.conftest import Door, Filed, a_bearer, a_report, an_order


async def _audited(action: str) -> list[tuple[str, str, str]]:
    return [(row.actor, row.target, row.result) async for row in audit.in_order() if row.action == action]


async def _give_qc(door: Door, order: str) -> None:
    findings = [
        Finding(check="lossless", title="Lossless", verdict=Verdict.PASSED, found="lossless", expected="lossless"),
        Finding(check="age", title="Age", verdict=Verdict.FAILED, found="none", expected="an age", action="Give the age."),
        Finding(check="nifti", title="NIfTI", verdict=Verdict.NOT_APPLICABLE, found="", expected=""),
    ]
    report = QcReport(verdict=Verdict.FAILED, findings=findings, inputs={}, metadata={"sex": Origin(value="F", origin="dicom")})
    changes = ", ".join(f"{name} = {{}}" for name in report.columns)
    await door.house.records.run(
        f"UPDATE orders SET {changes}, qc_verdict = 'failed' WHERE id = {{}}", *report.columns.values(), order
    )


async def test_an_order_is_opened_for_a_complete_study(door: Door, filed: Filed) -> None:
    answer = await door.call("user", "POST", "/api/orders", json={"study": filed.study[-8:], "priority": 2})
    assert answer.status_code == 201
    order = answer.json()
    assert (order["study"], order["state"], order["products"], order["owner"]) == (filed.study, "QC", ["dti"], "the-user")
    assert order["priority"] == 2
    assert await door.get(f"/api/orders/{order['order']}", role="service") == order
    assert await _audited("order.open") == [("the-user", filed.study, "done")]


async def test_the_same_key_opens_one_order_for_one_caller(door: Door, filed: Filed) -> None:
    """Idempotency-Key on creating calls."""

    async def opened(role: str, key: str) -> str:
        sent = {"json": {"study": filed.study}, "headers": {"Idempotency-Key": key}}
        return str((await door.call(role, "POST", "/api/orders", **sent)).json()["order"])

    first = await opened("user", "k1")
    assert await opened("user", "k1") == first
    assert await opened("user", "k2") != first
    assert await opened("admin", "k1") != first, "another caller's key is another key"
    assert (await door.get("/api/orders"))["total"] == 3


async def test_what_cannot_be_ordered_says_why(door: Door, filed: Filed) -> None:
    unknown = await door.call("user", "POST", "/api/orders", json={"study": "ffffffff"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown")
    product = await door.call("user", "POST", "/api/orders", json={"study": filed.study, "products": ["horoscope"]})
    assert (product.status_code, product.json()["code"]) == (422, "product-not-installed")
    assert product.json()["next_step"]
    shape = await door.call("user", "POST", "/api/orders", json={"study": filed.study, "priority": "high"})
    assert shape.status_code == 400
    assert shape.json()["fields"]
    assert "high" not in shape.text
    await door.house.records.run("UPDATE studies SET state = 'RECEIVING' WHERE id = {}", filed.study)
    early = await door.call("user", "POST", "/api/orders", json={"study": filed.study})
    assert (early.status_code, early.json()["code"]) == (409, "study-not-ready")


async def test_people_cancel_their_own_orders_and_administrators_all(door: Door, filed: Filed) -> None:
    """UI-08: cancel own."""
    own, others = [await an_order(door.house, filed.study, owner=owner) for owner in ("the-user", "somebody")]
    assert (await door.call("user", "POST", f"/api/orders/{others}/cancel")).status_code == 403
    assert (await door.call("user", "POST", f"/api/orders/{own}/cancel")).json()["state"] == "CANCELLED"
    assert (await door.call("admin", "POST", f"/api/orders/{others}/cancel")).json()["state"] == "CANCELLED"
    assert (await door.call("admin", "POST", f"/api/orders/{others}/cancel")).status_code == 409
    assert [result for _, _, result in await _audited("order.cancel")] == ["not-permitted", "done", "done", "not-now"]


async def test_missing_metadata_are_given_and_the_audit_holds_no_value(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="QC_FAILED")
    wrong = await door.call("admin", "POST", f"/api/orders/{order}/metadata", json={"age": "old"})
    assert (wrong.status_code, wrong.json()["fields"][0]["field"]) == (422, "age")
    view = (await door.call("admin", "POST", f"/api/orders/{order}/metadata", json={"age": "063Y", "sex": "female"})).json()
    assert view["state"] == "QC"
    assert view["metadata"]["age"] == {"value": "063Y", "origin": "form", "contradicts": False}
    assert view["metadata"]["sex"]["value"] == "F"
    details = [row.detail async for row in audit.in_order() if row.action == "order.metadata"]
    assert details == ["age", "age sex"]


async def test_a_failed_qc_is_bypassed_with_a_reason_only(door: Door, filed: Filed) -> None:
    """QC-05, PC-12: by an administrator, with a reason, in the audit."""
    for method, path in (("POST", "/api/orders/{order}/bypass"), ("POST", "/api/bypass-qc"), ("PUT", "/api/bypass-qc")):
        order = await an_order(door.house, filed.study, state="QC_FAILED")
        body = {} if "{order}" in path else {"order": order}
        address = path.format(order=order)
        assert (await door.call("admin", method, address, json={**body, "reason": "x"})).status_code == 422
        view = (await door.call("admin", method, address, json={**body, "reason": "known volunteer"})).json()
        assert (view["state"], view["bypass_by"], view["bypass_reason"]) == ("QUEUED", "the-admin", "known volunteer")
        assert (await door.get("/api/studies"))["items"][0]["qc"] == "bypassed"
    newest = await an_order(door.house, filed.study, state="QC_FAILED")
    answer = await door.call("admin", "POST", "/api/bypass-qc", json={"study": filed.study, "reason": "known volunteer"})
    assert answer.json()["order"] == newest
    reasons = [(row.detail, row.result) async for row in audit.in_order() if row.action == "order.bypass-qc"]
    assert reasons[:2] == [("x", "reason-missing"), ("known volunteer", "done")]


async def test_qc_says_found_expected_and_what_to_do(door: Door, filed: Filed) -> None:
    """QC-06."""
    order = await an_order(door.house, filed.study, state="QC_FAILED")
    early = await door.call("user", "GET", f"/api/orders/{order}/qc")
    assert (early.status_code, early.json()["code"]) == (404, "no-qc-yet")
    await _give_qc(door, order)
    qc = await door.get(f"/api/orders/{order}/qc", role="user")
    assert qc["verdict"] == "failed"
    assert qc["findings"][1] == {
        "check": "age",
        "title": "Age",
        "verdict": "failed",
        "found": "none",
        "expected": "an age",
        "action": "Give the age.",
        "figure": None,
        "unit": "",
        "picture": "",
        "caption": "",
    }
    assert qc["metadata"]["sex"]["value"] == "F"
    assert (await door.get("/api/studies"))["items"][0]["qc"] == "1/2"


async def test_an_ended_order_is_retried(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="FAILED")
    assert (await door.call("admin", "POST", f"/api/orders/{order}/retry")).json()["state"] == "QC"
    assert (await door.call("admin", "POST", f"/api/orders/{order}/retry")).status_code == 409
    assert [result for _, _, result in await _audited("order.retry")] == ["done", "not-now"]


async def test_reports_are_downloaded_under_their_own_names(door: Door, filed: Filed) -> None:
    """RES-01, RES-06."""
    order = await an_order(door.house, filed.study, state="REPORTED")
    report = await a_report(door.house, filed.study, order)
    types = {"json": "application/json", "txt": "text/plain", "png": "image/png", "pdf": "application/pdf"}
    for name, media_type in types.items():
        answer = await door.call("user", "GET", f"/api/reports/{report}/{name}")
        assert answer.content == f"{name} of {order}".encode()
        assert answer.headers["content-type"].startswith(media_type)
        assert f'filename="{order}_report.{name}"' in answer.headers["content-disposition"]
        assert answer.headers["cache-control"] == "no-store"
    assert len(await _audited("report.download")) == 4
    again = await a_report(door.house, filed.study, order)
    answer = await door.call("user", "GET", f"/api/reports/{again}/pdf")
    assert f'filename="{order}_report_v2.pdf"' in answer.headers["content-disposition"]


async def test_formats_with_an_identity_or_from_elsewhere_are_not_served(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="REPORTED")
    report = await a_report(door.house, filed.study, order)
    (view,) = (await door.get("/api/reports"))["items"]
    assert view["formats"] == ["json", "txt", "png", "pdf"]
    for name in ("dicom-pdf", "dcm", "xml", "%2e%2e%2f%2e%2e%2franvier.db", "json%00"):
        answer = await door.call("admin", "GET", f"/api/reports/{report}/{name}")
        assert answer.status_code == 404, name
    (door.house.storage.reports(filed.study, 1, order) / "report_v1" / f"{order}_report.pdf").unlink()
    gone = await door.call("admin", "GET", f"/api/reports/{report}/pdf")
    assert (gone.status_code, gone.json()["code"]) == (409, "report-file-missing")


async def test_results_show_numbers_and_where_they_went(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="REPORTED")
    report = await a_report(door.house, filed.study, order)
    rows = [Row(name="fa_mean", label="FA, white matter", value=0.61), Row(name="fit", label="Fit", value=float("nan"))]
    content = ReportContent(
        order=order,
        report=report,
        version=1,
        study=filed.study,
        study_version=1,
        made_at="2026-11-22T00:00:00.000Z",
        instances=42,
        qc_verdict="passed",
        sections=[ProductSection(product="dti", version="1", title="Diffusion", rows=rows)],
    )
    text = msgspec.json.encode(content).decode()
    await door.house.records.run("UPDATE reports SET content = {} WHERE id = {}", text, report)
    (delivery,) = await deliveries.create(report, order, ["pacs"], now_ms())
    (result,) = (await door.get("/api/results", role="user", params={"q": "product:dti"}))["items"]
    assert result["values"] == [
        {"label": "FA, white matter", "value": 0.61, "unit": ""},
        {"label": "Fit", "value": None, "unit": ""},
    ]
    assert (result["report"], result["study"], result["kind"]) == (report, filed.study, "report")
    assert [(one["delivery"], one["destination"], one["word"]) for one in result["deliveries"]] == [
        (delivery.id, "pacs", "Waiting")
    ]
    assert (await door.get("/api/results", params={"q": "kind:failure"}))["items"] == []


async def test_a_delivery_is_sent_again_by_an_administrator(door: Door, filed: Filed) -> None:
    """RES-02: manual re-send any time."""
    order = await an_order(door.house, filed.study, state="DELIVERED")
    report = await a_report(door.house, filed.study, order)
    (delivery,) = await deliveries.create(report, order, ["pacs"], now_ms())
    waiting = await door.call("admin", "POST", f"/api/deliveries/{delivery.id}/resend")
    assert waiting.status_code == 409
    await door.house.records.run("UPDATE deliveries SET state = 'SENT' WHERE id = {}", delivery.id)
    answer = await door.call("admin", "POST", f"/api/deliveries/{delivery.id[-12:]}/resend")
    assert (answer.status_code, answer.json()["state"]) == (202, "PENDING")
    assert (await door.get(f"/api/orders/{order}"))["state"] == "REPORTED"
    assert [result for _, _, result in await _audited("delivery.resend")][-1] == "done"


async def test_a_machine_orders_and_collects_with_its_token(door: Door, filed: Filed) -> None:
    headers = await a_bearer(door.house, "service")
    made = await door.call("", "POST", "/api/orders", headers={**headers, "X-Ranvier": ""}, json={"study": filed.study})
    assert made.status_code == 201
    assert made.json()["owner"] == "token:machine"
    assert (await door.call("", "POST", f"/api/orders/{made.json()['order']}/cancel", headers=headers)).status_code == 200


async def test_orders_are_listed_filtered_and_paged(door: Door, filed: Filed) -> None:
    made = [await an_order(door.house, filed.study, state=state) for state in ("FAILED", "HELD", "FAILED")]
    page = await door.get("/api/orders", params={"q": "status:failed", "limit": 1})
    assert (page["matched"], page["total"], len(page["items"])) == (2, 3, 1)
    rest = await door.get("/api/orders", params={"q": "status:failed", "limit": 1, "cursor": page["next"]})
    assert {page["items"][0]["order"], rest["items"][0]["order"]} == {made[0], made[2]}
    assert rest["next"] is None
    assert page["items"][0]["advice"]
    bad = await door.call("user", "GET", "/api/orders", params={"cursor": json.dumps("x")})
    assert (bad.status_code, bad.json()["code"]) == (400, "cursor")
