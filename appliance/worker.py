"""A worker: claims an order, runs the step of its state in a child process, and advances it, over and over."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from appliance import remote
from appliance.compute.dask import WAITING
from appliance.compute.local import StageCancelled, StageDied, StageEnded
from appliance.dispatch import close_delivered
from appliance.errors import Misconfigured, NeedsPerson, RanvierError, Retry, Waits
from appliance.events import Event, OrderFailed, OrderHeld, OrderWaits, Progress, StageRetried
from appliance.house import House
from appliance.moments import now_ms
from appliance.pipeline import STEPS, advance, cancelled
from appliance.records import events, orders
from appliance.records.orders import FAILURE_REPORT_DUE, LeaseLost, OrderRow
from appliance.states import OrderState
from appliance.steps import Move, Work
from appliance.support import write_bundle

log = logging.getLogger(__name__)

LEASE_MS = 30_000
IDLE_S = 0.25
"""How long a worker waits before it asks again for work when there was none."""
MOST_DEATHS = 10
"""Failures of one state, deaths of whole workers among them, after which a study is put aside whatever the attempts are."""


class PoisonStudy(NeedsPerson):
    """{count} attempts in a row crashed; the last: {crash}"""

    code = "poison-study"
    next_step = "Get the support bundle of this order; raise the limit it names or leave the study out, then retry."


class TookWorkersAlong(NeedsPerson):
    """{count} workers ended while they worked on this study."""

    code = "took-workers-along"
    next_step = "Get the support bundle of this order; look at memory and log of the machine, then retry."


def worker_name() -> str:
    """Host, process and its start, so that the next process on this machine can tell whether this one lives."""
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{_started(os.getpid())}:{secrets.token_hex(2)}"


def _started(pid: int) -> str:
    """A process's start in clock ticks (proc(5), field 22); empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_dead(worker: str) -> bool:
    """Whether a worker of this machine has ended; workers of other machines are left to their leases."""
    host, pid, started, *_ = worker.split(":")
    return host == socket.gethostname()[:24] and _started(int(pid)) != started


class Worker:
    """Takes orders one after another and runs the step of each one's state."""

    def __init__(self, house: House, *, lease_ms: int = LEASE_MS, clock: Callable[[], int] = now_ms) -> None:
        self.house = house
        self.name = worker_name()
        self._lease_ms = lease_ms
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; the order in hand is finished or goes back to the queue."""
        while not stop.is_set():
            if not await self.work_once(stop):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), IDLE_S)

    async def work_once(self, stop: asyncio.Event) -> bool:
        """Claims one order and runs its step; false when nothing was due or processing is paused."""
        if (await self.house.settings()).settings.compute.paused:
            return False
        states = [state for state in STEPS if state is not OrderState.FAILED]
        row = await orders.claim(
            self.house.records, worker=self.name, states=states, now=self._clock(), lease_ms=self._lease_ms
        )
        if row is None:
            return False
        with contextlib.suppress(LeaseLost):
            await self._in_hand(row, stop)
        return True

    async def _in_hand(self, row: OrderRow, stop: asyncio.Event) -> None:
        halt = asyncio.Event()
        keeper = asyncio.create_task(self._keep_lease(row, halt, stop))
        try:
            loaded = await self.house.settings()
            work = Work(self.house, loaded.settings, row, self._clock(), halt, self._teller(row))
            move = await self._outcome(work, stop)
            if move is not None:
                await advance(self.house, row, move, now=self._clock())
                if move.to is OrderState.REPORTED:
                    await close_delivered(self.house, now=self._clock())
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError, LeaseLost):
                await keeper

    async def _keep_lease(self, row: OrderRow, halt: asyncio.Event, stop: asyncio.Event) -> None:
        """Renews the lease; sets `halt` when the order was cancelled, the lease lost, or the process is to end."""
        pause = min(self._lease_ms / 3000, 1.0)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            try:
                asked = await orders.renew(self.house.records, row, now=self._clock(), lease_ms=self._lease_ms)
            except LeaseLost:
                asked = True
            if asked or stop.is_set():
                halt.set()
                return

    def _teller(self, row: OrderRow) -> Callable[[str, float, str], Awaitable[None]]:
        shown = [("", -1)]

        async def say(stage: str, fraction: float, step: str) -> None:
            percent = int(fraction * 100)
            if shown[0] == (step, percent):
                return
            shown[0] = (step, percent)
            async with self.house.records.transaction():
                await orders.show_progress(
                    self.house.records,
                    row,
                    stage=stage,
                    step=step,
                    percent=percent,
                    waits_no_more=row.code in WAITING | remote.WAITING,
                )
                event = Progress(study=row.study, order=row.id, stage=stage, step=step, percent=percent)
                await events.replace_progress(event, self._clock())

        return say

    async def _outcome(self, work: Work, stop: asyncio.Event) -> Move | None:
        """Runs the step; every way it can end becomes a move, or the order goes back to the queue."""
        row = work.row
        try:
            if row.cancel_asked:
                raise StageCancelled()
            if row.failures >= max(MOST_DEATHS, work.settings.compute.attempts):
                return await self._quarantined(work, TookWorkersAlong(count=row.failures))
            return await STEPS[row.state](work)
        except LeaseLost:
            raise
        except StageCancelled:
            if stop.is_set():
                await orders.give_up(
                    self.house.records, row, now=self._clock(), not_before=0, failures=row.failures, detail=row.detail
                )
                return None
            return cancelled(row, row.owner or "an operator")
        except StageEnded as ended:
            return await self._ended(work, ended)
        except StageDied as died:
            if row.failures + 1 < work.settings.compute.attempts:
                return await self._again(work, died.code, died.what, min(died.after, 5.0))
            return await self._quarantined(work, PoisonStudy(count=row.failures + 1, crash=died.what))
        except (NeedsPerson, Misconfigured) as error:
            return _held(row, error.code, error.what)
        except Waits as error:
            await self._waits(work, error)
            return None
        except Retry as error:
            return await self._again(work, error.code, error.what, error.after)
        except RanvierError as error:
            return _failed(row, error.code, error.what)
        except Exception as fault:
            log.exception("a step failed unexpectedly", extra={"order": row.id, "code": "internal"})
            return await self._again(work, "internal", f"An unexpected {type(fault).__name__}.", 5.0)

    async def _ended(self, work: Work, ended: StageEnded) -> Move | None:
        error = ended.error
        if error.kind in ("retry", "internal"):
            return await self._again(work, error.code, error.what, error.after if error.kind == "retry" else 5.0)
        if error.kind in ("needs-person", "misconfigured"):
            return _held(work.row, error.code, error.what)
        return _failed(work.row, error.code, error.what)

    async def _quarantined(self, work: Work, error: NeedsPerson) -> Move:
        """Puts a study aside whose stages keep crashing, with what a developer needs to find out why."""
        row = work.row
        if row.state is OrderState.FAILED:
            return _failed(row, error.code, error.what)
        await write_bundle(self.house, work.settings, row, error.what, now=self._clock())
        return _held(row, error.code, error.what)

    async def _waits(self, work: Work, error: Waits) -> None:
        """Back to the queue without an attempt counted; the world is told once, however often it is tried."""
        row, now = work.row, self._clock()
        async with self.house.records.transaction():
            await orders.give_up(
                self.house.records,
                row,
                now=now,
                not_before=now + int(error.after * 1000),
                failures=row.failures,
                detail=error.what,
                code=error.code,
            )
            if row.code != error.code:
                await events.append(OrderWaits(study=row.study, order=row.id, code=error.code, what=error.what), now)

    async def _again(self, work: Work, code: str, what: str, after: float) -> Move | None:
        """Another attempt later, or the end when there were enough."""
        row = work.row
        failures = row.failures + 1
        if failures >= work.settings.compute.attempts:
            return _failed(row, code, what)
        now = self._clock()
        async with self.house.records.transaction():
            await orders.give_up(
                self.house.records, row, now=now, not_before=now + int(after * 1000), failures=failures, detail=what
            )
            event = StageRetried(study=row.study, order=row.id, stage=row.state, attempt=failures + 1, what=what)
            await events.append(event, now)
        return None


def _held(row: OrderRow, code: str, what: str) -> Move:
    if row.state is OrderState.FAILED:
        # An order that has failed stays so, and says what a person must look at before its failure report can be made.
        event: Event = OrderFailed(study=row.study, order=row.id, code=code, what=what)
        said = f"{row.detail.removesuffix(what).rstrip()} {what}".strip()
        return Move(OrderState.FAILED, [event], {"code": row.code, "detail": said, "stage": ""})
    event = OrderHeld(study=row.study, order=row.id, code=code, what=what)
    return Move(OrderState.HELD, [event], {"code": code, "detail": what})


def _failed(row: OrderRow, code: str, what: str) -> Move:
    if row.state is OrderState.FAILED:
        # The failure report itself could not be made: the order stays failed, and says so.
        return Move(OrderState.FAILED, [], {"code": row.code, "detail": row.detail, "stage": ""})
    event = OrderFailed(study=row.study, order=row.id, code=code, what=what)
    return Move(OrderState.FAILED, [event], {"code": code, "detail": what, "stage": FAILURE_REPORT_DUE, "step": str(row.state)})
