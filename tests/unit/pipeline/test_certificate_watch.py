"""The end of a certificate is told in time."""

from pathlib import Path

from appliance import clock, settings
from appliance.house import open_house
from appliance.moments import now_ms
from appliance.records import events
from tests.certificates import make

DAY_MS = 86_400_000


async def test_a_certificate_near_its_end_is_told_once_a_day_for_each_door(tmp_path: Path) -> None:
    """UI-09, REC-03: from thirty days before; a longer one is no news."""
    task = next(one for one in clock.TASKS if one.name == "watch-certificates")
    short, long = make(last_day=20.5), make(last_day=200)
    async with open_house(tmp_path / "home", create=True) as house:
        now = now_ms()
        await task.function(house, now)
        change = {
            "access": {"tls_certificate": long.certificate, "tls_key": long.key},
            "receive": {"tls": True, "tls_certificate": short.certificate, "tls_key": short.key},
        }
        result, changed = settings.patched((await house.settings()).settings, change)
        await house.save(result, based_on=0, actor="test", now=now, changed=changed)
        for later in (0, 3_600_000, DAY_MS + 1, DAY_MS + 2, 190 * DAY_MS):
            await task.function(house, now + later)
        told = [one.event.text() for one in await events.after(0) if one.name == "certificate-expires"]
    assert told == [
        "The TLS certificate of DICOM has 20 days left.",
        "The TLS certificate of DICOM has 19 days left.",
        "The TLS certificate of HTTPS has 9 days left.",
        "The TLS certificate of DICOM has -170 days left.",
    ]
