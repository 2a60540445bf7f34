"""What lists and details say, from rows made by hand."""

import msgspec

from api.fill import timeline
from appliance.events import Event, InstancesArrived, StudyStable
from appliance.moments import iso
from appliance.records.events import Stored
from tests.api.conftest import Door, Filed, an_order

NOW = 1_790_000_000_000


def _stored(seq: int, event: Event) -> Stored:
    body = msgspec.Raw(msgspec.json.encode(event))
    return Stored(seq=seq, at=NOW + seq, name=event.name(), severity=event.severity, study="s", order="", body=body)


def _arrived(seq: int, count: int, sender: str) -> Stored:
    return _stored(seq, InstancesArrived(study="s", count=count, sender=sender))


def test_filings_that_follow_each_other_are_one_line_with_their_sum_and_the_last_time() -> None:
    lines = timeline(
        [
            _arrived(1, 10, "MR1"),
            _arrived(2, 20, "MR1"),
            _arrived(3, 5, "MR2"),
            _stored(4, StudyStable(study="s", version=1, instances=35)),
            _arrived(5, 1, "MR2"),
            _arrived(6, 2, "MR2"),
        ]
    )
    assert [(one.seq, one.text) for one in lines] == [
        (2, "30 instances filed from MR1."),
        (3, "5 instances filed from MR2."),
        (4, "Study version 1 is stable with 35 instances."),
        (6, "3 instances filed from MR2."),
    ]
    assert lines[0].at == iso(NOW + 2)


async def test_an_untroubled_order_is_at_its_first_attempt_however_often_it_was_claimed(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study)
    for _ in range(3):
        await door.house.records.run("UPDATE orders SET attempt = attempt + 1 WHERE id = {}", order)
    assert (await door.get(f"/api/orders/{order}"))["attempt"] == 1
    await door.house.records.run("UPDATE orders SET failures = 2 WHERE id = {}", order)
    assert (await door.get(f"/api/orders/{order}"))["attempt"] == 3
