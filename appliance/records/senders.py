"""Who has sent, and how long each pauses within a study. Functions that write join the transaction that is open."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from appliance.records.engine import Records
from appliance.records.tables import SenderSeen


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch tells about one sender; `pauses` has the number of pauses by their length in seconds."""

    sender: str
    address: str
    studies: int
    instances: int
    pauses: dict[int, int]


class SenderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One sender as it is known."""

    sender: str
    address: str
    studies: int
    instances: int
    pauses: dict[int, int]
    first_at: int
    last_at: int


async def note(records: Records, seen: Sequence[Seen], now: int) -> None:
    """Adds what was seen; in the order of names, so that two receivers do not wait for each other in a circle."""
    for one in sorted(seen, key=lambda each: each.sender):
        rows = await records.run("SELECT pauses FROM senders WHERE sender = {}", one.sender)
        before = msgspec.json.decode(str(rows[0]["pauses"]), type=dict[int, int]) if rows else {}
        pauses = msgspec.json.encode(dict(Counter(before) + Counter(one.pauses))).decode()
        await records.run(
            "INSERT INTO senders (sender, address, studies, instances, pauses, first_at, last_at) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}) ON CONFLICT (sender) DO UPDATE SET address = excluded.address, "
            "studies = senders.studies + excluded.studies, instances = senders.instances + excluded.instances, "
            "pauses = excluded.pauses, last_at = excluded.last_at",
            one.sender,
            one.address,
            one.studies,
            one.instances,
            pauses,
            now,
            now,
        )


async def everyone() -> list[SenderRow]:
    """All senders by their AE title."""
    rows = await SenderSeen.select().order_by(SenderSeen.sender).run()
    return [
        msgspec.convert({**row, "pauses": msgspec.json.decode(str(row["pauses"]), type=dict[int, int])}, SenderRow)
        for row in rows
    ]
