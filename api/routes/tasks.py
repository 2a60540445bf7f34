"""Scheduled tasks and retention: when each runs, what came of it, 'run now', on and off, what would go (NOT-03, NOT-04)."""

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.guards import declared
from api.views import View
from api.visit import Visit
from appliance import retention, schedule
from appliance.moments import iso
from appliance.records import tasks
from appliance.records.tasks import TaskRow
from appliance.schedule import Task
from appliance.settings import Settings


class TaskView(View, frozen=True, kw_only=True):
    """One scheduled task."""

    task: str
    title: str
    cadence: str
    """As the settings have it."""
    on: bool
    """Whether the clock runs it."""
    switched_off: bool
    """By a person; else the settings say whether it is on."""
    running: bool
    last_at: str | None
    """When its last run began."""
    next_at: str | None
    took_ms: int
    result: str
    failed: bool


class TaskResult(View, frozen=True, kw_only=True):
    """What a task has said, so many times in a row."""

    first_at: str | None
    last_at: str | None
    times: int
    took_ms: int
    """Of the last of these runs."""
    result: str
    failed: bool


class SwitchAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Whether the clock runs a task."""

    on: bool


class RetentionView(View, frozen=True, kw_only=True):
    """What would be deleted now by its age, and what stays although it is old."""

    studies: int
    orders: int
    files: int
    bytes: int
    rows: dict[str, int]
    logs: int
    quarantined: int
    """Instances that could not be filed; they belong to no study."""
    kept: dict[str, int]
    """Reason -> number of studies."""


@get("/api/tasks", operation_id="listTasks", tags=["status"], **declared("status.read"))
async def list_tasks(visit: NamedDependency[Visit]) -> list[TaskView]:
    """Every scheduled task with its last result and its next run."""
    found, rows = (await visit.house.settings()).settings, await tasks.everyone()
    return [_view(one, found, rows.get(one.name, TaskRow(name=one.name)), visit.now) for one in schedule.TASKS]


@post(
    "/api/tasks/{task:str}/run",
    operation_id="runTask",
    tags=["status"],
    status_code=200,
    **declared("settings.write", 404),
)
async def run_task(visit: NamedDependency[Visit], task: FromPath[str]) -> TaskView:
    """Lets a task run at once; its result stands in the list when it has ended."""
    found = schedule.task_of(task)
    async with visit.audited("task.run", found.name):
        await schedule.run_now(visit.house, found.name, visit.now)
    return await _one(visit, found)


@put("/api/tasks/{task:str}", operation_id="switchTask", tags=["status"], **declared("settings.write", 404))
async def switch_task(visit: NamedDependency[Visit], task: FromPath[str], data: JSONBody[SwitchAsked]) -> TaskView:
    """Lets a task run by the clock, or by hand only; what it missed meanwhile is caught up once."""
    found = schedule.task_of(task)
    async with visit.audited("task.switch", found.name, "on" if data.on else "off"):
        await schedule.switch(found.name, on=data.on)
    return await _one(visit, found)


@get("/api/tasks/{task:str}/history", operation_id="listTaskResults", tags=["status"], **declared("status.read", 404))
async def list_results(visit: NamedDependency[Visit], task: FromPath[str]) -> list[TaskResult]:
    """The last results of a task, newest first; the same one again only counts up."""
    return [
        TaskResult(
            first_at=iso(one.first_at),
            last_at=iso(one.last_at),
            times=one.times,
            took_ms=one.took_ms,
            result=one.result,
            failed=one.failed,
        )
        for one in await tasks.history(schedule.task_of(task).name)
    ]


@get("/api/retention", operation_id="previewRetention", tags=["status"], **declared("settings.read"))
async def preview(visit: NamedDependency[Visit]) -> RetentionView:
    """What maintenance would delete now; nothing is deleted."""
    found = await retention.run(visit.house, actor=visit.caller.name, now=visit.now, dry_run=True)
    return RetentionView(
        studies=len(found.studies),
        orders=found.orders,
        files=found.files,
        bytes=found.bytes,
        rows=found.rows,
        logs=found.logs,
        quarantined=found.quarantined,
        kept=found.kept,
    )


async def _one(visit: Visit, task: Task) -> TaskView:
    rows = await tasks.everyone()
    return _view(task, (await visit.house.settings()).settings, rows.get(task.name, TaskRow(name=task.name)), visit.now)


def _view(task: Task, settings: Settings, row: TaskRow, now: int) -> TaskView:
    due = schedule.next_at(task, settings, row, now)
    return TaskView(
        task=task.name,
        title=task.title,
        cadence=task.cadence(settings),
        on=due is not None,
        switched_off=row.off,
        running=bool(row.worker) and row.lease_until > now,
        last_at=iso(row.last_at) if row.last_at else None,
        next_at=None if due is None else iso(due),
        took_ms=row.took_ms,
        result=row.result,
        failed=row.failed,
    )


HANDLERS = (list_tasks, run_task, switch_task, list_results, preview)
