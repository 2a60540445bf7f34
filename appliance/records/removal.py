"""Rows that go when an order or a study is deleted; events and the audit stay, they name nobody."""

from collections.abc import Sequence

import msgspec

from appliance.records.engine import Records

_ORDER_ROWS = ("deliveries", "reports", "product_runs", "cloud_orders")
_STUDY_ROWS = ("instances", "series", "activities", "identities", "completeness", "upload_documents")
_BY_UID = ("pulls", "drop_studies")
"""What knows a study by the digest of its UID."""


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
    """Whether an association, upload, pull or drop that may bring more of a study is open."""
    uid_key = "(SELECT uid_key FROM studies WHERE id = {})"
    rows = await records.run(
        "SELECT id FROM activities WHERE study = {} UNION ALL "
        f"SELECT id FROM pulls WHERE uid_key = {uid_key} AND state IN ('PENDING', 'RUNNING') UNION ALL "
        f"SELECT d.id FROM drop_studies s JOIN drops d ON d.id = s.drop_id WHERE s.uid_key = {uid_key} "
        "AND d.state IN ('TAKING', 'TAKEN') LIMIT 1",
        *(study, study, study),
    )
    return bool(rows)


async def count_of(records: Records, table: str, column: str, value: str) -> int:
    """How many rows of a table belong to something."""
    rows = await records.run(f"SELECT COUNT(*) AS n FROM {table} WHERE {column} = {{}}", value)
    return int(rows[0]["n"])


async def rows_of_order(records: Records, order: str) -> dict[str, int]:
    """Table -> rows that belong to an order."""
    return {"orders": 1} | {table: await count_of(records, table, "order_id", order) for table in _ORDER_ROWS}


async def rows_of_study(records: Records, study: str) -> dict[str, int]:
    """Table -> rows that belong to a study itself."""
    found = {"studies": 1} | {table: await count_of(records, table, "study", study) for table in _STUDY_ROWS}
    uid_key = await _uid_key(records, study)
    return found | {table: await count_of(records, table, "uid_key", uid_key) for table in _BY_UID}


async def remove_order(records: Records, order: str) -> list[str]:
    """Deletes an order's rows; gives the identifiers of its reports."""
    reports = [str(row["id"]) for row in await records.run("SELECT id FROM reports WHERE order_id = {}", order)]
    for table in _ORDER_ROWS:
        await records.run(f"DELETE FROM {table} WHERE order_id = {{}}", order)
    await records.run("DELETE FROM orders WHERE id = {}", order)
    return reports


async def remove_study(records: Records, study: str) -> list[str]:
    """Deletes a study's own rows; its orders must be gone. Gives the drops that brought something of it.

    A drop that brought other studies too stays, without the name that it had in its folder: people name files after patients.
    """
    uid_key = await _uid_key(records, study)
    rows = await records.run("SELECT DISTINCT drop_id FROM drop_studies WHERE uid_key = {}", uid_key)
    drops = [str(row["drop_id"]) for row in rows]
    for table in _BY_UID:
        await records.run(f"DELETE FROM {table} WHERE uid_key = {{}}", uid_key)
    for drop in drops:
        await records.run("UPDATE drops SET sealed = {} WHERE id = {}", b"", drop)
        await records.run(
            "DELETE FROM drops WHERE id = {} AND NOT EXISTS (SELECT 1 FROM drop_studies WHERE drop_id = {})", drop, drop
        )
    for table in _STUDY_ROWS:
        await records.run(f"DELETE FROM {table} WHERE study = {{}}", study)
    # What its uploader wrote and what it was called elsewhere goes too; the submission itself names nobody.
    of_it = "uid_key = (SELECT uid_key FROM studies WHERE id = {})"
    told = f"UPDATE submissions SET sealed = {{}} WHERE id IN (SELECT submission FROM submission_studies WHERE {of_it})"
    await records.run(told, b"", study)
    await records.run(f"DELETE FROM submission_studies WHERE {of_it}", study)
    await records.run("DELETE FROM studies WHERE id = {}", study)
    return drops


async def blank_notices(records: Records, identifiers: Sequence[str]) -> None:
    """Takes identifiers out of the notices about them; that something was told, and how it went, stays."""
    for one in identifiers:
        about = f"%{one}%"
        await records.run(
            "UPDATE notices SET state = 'suppressed', reason = 'its study was deleted' "
            "WHERE state = 'waiting' AND body LIKE {}",
            about,
        )
        await records.run(
            "UPDATE notices SET topic = subject, body = '' WHERE state <> 'sending' AND (topic LIKE {} OR body LIKE {})",
            *(about, about),
        )


async def to_blank(records: Records, identifiers: Sequence[str], now: int) -> None:
    """Notes identifiers that the log lines must lose; joins the transaction that is open."""
    for one in identifiers:
        await records.run("INSERT INTO erasures (id, at) VALUES ({}, {}) ON CONFLICT (id) DO NOTHING", one, now)


async def still_to_blank(records: Records) -> list[str]:
    """Identifiers that stand in log lines yet."""
    return [str(row["id"]) for row in await records.run("SELECT id FROM erasures ORDER BY at, id LIMIT 10000")]


async def blanked(records: Records, identifiers: Sequence[str]) -> None:
    """No log line has them any more."""
    async with records.transaction():
        for one in identifiers:
            await records.run("DELETE FROM erasures WHERE id = {}", one)


async def _uid_key(records: Records, study: str) -> str:
    rows = await records.run("SELECT uid_key FROM studies WHERE id = {}", study)
    return str(rows[0]["uid_key"]) if rows else ""


async def remember_that_its_order_went(records: Records, study: str, reason: str) -> None:
    """Notes on a study that no order is to be opened for it by itself."""
    await records.run("UPDATE studies SET reason = {}, row_version = row_version + 1 WHERE id = {}", reason, study)
