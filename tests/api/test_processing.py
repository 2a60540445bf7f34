"""Processing over HTTP: products, pause and resume, priority, queue figures, support bundle."""

import shutil

from appliance.pipeline import open_order
from appliance.records import audit, durations, orders
from appliance.records.tables import Study
from appliance.states import StudyState
from appliance.storage import write_durable
from tests.api.conftest import Door
from tests.house.tree import ROOT

STUDY = "01a20173-7839-7164-8c6d-d1c6804bf4b9"


async def an_order(door: Door) -> str:
    await Study.insert(Study(id=STUDY, state=str(StudyState.STABLE), uid_key="0" * 32, first_at=1, last_at=1)).run()
    return await open_order(door.house, STUDY, actor="a", now=1)


async def _audited(action: str) -> list[tuple[str, str]]:
    return [(row.target, row.result) async for row in audit.in_order() if row.action == action]


async def test_products_are_listed_with_the_sites_own_and_why_one_is_not_offered(door: Door) -> None:
    """PRO-02, PRO-07."""
    own = door.house.home / "products"
    shutil.copytree(ROOT / "appliance/docs/examples/count-images", own / "count-images")
    (own / "broken").mkdir()
    (own / "broken" / "manifest.toml").write_text('id = "broken"')
    found = {one["product"]: one for one in await door.get("/api/products", role="user")}
    assert (found["dti"]["own"], found["dti"]["offered"]) == (False, True)
    assert (found["count-images"]["own"], found["count-images"]["offered"], found["count-images"]["memory_mb"]) == (
        True,
        True,
        512,
    )
    assert not found["broken"]["offered"]
    assert "version" in found["broken"]["reason"]


async def test_processing_is_paused_and_resumed_by_an_administrator_and_the_status_says_so(door: Door) -> None:
    assert (await door.call("user", "POST", "/api/processing/pause")).status_code == 403
    assert (await door.call("admin", "POST", "/api/processing/pause")).json() == {"paused": True}
    assert (await door.get("/api/status"))["paused"] is True
    assert (await door.call("admin", "POST", "/api/processing/resume")).json() == {"paused": False}
    assert (await door.get("/api/status"))["paused"] is False
    assert await _audited("processing.pause") == [("settings/compute", "done")]


async def test_the_status_has_the_figures_of_the_queue(door: Door) -> None:
    """PRO-04, PRO-05: System shows the queue, and limits that are off."""
    await an_order(door)
    for stage in ("qc", "qc-images", "deidentify", "product/dti", "report"):
        await durations.note(door.house.records, stage, 10.0)
    status = await door.get("/api/status")
    assert status["queue"] == {"waiting": 1, "running": 0, "urgent": 0, "expected_s": 50.0}
    assert (status["mode"], status["limits"], status["workers"]) == ("local", True, 1)
    change = {"compute": {"limits": False}}
    assert (await door.call("admin", "PATCH", "/api/settings", json=change, headers={"If-Match": '"0"'})).status_code == 200
    assert (await door.get("/api/status"))["limits"] is False


async def test_an_order_is_made_urgent_by_hand(door: Door) -> None:
    """PRO-05: priority by hand."""
    order = await an_order(door)
    answer = await door.call("admin", "PUT", f"/api/orders/{order}/priority", json={"priority": "urgent"})
    assert answer.status_code == 200
    assert answer.json()["priority"] > 0
    assert (await door.get("/api/status"))["queue"]["urgent"] == 1
    assert (await door.call("admin", "PUT", f"/api/orders/{order}/priority", json={"priority": "soon"})).status_code in (
        400,
        422,
    )
    await door.call("admin", "PUT", f"/api/orders/{order}/priority", json={"priority": "routine"})
    assert (await orders.get(order)).priority == 0
    assert len(await _audited("order.priority")) == 2


async def test_the_bundle_of_a_quarantined_order_is_handed_out_and_that_of_another_is_not_there(door: Door) -> None:
    order = await an_order(door)
    assert (await door.call("admin", "GET", f"/api/orders/{order}/support-bundle")).status_code == 404
    write_durable(door.house.storage.quarantine(order) / "support-bundle.zip", b"PK\x05\x06" + bytes(18))
    answer = await door.call("admin", "GET", f"/api/orders/{order}/support-bundle")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.content.startswith(b"PK")


async def test_the_mode_is_changed_over_http_only_between_orders_and_only_where_the_products_can_run(door: Door) -> None:
    """PRO-07: the refusal names the open order, then the product; what cannot run in the mode is not offered."""
    folder = door.house.home / "products" / "elsewhere"
    folder.mkdir(parents=True)
    (folder / "manifest.toml").write_text(
        'id = "elsewhere"\nversion = "1"\ntitle = "E"\nintended_use = "Test."\nruns_on = ["cloud", "hub"]\n'
    )
    order = await an_order(door)

    async def refusal(change: dict[str, dict[str, str]]) -> dict[str, str]:
        answer = await door.call("admin", "PATCH", "/api/settings", json=change, headers={"If-Match": '"0"'})
        assert answer.status_code == 422, answer.text
        (field,) = answer.json()["fields"]
        return {field["field"]: field["message"]}

    cloud = {"compute": {"mode": "cloud"}}
    assert await refusal(cloud) == {"compute.mode": f"cannot change while orders are open: {order[-8:]}"}
    await door.call("admin", "POST", f"/api/orders/{order}/cancel")
    assert await refusal(cloud) == {
        "products.default_products": "dti does not run in processing mode cloud; those that do: elsewhere"
    }
    both = {**cloud, "products": {"default_products": ["elsewhere"]}}
    answer = await door.call("admin", "PATCH", "/api/settings", json=both, headers={"If-Match": '"0"'})
    assert answer.status_code == 200, answer.text
    assert (await door.get("/api/status"))["mode"] == "cloud"
    offered = {one["product"]: one["reason"] for one in await door.get("/api/products") if not one["offered"]}
    assert offered == dict.fromkeys(("dti", "dti-fw"), "It does not run in processing mode cloud.")
    answer = await door.call("admin", "POST", "/api/orders", json={"study": STUDY, "products": ["dti"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "product-not-in-this-mode")
    answer = await door.call("admin", "POST", "/api/orders", json={"study": STUDY})
    assert answer.json()["products"] == ["elsewhere"]


async def test_an_order_that_waits_for_the_cluster_is_shown_as_waiting_with_the_reason(door: Door) -> None:
    """PRO-06: nobody wonders why nothing happens."""
    order = await an_order(door)
    await door.house.records.run(
        "UPDATE orders SET state = 'PROCESSING', code = 'cluster-without-worker', detail = 'No worker.', priority = 5"
    )
    view = await door.get(f"/api/orders/{order}")
    assert (view["word"], view["state"], view["detail"]) == ("Waiting", "PROCESSING", "No worker.")
    assert "by itself" in view["advice"]
    (row,) = (await door.get("/api/studies"))["items"]
    assert (row["word"], row["code"], row["priority"]) == ("Waiting", "cluster-without-worker", 5)
