"""Scheduled tasks: when each last ran, with which results, whether it is switched off, and which process runs it now."""

from typing import Any

import msgspec
from piccolo.columns import Column

from appliance.moments import new_id
from appliance.records.task_tables import TaskResult, TaskRun

KEPT = 50
"""Results of one task that are kept."""


class TaskRow(msgspec.Struct, kw_only=True, frozen=True):
    """One scheduled task."""

    name: str
    last_at: int = 0
    """When its last finished run began."""
    took_ms: int = 0
    result: str = ""
    failed: bool = False
    asked_at: int = 0
    """When somebody asked for a run by hand."""
    off: bool = False
    """Somebody switched it off: it runs by hand only."""
    worker: str = ""
    lease_until: int = 0


class ResultRow(msgspec.Struct, kw_only=True, frozen=True):
    """What a task has said, so many times in a row."""

    name: str
    first_at: int
    last_at: int
    times: int
    took_ms: int
    """Of the last of these runs."""
    result: str
    failed: bool


async def everyone() -> dict[str, TaskRow]:
    """Every task that has ever run or been asked for, by name."""
    rows = await TaskRun.select().run()
    return {row["name"]: msgspec.convert(row, TaskRow, strict=False) for row in rows}


async def ask(name: str, now: int) -> None:
    """Somebody wants a task to run at once."""
    row = TaskRun(name=name, asked_at=now)
    await TaskRun.insert(row).on_conflict(target=TaskRun.name, action="DO UPDATE", values=[TaskRun.asked_at]).run()


async def switch(name: str, *, on: bool) -> None:
    """Lets a task run by the clock, or no more."""
    row = TaskRun(name=name, off=not on)
    await TaskRun.insert(row).on_conflict(target=TaskRun.name, action="DO UPDATE", values=[TaskRun.off]).run()


async def claim(row: TaskRow, *, worker: str, now: int, lease_ms: int) -> bool:
    """Takes a task for one process: false when another has it, or has just run it."""
    await TaskRun.insert(TaskRun(name=row.name)).on_conflict(target=TaskRun.name, action="DO NOTHING").run()
    taken = (
        await TaskRun.update({TaskRun.worker: worker, TaskRun.lease_until: now + lease_ms})
        .where(TaskRun.name == row.name)
        .where(TaskRun.last_at == row.last_at)
        .where((TaskRun.worker == "") | (TaskRun.lease_until < now))
        .returning(TaskRun.name)
        .run()
    )
    return bool(taken)


async def renew(name: str, *, worker: str, until: int) -> bool:
    """Keeps a task; false when it is another's by now."""
    kept = (
        await TaskRun.update({TaskRun.lease_until: until})
        .where(TaskRun.name == name)
        .where(TaskRun.worker == worker)
        .returning(TaskRun.name)
        .run()
    )
    return bool(kept)


async def done(name: str, *, worker: str, began: int, took_ms: int, result: str, failed: bool) -> None:
    """Notes how a run ended, unless the task is another's by now."""
    values: dict[Column | str, Any] = {
        TaskRun.last_at: began,
        TaskRun.took_ms: took_ms,
        TaskRun.result: result[:255],
        TaskRun.failed: failed,
        TaskRun.worker: "",
        TaskRun.lease_until: 0,
    }
    ours = TaskRun.update(values).where(TaskRun.name == name).where(TaskRun.worker == worker)
    if await ours.returning(TaskRun.name).run():
        await _remember(name, began, took_ms, result[:255], failed)


async def _remember(name: str, began: int, took_ms: int, result: str, failed: bool) -> None:
    """Adds to the history; a task that says the same every few seconds fills one row."""
    newest = TaskResult.select().where(TaskResult.name == name).order_by(TaskResult.last_at, TaskResult.id, ascending=False)
    rows = await newest.limit(KEPT).run()
    if rows and (rows[0]["result"], bool(rows[0]["failed"])) == (result, failed):
        changed: dict[Column | str, Any] = {
            TaskResult.last_at: began,
            TaskResult.took_ms: took_ms,
            TaskResult.times: TaskResult.times + 1,
        }
        await TaskResult.update(changed).where(TaskResult.id == rows[0]["id"]).run()
        return
    row = TaskResult(id=new_id(began), name=name, first_at=began, last_at=began, took_ms=took_ms, result=result, failed=failed)
    await TaskResult.insert(row).run()
    if len(rows) == KEPT:
        await TaskResult.delete().where(TaskResult.name == name).where(TaskResult.last_at < rows[-2]["last_at"]).run()


async def history(name: str) -> list[ResultRow]:
    """What a task has said, newest first."""
    rows = TaskResult.select().where(TaskResult.name == name).order_by(TaskResult.last_at, TaskResult.id, ascending=False)
    return [msgspec.convert(row, ResultRow, strict=False) for row in await rows.limit(KEPT).run()]


async def free(name: str, worker: str) -> None:
    """Gives a task of a process that has died back."""
    changed: dict[Column | str, Any] = {TaskRun.worker: "", TaskRun.lease_until: 0}
    await TaskRun.update(changed).where(TaskRun.name == name).where(TaskRun.worker == worker).run()
