"""A study's images sent on by hand: who may, what there must be, and that each version goes to an archive once."""

from appliance import dispatch, settings
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import deliveries, orders
from tests.api.conftest import Door, Filed, an_order
from tests.api.test_proof import deidentified

ARCHIVES = [
    {"protocol": "dicom-study", "name": "archive", "host": "archive.example", "port": 11112},
    {"protocol": "stow-study", "name": "web", "url": "https://web.example/dicom-web", "send": "asked"},
]


async def with_archives(house: House) -> None:
    found = await house.settings()
    result, changed = settings.patched(found.settings, {"delivery": {"study_destinations": ARCHIVES}})
    await house.save(result, based_on=found.version, actor="test", now=now_ms(), changed=changed)


async def test_a_study_goes_by_rule_once_for_each_version_and_by_hand_when_asked(door: Door, filed: Filed) -> None:
    """The rule made one delivery when the copy was proven, however many orders; a second is made by hand, and repeated."""
    await with_archives(door.house)
    order = await deidentified(door.house, filed.study)
    await deidentified(door.house, filed.study)
    (by_rule,) = await door.house.records.run("SELECT destination, order_id FROM deliveries")
    assert by_rule == {"destination": "archive", "order_id": order}

    path = f"/api/orders/{order}/send"
    assert (await door.call("user", "POST", path, json={"destination": "web"})).status_code == 403
    assert (await door.call("admin", "POST", path, json={"destination": "elsewhere"})).status_code == 404
    bare = await an_order(door.house, filed.study)
    assert (await door.call("admin", "POST", f"/api/orders/{bare}/send", json={"destination": "web"})).status_code == 409
    await door.house.records.run("UPDATE orders SET state = 'DELIVERED' WHERE id = {}", order)
    first = await door.call("admin", "POST", path, json={"destination": "web"})
    assert (first.status_code, first.json()["state"], first.json()["report"]) == (202, "PENDING", "")
    assert (await door.get(f"/api/orders/{order}"))["state"] == "REPORTED"
    waiting = await door.call("admin", "POST", path, json={"destination": "web"})
    assert waiting.json()["delivery"] == first.json()["delivery"]
    await door.house.records.run("UPDATE deliveries SET state = 'SENT', attempt = 3 WHERE destination = 'web'")
    again = (await door.call("admin", "POST", path, json={"destination": "web"})).json()
    assert (again["delivery"], again["state"], again["attempt"]) == (first.json()["delivery"], "PENDING", 0)


async def test_images_that_did_not_arrive_leave_the_order_flagged(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="REPORTED")
    row, new = await deliveries.create_of_study(filed.study, 1, order, "archive", now_ms())
    assert new
    await dispatch.close_delivered(door.house, now=now_ms())
    assert (await orders.get(order)).state == "REPORTED", "the images are waited for"
    await door.house.records.run("UPDATE deliveries SET state = 'FAILED' WHERE id = {}", row.id)
    await dispatch.close_delivered(door.house, now=now_ms())
    assert (await orders.get(order)).delivery_failed
    await door.call("admin", "POST", f"/api/deliveries/{row.id}/resend")
    await door.house.records.run("UPDATE deliveries SET state = 'SENT' WHERE id = {}", row.id)
    await dispatch.close_delivered(door.house, now=now_ms())
    assert (await orders.get(order)).state == "DELIVERED"
