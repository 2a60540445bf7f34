"""Requests of storage commitment until their result was taken; what they name is sealed, because UIDs lead to people."""

from collections.abc import Sequence

import msgspec

from appliance.records.engine import Records
from appliance.records.retrieval_tables import Commitment

_AT_ONCE = 400


class CommitmentRow(msgspec.Struct, kw_only=True, frozen=True):
    """One request: who asked, over which association, and when its result is sent next."""

    id: str
    sender: str
    association: str
    sealed: bytes
    tries: int
    asked_at: int
    next_at: int


class Kept(msgspec.Struct, kw_only=True, frozen=True):
    """Where the bytes of an instance lie and what they were when they came."""

    sop_key: str
    sop_class: str
    path: str
    content_hash: str
    sender: str


async def add(row: CommitmentRow) -> None:
    """Stores a request."""
    await Commitment.insert(Commitment(**msgspec.structs.asdict(row))).run()


async def due(now: int, limit: int = 20) -> list[CommitmentRow]:
    """Requests whose result is to be sent, oldest first."""
    rows = await Commitment.select().where(Commitment.next_at <= now).order_by(Commitment.next_at).limit(limit).run()
    return [msgspec.convert(row, CommitmentRow, strict=False) for row in rows]


async def claim(records: Records, row: CommitmentRow, next_at: int) -> bool:
    """Takes a request for one try, the next one set; false when another process took it first."""
    return bool(
        await records.run(
            "UPDATE commitments SET tries = tries + 1, next_at = {} WHERE id = {} AND next_at = {} AND tries = {} RETURNING id",
            next_at,
            row.id,
            row.next_at,
            row.tries,
        )
    )


async def settled(commitment: str) -> None:
    """The result was taken, or nobody will take it any more."""
    await Commitment.delete().where(Commitment.id == commitment).run()


async def kept(records: Records, sop_keys: Sequence[str]) -> list[Kept]:
    """Everything that is kept under these digests of SOP Instance UIDs."""
    found: list[Kept] = []
    for start in range(0, len(sop_keys), _AT_ONCE):
        part = sop_keys[start : start + _AT_ONCE]
        places = ", ".join(["{}"] * len(part))
        rows = await records.run(
            f"SELECT sop_key, sop_class, path, content_hash, sender FROM instances WHERE sop_key IN ({places})", *part
        )
        found += [msgspec.convert(row, Kept, strict=False) for row in rows]
    return found
