"""Scheduled tasks and retention: when each runs, what came of it, 'run now', and what would go (NOT-03, NOT-04)."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

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
    on: bool
    running: bool
    last_at: str | None
    """When its last run began."""
    next_at: str | None
    took_ms: int
    result: str
    failed: bool


class RetentionView(View, frozen=True, kw_only=True):
    """What would be deleted now by its age, and what stays although it is old."""

    studies: int
    orders: int
    files: int
    bytes: int
    rows: dict[str, int]
    logs: int
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
    rows = await tasks.everyone()
    return _view(found, (await visit.house.settings()).settings, rows[found.name], visit.now)


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
        kept=found.kept,
    )


def _view(task: Task, settings: Settings, row: TaskRow, now: int) -> TaskView:
    due = schedule.next_at(task, settings, row, now)
    return TaskView(
        task=task.name,
        title=task.title,
        on=due is not None,
        running=bool(row.worker) and row.lease_until > now,
        last_at=iso(row.last_at) if row.last_at else None,
        next_at=None if due is None else iso(due),
        took_ms=row.took_ms,
        result=row.result,
        failed=row.failed,
    )


HANDLERS = (list_tasks, run_task, preview)
