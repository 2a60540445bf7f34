"""Tasks with a cadence of their own: one process of a cluster runs each, what was missed is caught up once, results are kept.

When a task is due follows from its last run and from the settings in force, never from a timer: a process that begins, settings
that change and a clock that is set need nothing else.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from appliance import anchors, hub_intake, retention, trail
from appliance.errors import Unknown
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import tasks
from appliance.records.tasks import TaskRow
from appliance.settings import Settings
from appliance.upkeep.cadence import expression_of, following
from appliance.worker import is_dead, worker_name

LEASE_MS = 60_000
LOOK_S = 1.0
DAY_S = 86_400
STEP_MS = 300_000
"""A clock that moves by more than this against the machine's own was set."""
LONG_AWAY_MS = 7 * DAY_S * 1000
MAINTENANCE = "maintenance"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """One task: its next moment after another (None: it is switched off), and what it does and says of it."""

    name: str
    title: str
    after: Callable[[Settings, int], int | None]
    cadence: Callable[[Settings], str]
    function: Callable[[House, int], Awaitable[str]]
    deletes: bool = False
    """It goes by the age of things: put off for a day when the clock was set."""


async def _maintain(house: House, now: int) -> str:
    return (await retention.run(house, actor="appliance", now=now)).words


async def _anchor(house: House, now: int) -> str:
    return f"anchor of {(await anchors.publish(house, now)).rows} rows"


async def _send_trail(house: House, now: int) -> str:
    return f"{await trail.publish(house, now)} rows taken"


def _cadence(settings: Settings, last: int) -> int | None:
    return following(expression_of(settings.scheduler), settings.site.time_zone, last)


def _every_anchor(settings: Settings, last: int) -> int | None:
    return last + settings.audit.anchor_minutes * 60_000


def _often(settings: Settings, last: int) -> int | None:
    return last + 5_000 if settings.audit.messages else None


def _hourly(settings: Settings, last: int) -> int | None:
    return last + 3_600_000 if settings.hub.enabled else None


def _cadence_words(settings: Settings) -> str:
    section = settings.scheduler
    return f"cron {section.cron}" if section.cadence == "cron" else section.cadence


def _anchor_words(settings: Settings) -> str:
    return f"every {settings.audit.anchor_minutes} min"


def _often_words(settings: Settings) -> str:
    return "every 5 s" if settings.audit.messages else "off in the settings"


TASKS: tuple[Task, ...] = (
    Task(MAINTENANCE, "What is older than its retention is deleted", _cadence, _cadence_words, _maintain, deletes=True),
    Task("audit-anchor", "An anchor of the audit leaves", _every_anchor, _anchor_words, _anchor),
    Task("audit-trail", "Rows of the audit leave", _often, _often_words, _send_trail),
    Task(
        "hub-uploads",
        "What clients of the hub began and left is ended",
        _hourly,
        lambda settings: "hourly" if settings.hub.enabled else "off in the settings",
        hub_intake.reap,
        deletes=True,
    ),
)


def task_of(name: str) -> Task:
    """The task of a name; raises `Unknown`."""
    for one in TASKS:
        if one.name == name:
            return one
    raise Unknown(kind="task")


def next_at(task: Task, settings: Settings, row: TaskRow, now: int) -> int | None:
    """When a task is due; a run by hand comes first, and one that never ran is due now. None: it is switched off."""
    if row.asked_at > row.last_at:
        return row.asked_at
    if row.off:
        return None
    # A clock that was set back must not make it wait until the old time comes again.
    found = task.after(settings, min(row.last_at, now))
    return found if found is None or row.last_at else min(found, now)


async def run_now(house: House, name: str, now: int) -> None:
    """Lets a task run as soon as a process looks, within a second or two; raises `Unknown`."""
    await tasks.ask(task_of(name).name, now)


async def switch(name: str, *, on: bool) -> None:
    """Lets a task run by the clock, or by hand only; what it missed is caught up once. Raises `Unknown`."""
    await tasks.switch(task_of(name).name, on=on)


@dataclass
class Runner:
    """What one process runs of the schedule."""

    house: House
    worker: str = field(default_factory=worker_name)
    _running: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _offset: int | None = None
    _doubtful_until: float = 0.0

    async def look(self, now: int, monotonic: float) -> None:
        """Begins every task that is due and that no other process runs."""
        settings = (await self.house.settings()).settings
        rows = await tasks.everyone()
        self._watch_the_clock(now, monotonic, max((one.last_at for one in rows.values()), default=0))
        for task in TASKS:
            row = rows.get(task.name, TaskRow(name=task.name))
            if row.worker and is_dead(row.worker):
                await tasks.free(task.name, row.worker)
                continue
            due = next_at(task, settings, row, now)
            if due is None or due > now or task.name in self._running:
                continue
            if task.deletes and monotonic < self._doubtful_until and row.asked_at <= row.last_at:
                continue
            if await tasks.claim(row, worker=self.worker, now=now, lease_ms=LEASE_MS):
                running = asyncio.create_task(self._run(task, now))
                self._running[task.name] = running
                running.add_done_callback(lambda _, name=task.name: self._running.pop(name, None))  # type: ignore[misc]

    async def settled(self) -> None:
        """Waits for what this process has begun."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def end(self) -> None:
        """Ends what runs; another process takes it up."""
        for one in list(self._running.values()):
            one.cancel()
        await self.settled()

    def _watch_the_clock(self, now: int, monotonic: float, last: int) -> None:
        """After a step of the clock, or a long time without any run, nothing is deleted by its age for a day."""
        offset = now - int(monotonic * 1000)
        moved = self._offset is not None and abs(offset - self._offset) > STEP_MS
        long_away = self._offset is None and last and abs(now - last) > LONG_AWAY_MS
        self._offset = offset
        if moved or long_away:
            self._doubtful_until = monotonic + DAY_S
            log.warning("the clock moved: nothing is deleted by its age for a day", extra={"code": "clock-moved"})

    async def _run(self, task: Task, now: int) -> None:
        keeper = asyncio.create_task(self._keep(task.name, asyncio.current_task()))
        begun, failed = time.monotonic(), False
        try:
            result = await task.function(self.house, now)
        except asyncio.CancelledError:
            await tasks.free(task.name, self.worker)
            raise
        except Exception as fault:
            log.exception("scheduled task %s failed", task.name, extra={"code": "task-failed"})
            result, failed = f"failed: {type(fault).__name__}", True
        finally:
            keeper.cancel()
        took = int((time.monotonic() - begun) * 1000)
        await tasks.done(task.name, worker=self.worker, began=now, took_ms=took, result=result, failed=failed)

    async def _keep(self, name: str, running: "asyncio.Task[None] | None") -> None:
        """Renews the lease; a task that is another's by now is ended here."""
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            if not await tasks.renew(name, worker=self.worker, until=now_ms() + LEASE_MS) and running is not None:
                running.cancel()


async def run(house: House, stop: asyncio.Event) -> None:
    """Looks every second what is due until `stop` is set."""
    runner = Runner(house)
    while not stop.is_set():
        try:
            await runner.look(now_ms(), time.monotonic())
        except Exception:
            log.exception("the schedule could not be read", extra={"code": "task-failed"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_S)
    await runner.end()
