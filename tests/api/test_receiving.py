"""What the API tells about receiving: associations that came to nothing, senders, pauses, studies that wait for a person."""

from appliance.events import AssociationFailed, AssociationRefused
from appliance.moments import now_ms
from appliance.records import audit, disk, events, senders, studies
from appliance.records.disk import Sample
from appliance.records.senders import Seen
from appliance.states import StudyState
from appliance.upkeep.forecast import DAY_MS
from tests.api.conftest import Door, Filed

GB = 1 << 30


async def allow_only_ct1(door: Door) -> None:
    """The list of allowed callers in the settings."""
    version = (await door.get("/api/settings"))["version"]
    body = {"receive": {"allowed_callers": ["CT1"]}}
    answer = await door.call("admin", "PATCH", "/api/settings", json=body, headers={"If-Match": str(version)})
    assert answer.status_code == 200, answer.text


async def test_each_association_that_came_to_nothing_has_a_sentence_and_what_helps(door: Door) -> None:
    """REC-02, REC-08: newest first, with kind, caller and address."""
    why = {"reason": "it aborted after 3 instances", "advice": "look into its own log for the reason"}
    await events.append(AssociationRefused(caller="CT2", address="192.0.2.7", reason="r", advice="a"), 1_000)
    await events.append(AssociationFailed(caller="MR1", address="192.0.2.8", **why), 2_000)
    first, second = await door.get("/api/associations", role="user")
    assert (first["kind"], first["caller"], first["sentence"], first["advice"]) == ("failed", "MR1", *why.values())
    assert (second["kind"], second["address"], second["at"]) == ("refused", "192.0.2.7", "1970-01-01T00:00:01.000Z")
    assert [one["caller"] for one in await door.get("/api/associations?limit=1")] == ["MR1"]


async def test_senders_are_listed_with_what_their_pauses_ask_for(door: Door) -> None:
    """REC-06, REC-13: also those that may no longer send."""
    async with door.house.records.transaction():
        seen = [Seen(sender=one, address="192.0.2.1", studies=20, instances=900, pauses={90: 2}) for one in ("CT1", "MR1")]
        await senders.note(door.house.records, seen, 1_000)
    await allow_only_ct1(door)
    found = await door.get("/api/senders", role="user")
    assert [(one["ae_title"], one["allowed"], one["quiet_s"], one["proposed_quiet_s"]) for one in found] == [
        ("CT1", True, 60, 120),
        ("MR1", False, 60, 120),
    ]


async def test_receiving_and_delivery_are_paused_and_resumed_by_administrators_and_audited(door: Door) -> None:
    """REC-14."""
    for part, name in (("receiving", "receiving_paused"), ("delivery", "delivery_paused")):
        assert (await door.call("user", "POST", f"/api/{part}/pause")).status_code == 403
        assert (await door.call("admin", "POST", f"/api/{part}/pause")).json() == {"paused": True}
        assert (await door.get("/api/status"))[name] is True
        assert (await door.call("admin", "POST", f"/api/{part}/resume")).json() == {"paused": False}
        assert (await door.get("/api/status"))[name] is False
    actions = [row.action async for row in audit.in_order()]
    assert {"receiving.pause", "receiving.resume", "delivery.pause", "delivery.resume"} <= set(actions)


async def test_health_warns_while_anybody_may_send_or_nobody_may(door: Door) -> None:
    """REC-13: a warning for whoever looks after the appliance, and no fault."""

    async def callers() -> tuple[str, str]:
        (part,) = [one for one in (await door.get("/api/health"))["parts"] if one["name"] == "callers"]
        return part["status"], part["detail"]

    assert await callers() == ("warn", "every calling AE title may send")
    await allow_only_ct1(door)
    assert await callers() == ("ok", "")
    await door.call("admin", "POST", "/api/receiving/pause")
    assert await callers() == ("warn", "receiving is paused for maintenance")


async def test_status_tells_how_long_the_disk_will_last(door: Door) -> None:
    """NOT-05: free space and days until full."""
    assert (await door.get("/api/status"))["days_until_full"] is None
    now, free = now_ms(), door.house.storage.free_bytes()
    for hour in range(72):
        at = now - DAY_MS * 3 + hour * DAY_MS // 24
        await disk.note(door.house.records, Sample(at=at, free=free + (72 - hour) * free // 240, total=4 * free))
    status = await door.get("/api/status")
    assert 8 < status["days_until_full"] < 12
    assert status["home_total_bytes"] >= status["home_free_bytes"]


async def test_a_quarantined_study_says_why_and_is_released_by_an_administrator(door: Door, filed: Filed) -> None:
    """REC-05: conflict and quarantine are shown; a person lets the study go on, which is audited."""
    await door.house.records.run(
        "UPDATE studies SET state = 'QUARANTINED', reason = 'conflicting-instances', conflicts = 2 WHERE id = {}", filed.study
    )
    study = await door.get(f"/api/studies/{filed.study}")
    assert (study["study_state"], study["conflicts"]) == ("QUARANTINED", 2)
    assert study["quarantine"] == "instances of it came again with other content"
    assert (await door.call("user", "POST", f"/api/studies/{filed.study}/release")).status_code == 403
    assert (await door.call("admin", "POST", f"/api/studies/{filed.study}/release")).status_code == 200
    assert (await studies.get(filed.study)).state is StudyState.RECEIVING
    assert (await door.call("admin", "POST", f"/api/studies/{filed.study}/release")).status_code == 409
    assert filed.study in [row.target async for row in audit.in_order() if row.action == "study.release"]
