"""Takes due deliveries, one for each destination at a time, and brings each report to where it belongs."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from uuid import uuid4

import msgspec

from appliance import audit, outgoing
from appliance.compute.local import StageDied, StageEnded
from appliance.delivery.breaker import Breakers
from appliance.delivery.destinations import send
from appliance.delivery.dicom_status import outcome_of_promise
from appliance.delivery.parcel import Outcome, Result
from appliance.delivery.schedule import next_attempt
from appliance.delivery.section import AnyDestination, DicomObject, DicomStudy, StowStudy
from appliance.errors import RanvierError
from appliance.events import (
    DeliveryAwaited,
    DeliveryFailed,
    DeliveryRetried,
    DeliverySent,
    Event,
    GroupReportFailed,
    GroupReportSent,
    OrderMoved,
)
from appliance.house import House
from appliance.moments import now_ms, uid_of
from appliance.parcels import parcel_of
from appliance.records import deliveries, events, groups, orders, reports
from appliance.records.deliveries import DeliveryRow, DeliveryTaken
from appliance.records.orders import LeaseLost
from appliance.settings import Settings
from appliance.shipments import send_on
from appliance.states import DeliveryState, OrderState
from appliance.storage import remove_folder

log = logging.getLogger(__name__)

LEASE_MS = 120_000
IDLE_S = 0.25
_STATES = {Result.SENT: DeliveryState.SENT, Result.SENT_WITH_WARNING: DeliveryState.SENT_WITH_WARNING}


class Dispatcher:
    """All deliveries of one process: each destination has at most one under way, and none waits for another's."""

    def __init__(self, house: House, worker: str, *, clock: Callable[[], int] = now_ms) -> None:
        self.house = house
        self.worker = worker
        self._busy: set[str] = set()
        self._freed = asyncio.Event()
        self._breakers = Breakers()
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop` is set; deliveries in hand are finished."""
        async with asyncio.TaskGroup() as under_way:
            while not stop.is_set():
                self._freed.clear()
                row = await self._claim()
                if row is not None:
                    under_way.create_task(self._deliver(row))
                    continue
                # Nothing is due, or only for busy destinations: the next one that is free has its next report at once.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._freed.wait(), IDLE_S)

    async def deliver_once(self) -> bool:
        """Claims one due delivery and makes one attempt; false when none was due or delivery is paused."""
        row = await self._claim()
        if row is not None:
            await self._deliver(row)
        return row is not None

    async def _claim(self) -> DeliveryRow | None:
        if (await self.house.settings()).settings.delivery.paused:
            return None
        now = self._clock()
        row = await deliveries.claim(
            self.house.records,
            worker=self.worker,
            now=now,
            lease_ms=LEASE_MS,
            leave_out=tuple(self._busy),
            paused=tuple(self._breakers.paused(now)),
        )
        if row is not None:
            self._busy.add(row.destination)
        return row

    async def _deliver(self, row: DeliveryRow) -> None:
        # The edge of a process: what one delivery meets must not end the others under way.
        try:
            with contextlib.suppress(LeaseLost, DeliveryTaken):
                settings = (await self.house.settings()).settings
                await self._settle(row, await self._attempt(row, settings), settings)
        except Exception:
            log.exception("a delivery could not be recorded", extra={"order": row.order, "code": "internal"})
        finally:
            self._busy.discard(row.destination)
            self._freed.set()

    async def _attempt(self, row: DeliveryRow, settings: Settings) -> Outcome:
        """One attempt; every way it can end is an outcome."""
        section = outgoing.named(settings, row.destination)
        if section is None:
            return Outcome(result=Result.REFUSED, answer="This destination is no longer in the settings.")
        promised = _promised(row, section)
        if promised is not None:
            return promised
        folder = self.house.storage.scratch(row.id)
        keeper = asyncio.create_task(self._keep_lease(row))
        try:
            if isinstance(section, DicomStudy | StowStudy):
                outcome = await send_on(self.house, row, section)
            else:
                transaction = await self._transaction(row, section)
                outcome = await send(await parcel_of(self.house, row, section, folder, settings, transaction), section)
            return self._minded(row, outcome, settings)
        except StageEnded as ended:
            needs_person = ended.error.kind == "needs-person"
            return Outcome(result=Result.REFUSED if needs_person else Result.TRY_AGAIN, answer=ended.error.what)
        except StageDied as error:
            return Outcome(result=Result.TRY_AGAIN, answer=error.what)
        except RanvierError as error:
            return Outcome(result=Result.REFUSED, answer=error.what)
        except Exception as fault:
            log.exception("a delivery failed unexpectedly", extra={"order": row.order, "code": "internal"})
            return Outcome(result=Result.TRY_AGAIN, answer=f"An unexpected {type(fault).__name__}.")
        finally:
            keeper.cancel()
            await asyncio.to_thread(remove_folder, folder)

    async def _transaction(self, row: DeliveryRow, section: AnyDestination) -> str:
        """Under which this attempt asks for storage commitment, noted before it is sent; empty when the setting is off."""
        if not (isinstance(section, DicomObject) and section.commitment):
            return ""
        transaction = uid_of(str(uuid4()))
        await deliveries.will_ask(self.house.records, row, transaction)
        return transaction

    def _minded(self, row: DeliveryRow, outcome: Outcome, settings: Settings) -> Outcome:
        """Lets the destination's breaker know; a pause that begins stands in the answer."""
        now, delivery = self._clock(), settings.delivery
        until = self._breakers.note(
            row.destination, outcome, now, most_faults=delivery.breaker_failures, pause_s=delivery.breaker_pause_s
        )
        if until is None:
            return outcome
        words = f"{outcome.answer.rstrip('.')}. Other reports for it wait {round((until - now) / 1000)} s."
        return msgspec.structs.replace(outcome, answer=words)

    async def _keep_lease(self, row: DeliveryRow) -> None:
        """Renews the lease while a destination takes its time; a lost one shows when the outcome is recorded."""
        with contextlib.suppress(DeliveryTaken):
            while True:
                await asyncio.sleep(LEASE_MS / 3000)
                await deliveries.renew(self.house.records, row, now=self._clock(), lease_ms=LEASE_MS)

    async def _settle(self, row: DeliveryRow, outcome: Outcome, settings: Settings) -> None:
        """Records the outcome, and closes the order when this was the last of its deliveries."""
        now, section = self._clock(), settings.delivery
        if outcome.result is Result.AWAITED:
            await self._wait_for_promise(row, outcome, now)
            return
        state = _STATES.get(outcome.result)
        later = None
        if state is None and outcome.result is Result.TRY_AGAIN and row.attempt < section.attempts:
            later = next_attempt(row.attempt, section.first_wait_s, outcome, now)
        to = state or (DeliveryState.FAILED if later is None else DeliveryState.PENDING)
        told = await _told(row, to, outcome.answer)
        async with self.house.records.transaction():
            await deliveries.settle(self.house.records, row, to, answer=outcome.answer, now=now, not_before=later or 0)
            await events.append(told, now)
            await _audited(row, to, now)
        if row.order:
            await close_delivered(self.house, now=now, only=row.order)

    async def _wait_for_promise(self, row: DeliveryRow, outcome: Outcome, now: int) -> None:
        """A stored report waits, as no attempt, until its PACS calls back or the time for that is over."""
        until = now + round((outcome.retry_after_s or 0.0) * 1000)
        study = (await orders.get(row.order)).study if row.order else ""
        told = DeliveryAwaited(
            study=study, order=row.order, destination=row.destination, attempt=row.attempt, answer=outcome.answer
        )
        async with self.house.records.transaction():
            await deliveries.wait_for_promise(
                self.house.records, row, answer=outcome.answer, warned=outcome.warned, now=now, until=until
            )
            await events.append(told, now)


def _promised(row: DeliveryRow, section: AnyDestination) -> Outcome | None:
    """What has come of a storage commitment that was asked for; None when the report is to be sent."""
    if not (isinstance(section, DicomObject) and section.commitment and row.transaction_uid):
        return None
    if row.commitment >= 0:
        return outcome_of_promise(row.commitment, section.called_ae, warned=row.warned)
    if row.asked_at:
        words = f"{section.called_ae} stored the report and did not commit to it within {section.commitment_wait_s} s"
        return Outcome(result=Result.TRY_AGAIN, answer=words)
    return None


async def _told(row: DeliveryRow, to: DeliveryState, answer: str) -> Event:
    """What the world is told of an attempt; a group's report belongs to no order."""
    if not row.order:
        group = (await groups.of_report(row.report)).name
        if to in _STATES.values():
            return GroupReportSent(group=group, destination=row.destination, attempt=row.attempt, answer=answer)
        if to is DeliveryState.FAILED:
            return GroupReportFailed(group=group, destination=row.destination, attempt=row.attempt, answer=answer)
        return DeliveryRetried(destination=row.destination, attempt=row.attempt, answer=answer)
    order = await orders.get(row.order)
    kind = DeliverySent if to in _STATES.values() else DeliveryFailed if to is DeliveryState.FAILED else DeliveryRetried
    return kind(study=order.study, order=row.order, destination=row.destination, attempt=row.attempt, answer=answer)


async def _audited(row: DeliveryRow, to: DeliveryState, now: int) -> None:
    """UI-10: what left the appliance, or could not, stands in the audit."""
    if to is DeliveryState.PENDING:
        return
    failed = to is DeliveryState.FAILED
    action, result = ("delivery.failed", "failed") if failed else ("delivery.sent", "done")
    where = f"{row.destination}, attempt {row.attempt}"
    await audit.append("appliance", action, row.order or row.report, result, "", now, where)


async def close_delivered(house: House, *, now: int, only: str = "") -> None:
    """Reported orders, or one, whose deliveries have all ended become DELIVERED; with a flag they stay when one failed."""
    for order in await orders.settled_reported(house.records, only):
        newest = await reports.newest(order.id, "report")
        # What belongs to no report are the study's images.
        due = {"", newest.id if newest is not None else ""}
        failed = any(one.report in due and one.state is DeliveryState.FAILED for one in await deliveries.of_order(order.id))
        with contextlib.suppress(LeaseLost):
            async with house.records.transaction():
                if failed:
                    await orders.move(house.records, order, OrderState.REPORTED, now=now, changes={"delivery_failed": True})
                    continue
                await orders.move(house.records, order, OrderState.DELIVERED, now=now, changes={})
                await events.append(
                    OrderMoved(study=order.study, order=order.id, old=order.state, new=OrderState.DELIVERED), now
                )
