"""The audit: who did or saw what, on what, from where, with which result; a hash chain from the first row (UI-10).

Each row's hash covers the hash before it and the whole row, number included, so that a changed, inserted, reordered or removed
row breaks the chain. Rows cut off at the end leave no break: an anchor (number of rows, last hash) kept elsewhere finds those.
"""

import contextlib
import hashlib
import hmac
import os
import re
from collections.abc import AsyncIterator, Iterable

import msgspec

from appliance.errors import Rejected
from appliance.keys import Keys
from appliance.moments import now_ms
from appliance.records import audit as rows
from appliance.records.audit import AuditEntry

FIRST = "0" * 64
_FORM = "ranvier-audit-1"
_ANCHOR = re.compile(_FORM + r":([0-9]{1,18}):([0-9a-f]{64}):([0-9]{1,18}):([0-9a-f]{32})")
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


class SignedAnchor(Anchor, kw_only=True, frozen=True):
    """An anchor with its time, signed with the appliance's own key: what leaves the machine."""

    at: int
    signature: str

    @property
    def text(self) -> str:
        """As one word, for a log line, a bundle or a command line."""
        return f"{_FORM}:{self.rows}:{self.head}:{self.at}:{self.signature}"


class AnchorWrong(Rejected):
    """This is no anchor that this appliance signed."""

    code = "anchor-wrong"
    next_step = "Give the whole anchor, as heartbeat, log, backup or support bundle hold it."


async def anchor(keys: Keys, now: int) -> SignedAnchor:
    """How far the chain goes now, signed; it reads one row, not the chain."""
    newest = await rows.last()
    return anchor_of(keys, newest.seq, newest.hash, now) if newest else anchor_of(keys, 0, FIRST, now)


def anchor_of(keys: Keys, count: int, head: str, now: int) -> SignedAnchor:
    """The same up to a row whose number and hash are known."""
    return SignedAnchor(rows=count, head=head, at=now, signature=_signature(keys, count, head, now))


def read_anchor(keys: Keys, text: str) -> SignedAnchor:
    """The anchor of a text; raises `AnchorWrong` for anything that this appliance did not sign."""
    found = _ANCHOR.fullmatch(text.strip())
    if found is None:
        raise AnchorWrong()
    count, head, at, signature = int(found[1]), found[2], int(found[3]), found[4]
    if not hmac.compare_digest(signature, _signature(keys, count, head, at)):
        raise AnchorWrong()
    return SignedAnchor(rows=count, head=head, at=at, signature=signature)


def _signature(keys: Keys, count: int, head: str, at: int) -> str:
    return keys.digest("audit-anchor", f"{count}:{head}:{at}")


async def lines(keys: Keys, now: int) -> AsyncIterator[bytes]:
    """The whole audit as JSON lines, oldest row first; the last line is the anchor of what was written."""
    count, head = 0, FIRST
    async for entry in rows.in_order():
        count, head = entry.seq, entry.hash
        yield msgspec.json.encode(entry) + b"\n"
    yield msgspec.json.encode({"anchor": anchor_of(keys, count, head, now).text}) + b"\n"


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


async def append_each(actor: str, action: str, targets: list[str], result: str, origin: str, now: int) -> None:
    """One row for each target, all or none."""
    async with rows.one_at_a_time():
        for target in targets:
            await append(actor, action, target, result, origin, now)


@contextlib.asynccontextmanager
async def process(name: str) -> AsyncIterator[None]:
    """Writes that a process of the appliance began, and that it ended in order."""
    facts = {"target": "", "result": "done", "origin": "", "detail": f"process {os.getpid()}"}
    await append(actor=name, action="process.start", now=now_ms(), **facts)
    yield
    await append(actor=name, action="process.stop", now=now_ms(), **facts)


async def verify(anchor: Anchor | None = None) -> Verdict:
    """Follows the chain from its first row; with an anchor also finds rows that were cut off or replaced up to it."""
    chain = _Chain(anchor)
    async for entry in rows.in_order():
        if not chain.holds(entry):
            return chain.broken_at(entry.seq)
    return chain.end()


def follow(entries: Iterable[AuditEntry], anchor: Anchor | None = None) -> Verdict:
    """The same for rows that somebody exported."""
    chain = _Chain(anchor)
    for entry in entries:
        if not chain.holds(entry):
            return chain.broken_at(entry.seq)
    return chain.end()


class _Chain:
    """How far a chain was followed."""

    def __init__(self, anchor: Anchor | None) -> None:
        self._anchor = anchor
        self._head, self._count = FIRST, 0

    def holds(self, entry: AuditEntry) -> bool:
        """Takes the next row; false when it does not belong there."""
        anchor = self._anchor
        if entry.seq != self._count + 1 or entry.hash != link(self._head, entry):
            return False
        if anchor and entry.seq == anchor.rows and entry.hash != anchor.head:
            return False
        self._head, self._count = entry.hash, self._count + 1
        return True

    def broken_at(self, seq: int) -> Verdict:
        """The verdict on a row that does not belong there."""
        return Verdict(ok=False, rows=self._count, head=self._head, first_bad_seq=seq)

    def end(self) -> Verdict:
        """The verdict when there are no more rows."""
        if self._anchor and self._count < self._anchor.rows:
            return self.broken_at(self._count + 1)
        return Verdict(ok=True, rows=self._count, head=self._head)


def link(previous: str, entry: AuditEntry) -> str:
    """The hash of a row: SHA-256 over the hash before it and the row as JSON with sorted keys."""
    row = msgspec.structs.asdict(entry)
    del row["hash"]
    return hashlib.sha256(previous.encode() + b"\n" + msgspec.json.encode(row, order="sorted")).hexdigest()


def _storable(text: str) -> str:
    # PostgreSQL keeps no NUL, and neither database keeps half a surrogate pair.
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
