"""Deleting an order, or a study with all its orders: files, rows, previews, reports, and who it belonged to (UI-02).

Events and the audit stay: they hold our identifiers only. Folders are moved to the scratch space inside the transaction and
removed after it: whatever breaks off in between, nothing of them is filed again.
"""

import asyncio
import os
from pathlib import Path

import msgspec

from appliance import cohorts, erasure
from appliance.errors import Conflict, Unknown
from appliance.events import OrderDeleted, StudyDeleted
from appliance.house import House
from appliance.records import events, removal, studies
from appliance.records.removal import OrderFolders
from appliance.records.studies import ORDER_DELETED
from appliance.storage import Storage, remove_folder


class StageRuns(Conflict):
    """Order {order} is being worked on, or one of its reports is being sent."""

    code = "stage-runs"
    next_step = "Cancel the order, or wait until the stage has ended; then delete it."


class StillArriving(Conflict):
    """Instances of this study may still arrive."""

    code = "still-arriving"
    next_step = "Wait until the sender has closed its association and drops and pulls have ended, or cancel the pull."


class Traces(msgspec.Struct, kw_only=True, frozen=True):
    """What goes, or went."""

    orders: list[str]
    rows: dict[str, int]
    files: int
    bytes: int

    @property
    def words(self) -> str:
        """For the audit."""
        rows = ", ".join(f"{count} of {table}" for table, count in self.rows.items() if count)
        return f"{self.files} files, {self.bytes} bytes; rows: {rows}"


async def delete_study(house: House, study: str, *, actor: str, now: int, dry_run: bool = False) -> Traces:
    """Deletes a study and its orders; raises `Unknown`, `StageRuns`, `StillArriving`."""
    records, folder = house.records, house.storage.study(study, 1).parent
    async with records.transaction():
        await studies.lock(records, study)
        group = (await studies.get(study)).group_name
        orders = _idle(await removal.orders_of(records, study=study, now=now))
        if await removal.is_arriving(records, study):
            raise StillArriving()
        rows = await removal.rows_of_study(records, study)
        traces = await _traces(house, orders, rows, [folder, *(house.storage.quarantine(one.id) for one in orders)])
        if dry_run:
            return traces
        reported = await cohorts.is_reported(house, group)
        gone = [study]
        for one in orders:
            gone += [one.id, *await removal.remove_order(records, one.id)]
        drops = await removal.remove_study(records, study)
        if reported:
            await cohorts.still_reported(house, group)
        await _forget_elsewhere(house, study, gone, traces.orders, drops, now)
        await events.append(StudyDeleted(study=study, actor=actor, orders=len(orders)), now)
        trash = [_aside(house.storage, folder, study)]
    await _empty(house.storage, trash, traces.orders)
    return traces


async def delete_order(house: House, order: str, *, actor: str, now: int, dry_run: bool = False) -> Traces:
    """Deletes an order; its study stays, and no order is opened for it by itself. Raises `Unknown`, `StageRuns`."""
    records = house.records
    async with records.transaction():
        orders = _idle(await removal.orders_of(records, order=order, now=now))
        if not orders:
            raise Unknown(kind="order")
        folders = _folders(house.storage, orders[0])
        traces = await _traces(house, orders, {}, [*folders, house.storage.quarantine(order)])
        if dry_run:
            return traces
        gone = [order, *await removal.remove_order(records, order)]
        await removal.remember_that_its_order_went(records, orders[0].study, ORDER_DELETED)
        await _forget_elsewhere(house, orders[0].study, gone, [order], [], now)
        await events.append(OrderDeleted(study=orders[0].study, order=order, actor=actor), now)
        trash = [_aside(house.storage, folder, order, folder.parent.name) for folder in folders]
    await _empty(house.storage, trash, [order])
    return traces


async def _forget_elsewhere(house: House, study: str, gone: list[str], orders: list[str], drops: list[str], now: int) -> None:
    """What is known of it outside its own rows and folders; log lines follow within a minute, whoever dies meanwhile."""
    await removal.blank_notices(house.records, gone)
    await removal.to_blank(house.records, gone, now)
    await erasure.outgoing(house, orders, drops)
    await erasure.group_reports(house, study, gone)


def _idle(orders: list[OrderFolders]) -> list[OrderFolders]:
    for one in orders:
        if one.busy:
            raise StageRuns(order=one.id[-8:])
    return orders


def _folders(storage: Storage, order: OrderFolders) -> list[Path]:
    version = order.study_version
    return [
        storage.deidentified(order.study, version, order.id),
        storage.quality(order.study, version, order.id),
        storage.reports(order.study, version, order.id),
        storage.products(order.study, version, order.id, "all").parent,
    ]


async def _traces(house: House, orders: list[OrderFolders], rows: dict[str, int], folders: list[Path]) -> Traces:
    total = dict(rows)
    for one in orders:
        for table, count in (await removal.rows_of_order(house.records, one.id)).items():
            total[table] = total.get(table, 0) + count
    sizes = await asyncio.to_thread(_sizes, folders)
    return Traces(orders=[one.id for one in orders], rows=total, files=len(sizes), bytes=sum(sizes))


def _sizes(folders: list[Path]) -> list[int]:
    return [path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file()]


def _aside(storage: Storage, folder: Path, identifier: str, kind: str = "") -> Path:
    """Moves a folder out of the studies in one step; a place that may be thrown away at any time."""
    trash = storage.scratch(identifier) / f"deleted-{kind}"
    if folder.exists():
        trash.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_folder(trash)
        os.rename(folder, trash)
    return trash


async def _empty(storage: Storage, trash: list[Path], orders: list[str]) -> None:
    made_by = (storage.scratch, storage.kept, storage.quarantine)
    for folder in (*(one.parent for one in trash), *(made(one) for one in orders for made in made_by)):
        await asyncio.to_thread(remove_folder, folder)
