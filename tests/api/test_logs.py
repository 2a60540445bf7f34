"""UI-03: the log is searched over HTTP."""

import json

from appliance.house import House
from appliance.logs import FOLDER
from tests.api.conftest import Door


def logged(house: House, count: int) -> None:
    folder = house.home / FOLDER
    folder.mkdir(exist_ok=True)
    lines = [
        {
            "at": f"2026-11-22T16:00:{number:02d}.000Z",
            "level": "error" if number % 10 == 0 else "info",
            "process": "receive",
            "logger": "x",
            "message": f"line {number}",
            "study": f"0193000{number % 2}-7000-7000-8000-000000000000",
            "error": "OSError",
        }
        for number in range(count)
    ]
    (folder / "receive.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))


async def test_the_log_is_searched_filtered_and_paged(house: House, door: Door) -> None:
    """UI-03: filter by text, level, service, study and time; pages follow each other."""
    logged(house, 40)
    first = await door.get("/api/logs", params={"service": "receive", "limit": 30})
    assert [one["message"] for one in first["items"][:2]] == ["line 39", "line 38"]
    assert first["items"][0]["rest"] == {"error": "OSError"}
    rest = await door.get("/api/logs", params={"service": "receive", "limit": 30, "cursor": first["cursor"]})
    assert ([one["message"] for one in rest["items"]][-1], rest["cursor"]) == ("line 0", "")
    asked = {"level": "warning", "since": "2026-11-22T16:00:10", "until": "2026-11-22T16:00:30"}
    found = await door.get("/api/logs", params=asked)
    assert [one["message"] for one in found["items"]] == ["line 20", "line 10"]
    found = await door.get("/api/logs", params={"study": "01930001", "text": "line 1", "limit": 3})
    assert [one["message"] for one in found["items"]] == ["line 19", "line 17", "line 15"]


async def test_a_place_in_the_log_that_nobody_gave_is_refused(house: House, door: Door) -> None:
    logged(house, 1)
    refused = await door.call("admin", "GET", "/api/logs", params={"cursor": "nowhere"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad-cursor")
    for wrong in ({"since": "yesterday"}, {"study": "../x"}, {"level": "loud"}):
        assert (await door.call("admin", "GET", "/api/logs", params=wrong)).status_code == 400
    assert (await door.call("user", "GET", "/api/logs")).status_code == 403
