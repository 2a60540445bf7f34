"""The audit: who did or saw what, on what, from where, with which result; a hash chain from the first row (UI-10).

Each row's hash covers the hash before it and the whole row, number included, so that a changed, inserted, reordered or removed
row breaks the chain. Rows cut off at the end leave no break: an anchor (number of rows, last hash) kept elsewhere finds those.
"""

import hashlib

import msgspec

from appliance.records import audit as rows
from appliance.records.audit import AuditEntry

FIRST = "0" * 64
_LENGTHS = {"actor": 64, "action": 48, "target": 128, "origin": 64, "result": 32, "detail": 2000}


class Anchor(msgspec.Struct, kw_only=True, frozen=True):
    """How far the chain went at some moment."""

    rows: int
    head: str


class Verdict(msgspec.Struct, kw_only=True, frozen=True):
    """Whether the chain holds, how many rows it has, its last good hash, and the number of the first row that is wrong."""

    ok: bool
    rows: int
    head: str
    first_bad_seq: int | None = None


async def append(actor: str, action: str, target: str, result: str, origin: str, now: int, detail: str = "") -> AuditEntry:
    """Writes one row at the end of the chain; joins the transaction that is open, and then holds the audit until its end.

    `target` is one of our identifiers or a setting's name; no field ever holds a patient's value.
    """
    given = {"actor": actor, "action": action, "target": target, "origin": origin, "result": result, "detail": detail}
    kept = {name: _storable(value)[: _LENGTHS[name]] for name, value in given.items()}
    async with rows.one_at_a_time():
        newest = await rows.last()
        entry = AuditEntry(seq=newest.seq + 1 if newest else 1, at=now, hash="", **kept)
        entry = msgspec.structs.replace(entry, hash=link(newest.hash if newest else FIRST, entry))
        await rows.add(entry)
    return entry


async def append_each(
    actor: str, action: str, targets: list[str], result: str, origin: str, now: int, detail: str = ""
) -> None:
    """One row for each target, all or none."""
    async with rows.one_at_a_time():
        for target in targets:
            await append(actor, action, target, result, origin, now, detail)


async def verify(anchor: Anchor | None = None) -> Verdict:
    """Follows the chain from its first row; with an anchor also finds rows that were cut off or replaced up to it."""
    previous, count = FIRST, 0
    async for entry in rows.in_order():
        if entry.seq != count + 1 or entry.hash != link(previous, entry):
            return Verdict(ok=False, rows=count, head=previous, first_bad_seq=entry.seq)
        previous, count = entry.hash, count + 1
        if anchor and count == anchor.rows and previous != anchor.head:
            return Verdict(ok=False, rows=count, head=previous, first_bad_seq=count)
    if anchor and count < anchor.rows:
        return Verdict(ok=False, rows=count, head=previous, first_bad_seq=count + 1)
    return Verdict(ok=True, rows=count, head=previous)


def link(previous: str, entry: AuditEntry) -> str:
    """The hash of a row: SHA-256 over the hash before it and the row as JSON with sorted keys."""
    row = msgspec.structs.asdict(entry)
    del row["hash"]
    return hashlib.sha256(previous.encode() + b"\n" + msgspec.json.encode(row, order="sorted")).hexdigest()


def _storable(text: str) -> str:
    # PostgreSQL keeps no NUL, and neither database keeps half a surrogate pair.
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
