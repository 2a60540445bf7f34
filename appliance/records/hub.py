"""What clients of the hub connect, upload and order: queries named by intent."""

from collections.abc import Iterable
from typing import Any

import msgspec

from appliance.records.engine import Records
from appliance.records.hub_tables import HubOrder, HubSession, HubUpload


class SessionRow(msgspec.Struct, kw_only=True, frozen=True):
    """One connected client."""

    id: str
    token: str
    sealed: bytes
    expires_at: int


class HubOrderRow(msgspec.Struct, kw_only=True, frozen=True):
    """One order as its client sees it."""

    id: str
    token: str
    uid_key: str
    sop_keys: str
    bytes: int
    complete: bool
    product: str
    order: str
    refused: str
    qc_report: str
    created_at: int
    asked_at: int

    @property
    def instances(self) -> frozenset[str]:
        """Digests of the instances that were uploaded."""
        return frozenset(msgspec.json.decode(self.sop_keys, type=list[str]))


class UploadRow(msgspec.Struct, kw_only=True, frozen=True):
    """One ZIP on its way in."""

    id: str
    hub_order: str
    zip_index: int
    done: bool


async def add_session(session: str, token: str, sealed: bytes, now: int, expires_at: int) -> None:
    """A client has connected; sessions that are over are forgotten."""
    await HubSession.delete().where(HubSession.expires_at <= now).run()
    await HubSession.insert(HubSession(id=session, token=token, sealed=sealed, expires_at=expires_at)).run()


async def session(identifier: str, now: int) -> SessionRow | None:
    """A session that is not over."""
    row = await HubSession.select().where((HubSession.id == identifier) & (HubSession.expires_at > now)).first().run()
    return msgspec.convert(row, SessionRow, strict=False) if row else None


async def add_order(identifier: str, token: str, now: int) -> None:
    """A new order, empty."""
    await HubOrder.insert(HubOrder(id=identifier, token=token, created_at=now)).run()


async def order(identifier: str, token: str) -> HubOrderRow | None:
    """An order of this key."""
    row = await HubOrder.select().where((HubOrder.id == identifier) & (HubOrder.token == token)).first().run()
    return _order(row) if row else None


async def waiting(limit: int = 100) -> list[HubOrderRow]:
    """Orders that were asked to run and are not opened yet, in the order of asking."""
    query = HubOrder.select().where((HubOrder.asked_at > 0) & (HubOrder.order == "") & (HubOrder.refused == ""))
    return [_order(row) for row in await query.order_by(HubOrder.asked_at).limit(limit).run()]


async def asked_between(token: str, begin: int, end: int) -> list[HubOrderRow]:
    """Orders that a key asked to run in a span of time, oldest first."""
    query = HubOrder.select().where((HubOrder.token == token) & (HubOrder.asked_at >= begin) & (HubOrder.asked_at < end))
    return [_order(row) for row in await query.order_by(HubOrder.asked_at).run()]


async def ask(records: Records, identifier: str, token: str, product: str, now: int, most: int) -> bool:
    """Says that an order is to run; false when the key has run `most` already (0: no limit)."""
    async with records.transaction():
        # All orders of the key are locked, so that two calls at once do not both take the last run.
        await records.run("UPDATE hub_orders SET token = token WHERE token = {}", token)
        if most and await runs(token) >= most:
            return False
        await (
            HubOrder.update({HubOrder.product: product, HubOrder.asked_at: now})
            .where((HubOrder.id == identifier) & (HubOrder.asked_at == 0))
            .run()
        )
        return True


async def runs(token: str) -> int:
    """How many orders a key has asked to run."""
    return int(await HubOrder.count().where((HubOrder.token == token) & (HubOrder.asked_at > 0)).run())


async def opened(identifier: str, order_id: str) -> None:
    """The order has become one of ours."""
    await HubOrder.update({HubOrder.order: order_id}).where(HubOrder.id == identifier).run()


async def refuse(identifier: str, why: str) -> None:
    """The order cannot be run, and why."""
    await HubOrder.update({HubOrder.refused: why[:255]}).where(HubOrder.id == identifier).run()


async def keep_qc(identifier: str, report: str) -> None:
    """What quality control said before the order was run."""
    await HubOrder.update({HubOrder.qc_report: report}).where(HubOrder.id == identifier).run()


async def name_study(identifier: str, uid_key: str) -> None:
    """Says which study an order uploads, before the first of its instances is stored."""
    await HubOrder.update({HubOrder.uid_key: uid_key}).where(HubOrder.id == identifier).run()


async def add_upload(identifier: str, hub_order: str, zip_index: int, now: int) -> None:
    """A ZIP begins."""
    await HubUpload.insert(HubUpload(id=identifier, hub_order=hub_order, zip_index=zip_index, created_at=now)).run()


async def upload(identifier: str, hub_order: str) -> UploadRow | None:
    """One ZIP of an order."""
    found = (HubUpload.id == identifier) & (HubUpload.hub_order == hub_order)
    row = await HubUpload.select().where(found).first().run()
    return msgspec.convert(row, UploadRow, strict=False) if row else None


async def unpacked(
    records: Records, upload_id: str, identifier: str, sop_keys: Iterable[str], size: int, *, final: bool
) -> None:
    """A ZIP's instances are stored; the last ZIP completes the dataset, and what comes after it opens it again."""
    async with records.transaction():
        await records.run("UPDATE hub_orders SET bytes = bytes + {} WHERE id = {}", size, identifier)
        row = await HubOrder.select(HubOrder.sop_keys).where(HubOrder.id == identifier).first().run()
        known = msgspec.json.decode(row["sop_keys"], type=list[str]) if row else []
        merged = msgspec.json.encode(sorted({*known, *sop_keys})).decode()
        await (
            HubOrder.update({HubOrder.sop_keys: merged, HubOrder.complete: final, HubOrder.qc_report: ""})
            .where(HubOrder.id == identifier)
            .run()
        )
        await HubUpload.update({HubUpload.done: True}).where(HubUpload.id == upload_id).run()


async def end_uploads(before: int) -> list[str]:
    """Forgets the ZIPs that were begun before a moment and never completed; gives the orders that still have one on its way."""
    await HubUpload.delete().where((HubUpload.created_at < before) & (HubUpload.done.eq(False))).run()
    rows = await HubUpload.select(HubUpload.hub_order).where(HubUpload.done.eq(False)).run()
    return [str(row["hub_order"]) for row in rows]


async def expire(before: int, why: str) -> int:
    """Ends the orders that were made before a moment and never run; those without a dataset are forgotten. Gives how many."""
    old = (HubOrder.created_at < before) & (HubOrder.asked_at == 0) & (HubOrder.refused == "")
    empty = await HubOrder.delete().where(old & (HubOrder.uid_key == "")).returning(HubOrder.id).run()
    ended = await HubOrder.update({HubOrder.refused: why}).where(old).returning(HubOrder.id).run()
    return len(empty) + len(ended)


def _order(row: dict[str, Any]) -> HubOrderRow:
    return msgspec.convert({**row, "order": row["order_id"]}, HubOrderRow, strict=False)
