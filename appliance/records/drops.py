"""Drops: what was put into watched folders, from the moment it is taken to the receipt."""

from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.moments import new_id
from appliance.records.engine import Records
from appliance.records.identities import Sealer
from appliance.records.latest import latest
from appliance.records.retrieval_tables import Drop, DropStudy
from appliance.records.words import DROP_WORDS

_PURPOSE = "drops"
TAKING, TAKEN, DONE, REFUSED = "TAKING", "TAKEN", "DONE", "REFUSED"
"""Being brought in; brought in, its receipt waits for the filing; receipt written; nothing of it could be used."""
OPEN = (TAKING, TAKEN)


class DropRow(msgspec.Struct, kw_only=True, frozen=True):
    """One drop as it stands in the records."""

    id: str
    folder: str
    state: str
    stored: int
    left_out: int
    detail: str
    attempt: int
    not_before: int
    created_at: int
    ended_at: int | None


def _row(found: dict[str, Any]) -> DropRow:
    return msgspec.convert({name: found[name] for name in DropRow.__struct_fields__}, DropRow, strict=False)


async def begin(keys: Sealer, folder: str, name: bytes, now: int) -> DropRow:
    """Notes that a drop is about to be taken, before anything is moved; its name is sealed."""
    drop = new_id(now)
    await Drop.insert(
        Drop(id=drop, folder=folder, state=TAKING, sealed=keys.seal(_PURPOSE, name, drop), not_before=now, created_at=now)
    ).run()
    return await get(drop)


async def get(drop: str) -> DropRow:
    """One drop that is known to be there."""
    return _row((await Drop.select().where(Drop.id == drop).run())[0])


async def name_of(keys: Sealer, drop: str) -> bytes:
    """The name that a drop had in its folder."""
    rows = await Drop.select(Drop.sealed).where(Drop.id == drop).run()
    return keys.open(_PURPOSE, bytes(rows[0]["sealed"]), drop)


async def forget(drop: str) -> None:
    """Takes back `begin`: the drop could not be taken and lies where it was."""
    await Drop.delete().where(Drop.id == drop).run()


async def unfinished(folder: str) -> list[DropRow]:
    """The drops of a folder that still need something done, oldest first."""
    rows = await Drop.select().where(Drop.folder == folder).where(Drop.state.is_in(list(OPEN))).order_by(Drop.id).run()
    return [_row(one) for one in rows]


async def page(text: str = "", *, before: str = "", limit: int = 100, now: int = 0) -> tuple[list[DropRow], str]:
    """The newest drops that fit a filter, from one on, and the mark of the next page; raises `FilterProblem`."""
    rows, mark_of_next = await latest(Drop, DROP_WORDS, text=text, before=before, limit=limit, now=now)
    return [_row(row) for row in rows], mark_of_next


async def again(records: Records, row: DropRow, *, not_before: int, detail: str) -> None:
    """Puts a drop off that could not be brought in now."""
    await records.run(
        "UPDATE drops SET attempt = attempt + 1, not_before = {}, detail = {} WHERE id = {}", not_before, detail, row.id
    )


async def end(records: Records, row: DropRow, state: str, *, now: int, detail: str = "") -> None:
    """Ends a drop as done or refused."""
    await records.run("UPDATE drops SET state = {}, detail = {}, ended_at = {} WHERE id = {}", state, detail, now, row.id)


async def taken(records: Records, row: DropRow, uid_keys: Sequence[str], *, stored: int, left_out: int) -> None:
    """Says that every instance of a drop is durable, and which studies it brought; to be called in a transaction."""
    await records.run(
        "UPDATE drops SET state = {}, stored = {}, left_out = {}, detail = '' WHERE id = {}", TAKEN, stored, left_out, row.id
    )
    await records.run("DELETE FROM drop_studies WHERE drop_id = {}", row.id)
    if uid_keys:
        await DropStudy.insert(
            *(DropStudy(id=new_id(), drop_id=row.id, folder=row.folder, uid_key=one) for one in uid_keys)
        ).run()


async def studies_of(records: Records, drop: str) -> tuple[list[str], int]:
    """The studies of a drop that are filed, and how many it brought in all."""
    found = (await studies_of_many(records, [drop])).get(drop, [])
    return [one for one in found if one], len(found)


async def studies_of_many(records: Records, drops: Sequence[str]) -> dict[str, list[str]]:
    """Drop -> its studies; the empty string stands for one that is not filed yet."""
    found: dict[str, list[str]] = {}
    if drops:
        rows = await records.run(
            "SELECT drop_studies.drop_id, studies.id AS study FROM drop_studies "
            "LEFT JOIN studies ON studies.uid_key = drop_studies.uid_key "
            f"WHERE drop_studies.drop_id IN ({', '.join('{}' for _ in drops)}) ORDER BY drop_studies.id",
            *drops,
        )
        for row in rows:
            found.setdefault(str(row["drop_id"]), []).append(str(row["study"] or ""))
    return found


async def brought_by(records: Records, study: str) -> tuple[str, str]:
    """The folder whose drop was the first to bring a study, and the study's sender; both empty when none did."""
    rows = await records.run(
        "SELECT drop_studies.folder AS folder, studies.sender AS sender FROM studies "
        "JOIN drop_studies ON drop_studies.uid_key = studies.uid_key WHERE studies.id = {} "
        "ORDER BY drop_studies.id LIMIT 1",
        study,
    )
    return (str(rows[0]["folder"]), str(rows[0]["sender"])) if rows else ("", "")


async def reported(records: Records, folder: str, sender: str) -> list[str]:
    """The newest report of each order of the studies that a folder brought first, oldest order first."""
    rows = await records.run(
        "SELECT reports.id AS report FROM reports JOIN orders ON orders.id = reports.order_id "
        "JOIN studies ON studies.id = orders.study WHERE reports.kind = 'report' AND studies.sender = {} "
        "AND studies.uid_key IN (SELECT uid_key FROM drop_studies WHERE folder = {}) "
        "AND NOT EXISTS (SELECT 1 FROM reports AS later WHERE later.order_id = reports.order_id "
        "AND later.kind = 'report' AND later.version > reports.version) ORDER BY reports.id",
        sender,
        folder,
    )
    return [str(one["report"]) for one in rows]
