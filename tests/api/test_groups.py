"""Groups over HTTP: who may do what, and the report as a file (GRP-01, GRP-02)."""

import csv
import io
from datetime import datetime

from appliance.records import audit, deliveries, groups
from tests.api.conftest import Door, Filed, an_order
from tests.unit.pipeline.test_cohorts import a_member


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
    (table,) = door.house.storage.root.rglob(report.json()["name"] + ".csv")
    table.chmod(0o600)
    table.write_text(table.read_text() + "Wolkenstein\n")
    changed = await door.call("user", "GET", "/api/groups/PARK-01/reports/newest/csv")
    assert (changed.status_code, changed.json()["code"]) == (409, "report-file-changed"), (
        "only what the last look passed leaves"
    )


async def test_groups_are_sought_by_a_part_of_their_name(door: Door) -> None:
    """GRP-01: search; the characters of patterns are letters like others."""
    for name in ("PARK-01", "PARK_02", "MSA pilot"):
        assert (await door.call("user", "POST", "/api/groups", json={"group": name, "products": ["dti"]})).status_code == 201

    async def sought(text: str) -> list[str]:
        found = (await door.call("user", "GET", "/api/groups", params={"q": text})).json()
        return [one["group"] for one in found]

    assert await sought("") == ["MSA pilot", "PARK-01", "PARK_02"]
    assert await sought("park") == ["PARK-01", "PARK_02"]
    assert await sought("_") == ["PARK_02"]
    assert await sought("p*k-") == ["PARK-01"]
    assert await sought("nobody") == []


async def test_a_group_tells_its_statistics_its_next_report_and_how_the_last_one_went(door: Door) -> None:
    """GRP-02: distribution of every number with outliers, for the console; the same as in the report."""
    await door.call("admin", "POST", "/api/groups", json={"group": "PARK-01", "products": ["dti"]})
    assert await door.get("/api/groups/PARK-01/statistics") == []
    for number, value in enumerate((0.41, 0.42, 0.43, 0.44, 0.9)):
        await a_member(door.house, number, fa=value)
    odd = (await groups.members(door.house.records, "PARK-01"))[-1].study
    found = await door.get("/api/groups/PARK-01/statistics")
    (one,) = [each for each in found if each["column"] == "dti.fa_mean"]
    assert (one["count"], one["middle"], one["lower"], one["upper"]) == (5, 0.43, 0.42, 0.44)
    assert one["outliers"] == [{"study": odd, "value": 0.9}]
    (line,) = await door.get("/api/groups")
    assert (line["next_at"], line["sends_on_completion"], line["delivered"]) == (None, False, "")
    based = {"If-Match": f'"{(await door.get("/api/settings"))["version"]}"'}
    change = {"groups": {"schedule": "0 6 * * 1,4"}}
    assert (await door.call("admin", "PATCH", "/api/settings", json=change, headers=based)).status_code == 200
    made = (await door.call("user", "POST", "/api/groups/PARK-01/reports", json={})).json()["report"]
    for states, told in ((["SENT"], "sent"), (["SENT", "PENDING"], "waiting"), (["FAILED", "PENDING"], "failed")):
        await door.house.records.run("DELETE FROM deliveries")
        await deliveries.create(made, "", [f"way {number}" for number, _ in enumerate(states)], 1)
        for number, state in enumerate(states):
            await door.house.records.run("UPDATE deliveries SET state = {} WHERE destination = {}", state, f"way {number}")
        (line,) = await door.get("/api/groups")
        assert line["delivered"] == told
    assert datetime.fromisoformat(line["next_at"]).weekday() in (0, 3)
    assert (await door.call("user", "GET", "/api/groups/nothing/statistics")).status_code == 404


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
