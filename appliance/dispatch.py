"""Takes due deliveries one by one and brings each report to its destination."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.compute.local import StageDied, StageEnded, run_stage
from appliance.delivery.destinations import send
from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.schedule import next_attempt
from appliance.delivery.section import Destination, DicomPdf, Rest
from appliance.errors import RanvierError
from appliance.events import DeliveryFailed, DeliveryRetried, DeliverySent, OrderMoved
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import deliveries, events, identities, orders, reports
from appliance.records.deliveries import DeliveryRow, DeliveryTaken
from appliance.records.identities import PatientIdentity
from appliance.records.orders import LeaseLost, OrderRow
from appliance.records.reports import ReportRow
from appliance.reports.content import EncapsulateRequest, PageIdentity, RenderAnswer, ReportContent, file_name
from appliance.settings import Settings
from appliance.states import DeliveryState, OrderState
from appliance.steps import LIGHT
from appliance.storage import remove_folder

log = logging.getLogger(__name__)

LEASE_MS = 120_000
IDLE_S = 0.25
_STATES = {Result.SENT: DeliveryState.SENT, Result.SENT_WITH_WARNING: DeliveryState.SENT_WITH_WARNING}


class Dispatcher:
    """One pair of hands for deliveries.

    `busy` is shared by all hands of a process: each destination has one of them at a time, so a slow one delays no other.
    """

    def __init__(self, house: House, worker: str, busy: set[str], *, clock: Callable[[], int] = now_ms) -> None:
        self.house = house
        self.worker = worker
        self._busy = busy
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop` is set; a delivery in hand is finished."""
        while not stop.is_set():
            if not await self.deliver_once():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), IDLE_S)

    async def deliver_once(self) -> bool:
        """Claims one due delivery and makes one attempt; false when none was due or delivery is paused."""
        if (await self.house.settings()).settings.delivery.paused:
            return False
        row = await deliveries.claim(
            self.house.records, worker=self.worker, now=self._clock(), lease_ms=LEASE_MS, leave_out=tuple(self._busy)
        )
        if row is None:
            return False
        self._busy.add(row.destination)
        try:
            with contextlib.suppress(LeaseLost, DeliveryTaken):
                settings = (await self.house.settings()).settings
                await self._settle(row, await self._attempt(row, settings), settings)
        finally:
            self._busy.discard(row.destination)
        return True

    async def _attempt(self, row: DeliveryRow, settings: Settings) -> Outcome:
        """One attempt; every way it can end is an outcome."""
        section = _section(settings, row.destination)
        if section is None:
            return Outcome(result=Result.REFUSED, answer="This destination is no longer in the settings.")
        folder = self.house.storage.scratch(row.id)
        keeper = asyncio.create_task(self._keep_lease(row))
        try:
            return await send(await self._parcel(row, section, folder, settings), section)
        except StageEnded as ended:
            return Outcome(result=Result.TRY_AGAIN, answer=ended.error.what)
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

    async def _keep_lease(self, row: DeliveryRow) -> None:
        """Renews the lease while a destination takes its time; a lost one shows when the outcome is recorded."""
        with contextlib.suppress(DeliveryTaken):
            while True:
                await asyncio.sleep(LEASE_MS / 3000)
                await deliveries.renew(self.house.records, row, now=self._clock(), lease_ms=LEASE_MS)

    async def _parcel(self, row: DeliveryRow, section: Destination, folder: Path, settings: Settings) -> Parcel:
        report = await reports.get(row.report)
        order = await orders.get(row.order)
        base = self.house.storage.absolute(report.folder)
        files = {one: base / file_name(row.order, report.kind, report.version, one) for one in report.format_list}
        identity = await identities.get(self.house.keys, order.study) or PatientIdentity()
        if isinstance(section, DicomPdf):
            files = {"dicom-pdf": await self._encapsulated(row, report, section, identity, folder, settings)}
        return Parcel(
            order=row.order,
            report=row.report,
            delivery=row.id,
            kind=report.kind,
            version=report.version,
            files=files,
            idempotency_key=row.idempotency_key,
            sop_instance_uid=row.sop_instance_uid,
            values=_values(order, report, identity if isinstance(section, Rest) and section.identity_in_values else None),
        )

    async def _encapsulated(
        self,
        row: DeliveryRow,
        report: ReportRow,
        section: DicomPdf,
        identity: PatientIdentity,
        folder: Path,
        settings: Settings,
    ) -> Path:
        """The report as an Encapsulated PDF under the original patient and study, for the time of the attempt."""
        content = msgspec.json.decode(report.content, type=ReportContent)
        page = PageIdentity(patient_name=identity.patient_name, patient_id=identity.patient_id, birth_date=identity.birth_date)
        await asyncio.to_thread(remove_folder, folder)
        out_folder = folder / "out"
        out_folder.mkdir(parents=True)
        request = EncapsulateRequest(
            content=content,
            out_folder=str(out_folder),
            identity=msgspec.to_builtins(identity),
            page_identity=page if section.identity_on_pages else None,
            sop_instance_uid=row.sop_instance_uid,
            created_at=report.created_at,
            paper=settings.reports.paper,
            time_zone=settings.site.time_zone,
        )

        async def silent(_fraction: float, _step: str) -> None:
            return None

        raw = await run_stage("encapsulate", request, LIGHT, progress=silent)
        return out_folder / msgspec.json.decode(raw, type=RenderAnswer).files["dicom-pdf"]

    async def _settle(self, row: DeliveryRow, outcome: Outcome, settings: Settings) -> None:
        """Records the outcome, and closes the order when this was the last of its deliveries."""
        now = self._clock()
        order = await orders.get(row.order)
        where = {"study": order.study, "order": row.order, "destination": row.destination}
        state = _STATES.get(outcome.result)
        section = settings.delivery
        later = None
        if state is None and outcome.result is Result.TRY_AGAIN and row.attempt < section.attempts:
            later = next_attempt(row.attempt, section.first_wait_s, outcome, now)
        async with self.house.records.transaction():
            if state is not None:
                await deliveries.settle(self.house.records, row, state, answer=outcome.answer, now=now)
                await events.append(DeliverySent(**where, attempt=row.attempt, answer=outcome.answer), now)
            elif later is not None:
                await deliveries.settle(
                    self.house.records, row, DeliveryState.PENDING, answer=outcome.answer, now=now, not_before=later
                )
                await events.append(DeliveryRetried(**where, attempt=row.attempt, answer=outcome.answer), now)
            else:
                await deliveries.settle(self.house.records, row, DeliveryState.FAILED, answer=outcome.answer, now=now)
                await events.append(DeliveryFailed(**where, attempt=row.attempt, answer=outcome.answer), now)
        await close_delivered(self.house, now=now)


async def close_delivered(house: House, *, now: int) -> None:
    """Reported orders whose deliveries have all ended become DELIVERED, or stay REPORTED with a flag when one failed."""
    for order in await orders.settled_reported(house.records):
        newest = await reports.newest(order.id, "report")
        failed = newest is not None and not (await deliveries.settlement(newest.id)).complete
        with contextlib.suppress(LeaseLost):
            async with house.records.transaction():
                if failed:
                    await orders.move(house.records, order, OrderState.REPORTED, now=now, changes={"delivery_failed": True})
                    continue
                await orders.move(house.records, order, OrderState.DELIVERED, now=now, changes={})
                await events.append(
                    OrderMoved(study=order.study, order=order.id, old=order.state, new=OrderState.DELIVERED), now
                )


def _section(settings: Settings, name: str) -> Destination | None:
    delivery = settings.delivery
    return next((one for one in (*delivery.destinations, *delivery.failure_destinations) if one.name == name), None)


def _values(order: OrderRow, report: ReportRow, identity: PatientIdentity | None) -> dict[str, str]:
    """What a template may name; the identity only where the destination's setting allows it."""
    content = msgspec.json.decode(report.content, type=ReportContent)
    values = {
        "order": order.id,
        "report": report.id,
        "study": order.study,
        "kind": report.kind,
        "version": str(report.version),
        "state": str(order.state),
        "verdict": content.qc_verdict,
        "made_at": content.made_at,
    }
    values |= {row.name: f"{row.value:g}" for section in content.sections for row in section.rows}
    if identity is not None:
        values |= {
            "patient_id": identity.patient_id,
            "patient_name": identity.patient_name,
            "birth_date": identity.birth_date,
            "accession": identity.accession,
        }
    return values
