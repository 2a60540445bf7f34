"""Rows that go when an order or a study is deleted; events and the audit stay, they name nobody."""

import msgspec

from appliance.records.engine import Records

_ORDER_ROWS = ("deliveries", "reports", "product_runs", "cloud_orders")
_STUDY_ROWS = ("instances", "series", "activities", "identities", "upload_documents")


class OrderFolders(msgspec.Struct, kw_only=True, frozen=True):
    """One order with what finds its folders, and whether somebody works on it."""

    id: str
    study: str
    study_version: int
    busy: bool


async def orders_of(records: Records, *, study: str = "", order: str = "", now: int) -> list[OrderFolders]:
    """The orders that would go, kept from other writers until this transaction ends.

    An order is busy while a worker holds it or one of its deliveries.
    """
    column, value = ("o.id", order) if order else ("o.study", study)
    tail = "" if records.on_sqlite else " FOR UPDATE OF o"
    sent = "EXISTS (SELECT 1 FROM deliveries d WHERE d.order_id = o.id AND d.worker <> '' AND d.lease_until > {})"
    rows = await records.run(
        f"SELECT o.id, o.study, o.study_version, ((o.worker <> '' AND o.lease_until > {{}}) OR {sent}) AS busy "
        f"FROM orders o WHERE {column} = {{}}{tail}",
        now,
        now,
        value,
    )
    return [msgspec.convert(row, OrderFolders, strict=False) for row in rows]


async def is_arriving(records: Records, study: str) -> bool:
    """Whether an association or upload that may bring more of a study is open."""
    return bool(await records.run("SELECT id FROM activities WHERE study = {} LIMIT 1", study))


async def count_of(records: Records, table: str, column: str, value: str) -> int:
    """How many rows of a table belong to something."""
    rows = await records.run(f"SELECT COUNT(*) AS n FROM {table} WHERE {column} = {{}}", value)
    return int(rows[0]["n"])


async def rows_of_order(records: Records, order: str) -> dict[str, int]:
    """Table -> rows that belong to an order."""
    return {"orders": 1} | {table: await count_of(records, table, "order_id", order) for table in _ORDER_ROWS}


async def rows_of_study(records: Records, study: str) -> dict[str, int]:
    """Table -> rows that belong to a study itself."""
    return {"studies": 1} | {table: await count_of(records, table, "study", study) for table in _STUDY_ROWS}


async def remove_order(records: Records, order: str) -> None:
    """Deletes an order's rows."""
    for table in _ORDER_ROWS:
        await records.run(f"DELETE FROM {table} WHERE order_id = {{}}", order)
    await records.run("DELETE FROM orders WHERE id = {}", order)


async def remove_study(records: Records, study: str) -> None:
    """Deletes a study's own rows; its orders must be gone."""
    for table in _STUDY_ROWS:
        await records.run(f"DELETE FROM {table} WHERE study = {{}}", study)
    await records.run("DELETE FROM studies WHERE id = {}", study)


async def remember_that_its_order_went(records: Records, study: str, reason: str) -> None:
    """Notes on a study that no order is to be opened for it by itself."""
    await records.run("UPDATE studies SET reason = {}, row_version = row_version + 1 WHERE id = {}", reason, study)
