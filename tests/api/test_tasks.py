"""Scheduled tasks over the API: last result, next run, 'run now', and what retention would delete."""

from appliance import schedule
from appliance.moments import now_ms
from appliance.records import audit
from appliance.schedule import Runner
from tests.api.conftest import Door, Filed, an_order

LONG_AGO = 100 * 86_400_000


async def test_tasks_are_listed_run_by_hand_and_previewed_over_the_api(door: Door, filed: Filed) -> None:
    """NOT-03, NOT-04: last result and next run are visible; an administrator runs one now."""
    (found,) = [one for one in await door.get("/api/tasks") if one["task"] == schedule.MAINTENANCE]
    assert (found["last_at"], found["on"], found["running"]) == (None, True, False)
    assert (await door.call("user", "POST", "/api/tasks/maintenance/run")).status_code == 403
    assert (await door.call("admin", "POST", "/api/tasks/nothing/run")).status_code == 404
    assert (await door.call("admin", "POST", "/api/tasks/maintenance/run")).status_code == 200
    await an_order(door.house, filed.study, state="DELIVERED")
    then = now_ms() - LONG_AGO
    await door.house.records.run("UPDATE studies SET last_at = {}, state = 'STABLE'", then)
    await door.house.records.run("UPDATE orders SET updated_at = {}", then)
    preview = (await door.call("admin", "GET", "/api/retention")).json()
    assert (preview["studies"], preview["orders"], preview["kept"]) == (1, 1, {})
    runner = Runner(door.house)
    await runner.look(now_ms(), 0.0)
    await runner.settled()
    (found,) = [one for one in await door.get("/api/tasks") if one["task"] == schedule.MAINTENANCE]
    assert found["result"].startswith("1 studies, 1 orders")
    assert not found["failed"]
    assert found["last_at"] < found["next_at"]
    (told,) = await door.get("/api/tasks/maintenance/history")
    assert (told["times"], told["result"], told["last_at"]) == (1, found["result"], found["last_at"])
    assert (await door.call("user", "PUT", "/api/tasks/maintenance", json={"on": False})).status_code == 403
    off = (await door.call("admin", "PUT", "/api/tasks/maintenance", json={"on": False})).json()
    assert (off["on"], off["switched_off"], off["next_at"], off["cadence"]) == (False, True, None, "hourly")
    assert (await door.call("admin", "PUT", "/api/tasks/maintenance", json={"on": True})).json()["next_at"]
    assert (await door.call("admin", "PUT", "/api/tasks/nothing", json={"on": True})).status_code == 404
    noted = [(row.action, row.target, row.detail) async for row in audit.in_order() if row.action == "task.switch"]
    assert noted == [("task.switch", "maintenance", "off"), ("task.switch", "maintenance", "on")]
