"""What was told, over HTTP (NOT-02)."""

from appliance.records import notices
from tests.api.conftest import Door


async def test_the_newest_notices_are_listed_with_their_reasons(door: Door) -> None:
    """NOT-02: sent, failed or suppressed, with the reason."""
    for number, (state, reason) in enumerate(
        (("sent", "took it"), ("failed", "answered HTTP 503"), ("suppressed", "cool-down"))
    ):
        row = notices.NoticeRow(
            id=notices.identifier(number, "webhook", 1_800_000_000_000 + number), seq=number, subject="qc-failed",
            severity="warning", route="webhook", state=state, reason=reason, digest=False, attempt=1, worker="", lease_until=0,
            not_before=0, at=1_800_000_000_000 + number, sent_at=None, topic="qc-failed", body="{}",
        )  # fmt: skip
        await notices.add(door.house.records, row)
    listed = await door.get("/api/notices")
    assert [(one["state"], one["reason"]) for one in listed][:2] == [
        ("suppressed", "cool-down"),
        ("failed", "answered HTTP 503"),
    ]
    assert [one["state"] for one in await door.get("/api/notices?state=failed&event=qc-failed")] == ["failed"]
    assert await door.get("/api/notices?event=low-disk") == []
    assert (await door.call("user", "GET", "/api/notices")).status_code == 403
    assert (await door.call("admin", "GET", "/api/notices?state=lost")).status_code == 400
