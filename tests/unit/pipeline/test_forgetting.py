"""What has ended does not pile up in the records."""

from pathlib import Path

from appliance import clock
from appliance.access import sessions
from appliance.access.accounts import create_user
from appliance.access.lockout import Strangers
from appliance.access.section import AccessSection
from appliance.house import open_house
from appliance.moments import now_ms
from appliance.records.tables import Session

PASSWORD = "Correct-Horse-Battery-1"


async def test_a_session_is_forgotten_a_day_after_its_end(tmp_path: Path) -> None:
    task = next(one for one in clock.TASKS if one.name == "forget-ended")
    async with open_house(tmp_path / "home", create=True) as house:
        now = now_ms()
        await create_user("Meyer", "user", PASSWORD, now)
        signed = await sessions.sign_in(house.keys, AccessSection(), Strangers(), "meyer", PASSWORD, address="::1", now=now)
        ends_at = signed.caller.expires_at
        await task.function(house, ends_at + clock.DAY_MS)
        assert await Session.count().run() == 1
        await task.function(house, ends_at + clock.DAY_MS + 1)
        assert await Session.count().run() == 0
