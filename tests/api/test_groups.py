"""Groups over HTTP: who may do what, and the report as a file (GRP-01, GRP-02)."""

import csv
import io

from appliance.records import audit
from tests.api.conftest import Door, Filed, an_order


async def test_a_group_is_made_filled_and_reported(door: Door, filed: Filed) -> None:
    """GRP-01, GRP-02: create, list, assign, report on demand as CSV with its schema and as PDF."""
    made = await door.call("user", "POST", "/api/groups", json={"group": "PARK-01", "products": ["dti"]})
    assert made.status_code == 201, made.text
    assert list(made.json()["products"]) == ["dti"]
    assert (await door.call("user", "POST", "/api/groups", json={"group": "PARK-01"})).json()["code"] == "group-there"
    assert (await door.call("user", "POST", "/api/groups", json={"group": "a/b"})).json()["code"] == "group-name"
    empty = await door.call("user", "POST", "/api/groups/PARK-01/reports", json={})
    assert (empty.status_code, empty.json()["code"]) == (409, "group-empty")
    put = await door.call("user", "PUT", f"/api/studies/{filed.study}/group", json={"group": "PARK-01"})
    assert put.json()["group"] == "PARK-01"
    assert [one["study"] for one in (await door.get("/api/studies?q=group:PARK-01"))["items"]] == [filed.study]
    order = await an_order(door.house, filed.study, state="FAILED")
    (line,) = await door.get("/api/groups", role="service")
    assert (line["studies"], line["failed"], line["complete"]) == (1, 1, True)
    report = await door.call("user", "POST", "/api/groups/PARK-01/reports", json={})
    assert report.status_code == 201, report.text
    assert report.json()["formats"] == ["csv", "schema", "pdf", "png"]
    file = await door.call("user", "GET", "/api/groups/PARK-01/reports/newest/csv")
    assert report.json()["name"] + ".csv" in file.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(file.text))
    assert (row["order"], row["standing"]) == (order, "failed")
    assert (await door.call("user", "GET", "/api/groups/PARK-01/reports/newest/dcm")).status_code == 404


async def test_sending_removing_and_new_versions_are_the_administrators(door: Door, filed: Filed) -> None:
    """PC-41: no delivery by hand for the role user."""
    await door.call("admin", "POST", "/api/groups", json={"group": "PARK-01", "products": ["dti"]})
    await door.call("admin", "PUT", f"/api/studies/{filed.study}/group", json={"group": "PARK-01"})
    assert (await door.call("user", "POST", "/api/groups/PARK-01/reports", json={"send": True})).status_code == 403
    assert (await door.get("/api/groups/PARK-01"))["reports"] == 0, "nothing is made that may not be sent"
    held = await door.call("admin", "DELETE", "/api/groups/PARK-01")
    assert held.json()["code"] == "group-not-empty"
    await door.house.records.run("UPDATE cohorts SET products = 'dti@0.1'")
    assert (await door.get("/api/groups/PARK-01"))["newer"].keys() == {"dti"}
    assert (await door.call("admin", "POST", "/api/groups/PARK-01/accept-versions")).json()["newer"] == {}
    await door.call("admin", "PUT", f"/api/studies/{filed.study}/group", json={"group": ""})
    assert (await door.call("admin", "DELETE", "/api/groups/PARK-01")).status_code == 204
    noted = [(row.action, row.result) async for row in audit.in_order() if row.action.startswith("group.")]
    assert noted == [
        ("group.create", "done"),
        ("group.report", "not-permitted"),
        ("group.remove", "group-not-empty"),
        ("group.accept-versions", "done"),
        ("group.remove", "done"),
    ]
