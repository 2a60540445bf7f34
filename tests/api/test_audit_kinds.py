"""Everything that the audit must hold is in it: one list, each kind made over HTTP."""

from typing import Any

from appliance import audit as chain
from appliance.access import accounts
from appliance.moments import now_ms
from appliance.records import audit, deliveries
from tests.api.conftest import PASSWORD, Door, Filed, a_report, an_order

KINDS = {
    "sign-in": "sign-ins",
    "sign-out": "sign-ins",
    "identity.reveal": "reveals",
    "identity.lookup": "reveals",
    "identity.preview": "reveals",
    "linking.export": "exports",
    "report.download": "exports",
    "settings.export": "exports",
    "audit.export": "exports",
    "audit.read": "exports",
    "order.bypass-qc": "bypasses",
    "settings.change": "settings",
    "delivery.test": "deliveries",
    "delivery.resend": "deliveries",
    "order.delete": "deletions",
    "study.delete": "deletions",
    "user.create": "role changes",
    "user.change": "role changes",
    "user.sign-out": "role changes",
    "user.password": "role changes",
    "token.create": "role changes",
    "token.revoke": "role changes",
}
"""Action -> what UI-10 calls it."""


async def test_every_kind_of_event_of_the_requirement_is_audited(door: Door, filed: Filed) -> None:
    """UI-10: sign-ins, reveals, exports, bypasses, settings, deliveries, deletions, role changes; results of refusals too."""
    await accounts.create_user("meyer", "admin", PASSWORD, now_ms())
    wrong = await door.call("", "POST", "/api/login", json={"user": "meyer", "password": "wrong"})
    assert wrong.status_code == 401
    right = await door.call("", "POST", "/api/login", json={"user": "meyer", "password": PASSWORD})
    assert right.status_code < 300
    order = await an_order(door.house, filed.study, state="QC_FAILED")
    report = await a_report(door.house, filed.study, order)
    version = (await door.call("admin", "GET", "/api/settings")).headers["etag"]
    token = (await door.call("admin", "POST", "/api/tokens", json={"name": "his"})).json()["id"]
    (delivery,) = await deliveries.create(report, order, ["HIS"], now_ms())
    await door.house.records.run("UPDATE deliveries SET state = 'FAILED' WHERE id = {}", delivery.id)
    destination = {"protocol": "rest", "name": "HIS", "url": "http://127.0.0.1:9/in", "own_machine": True}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/reveal", {"json": {"studies": [filed.study]}}),
        ("POST", "/api/lookup", {"json": {"kind": "patient", "value": "x"}}),
        ("POST", f"/api/studies/{filed.study}/deidentification-preview", {"json": {"what_if": {"profile": "none"}}}),
        ("POST", f"/api/studies/{filed.study}/linking", {}),
        ("GET", f"/api/reports/{report}/pdf", {}),
        ("GET", "/api/settings/export", {}),
        ("GET", "/api/audit/export", {}),
        ("GET", "/api/audit", {}),
        ("POST", f"/api/orders/{order}/bypass", {"json": {"reason": "The scan cannot be repeated."}}),
        ("PATCH", "/api/settings", {"json": {"site": {"name": "gw02"}}, "headers": {"If-Match": version}}),
        ("POST", "/api/delivery/test", {"json": destination}),
        ("POST", f"/api/deliveries/{delivery.id}/resend", {}),
        ("POST", "/api/users", {"json": {"name": "neu", "password": PASSWORD + "x"}}),
        ("POST", "/api/users/neu/password", {"json": {"password": PASSWORD + "y"}}),
        ("PATCH", "/api/users/neu", {"json": {"role": "admin"}}),
        ("POST", "/api/users/neu/sign-out", {}),
        ("DELETE", f"/api/tokens/{token}", {}),
        ("DELETE", f"/api/orders/{order}", {}),
        ("DELETE", f"/api/studies/{filed.study}", {}),
        ("POST", "/api/logout", {}),
    ]
    for method, path, sent in calls:
        answer = await door.call("admin", method, path, **sent)
        assert answer.status_code < 500, (path, answer.text)
    seen = {(row.action, row.result) async for row in audit.in_order()}
    assert {action for action, _ in seen} >= set(KINDS), sorted(seen)
    assert ("sign-in", "done") in seen
    assert [result for action, result in seen if action == "sign-in" and result != "done"]
    rows = [row async for row in audit.in_order()]
    assert all(row.actor for row in rows if row.result == "done")
    assert not [row for row in rows if any(one in str(row) for one in filed.phantom.identity_tokens)]
    assert (await chain.verify()).ok


async def test_the_audit_is_searched_in_the_language_of_every_list(door: Door) -> None:
    """One filter language, read on the server; who did what, on what, from where, with which result, and when."""
    now = now_ms()
    day = 86_400_000
    for number, (actor, action, result, at) in enumerate(
        [
            ("anna", "identity.reveal", "done", now - 3 * day),
            ("anna", "order.bypass-qc", "done", now),
            ("otto", "identity.lookup", "done", now),
            ("otto", "settings.change", "stale", now),
        ]
    ):
        await chain.append(actor, action, f"0199ab12-{number}", result, f"10.0.0.{number}", at, "The 100%_scan")

    async def found(text: str, **more: Any) -> list[str]:
        page = await door.get("/api/audit", params={"q": text, **more})
        return [one["action"] for one in page["items"]]

    assert await found("actor:anna") == ["order.bypass-qc", "identity.reveal"]
    assert await found("action:identity.*") == ["identity.lookup", "identity.reveal"]
    assert await found("action:identity.* at<2d") == ["identity.lookup"]
    assert await found("!result:done") == ["settings.change"]
    assert await found("origin:10.0.0.1,10.0.0.2") == ["identity.lookup", "order.bypass-qc"]
    assert await found("target:0199ab12-3") == ["settings.change"]
    assert await found("100%_scan actor:otto") == ["settings.change", "identity.lookup"]
    first = await door.get("/api/audit", params={"q": "actor:anna,otto", "limit": 3})
    assert len(first["items"]) == 3
    assert await found("actor:anna,otto", cursor=first["next"], limit=3) == ["identity.reveal"]
    wrong = await door.call("admin", "GET", "/api/audit", params={"q": "actor:anna colour:red"})
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["position"]) == (400, "filter", 11)
    words = await door.get("/api/filter-words", params={"of": "audit"})
    assert {one["word"] for one in words} == {"", "actor", "action", "target", "origin", "result", "at"}
