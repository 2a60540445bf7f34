"""Delivered only after the PACS committed to keep the report (RES-08): Orthanc, and an archive that answers as it likes."""

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage
from pynetdicom import AE, build_role, evt
from pynetdicom.presentation import build_context

from appliance.checkpoint import undisturbed
from appliance.delivery.section import DeliverySection, DicomPdf
from appliance.dispatch import Dispatcher
from appliance.house import House
from appliance.moments import now_ms
from appliance.promises import PUSH_MODEL, PUSH_MODEL_INSTANCE
from appliance.records import deliveries, events, orders
from appliance.records.deliveries import DeliveryRow
from appliance.states import DeliveryState, OrderState
from tests.journeys.reported import a_reported_order
from tests.receiving import Receiver, opened, until_async
from tests.servers import HOST, a_free_port, an_orthanc

PATIENCE_S = 60.0
WAIT_S = 600


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("keeping")) as one:
        yield one


@dataclass
class Sender:
    """The delivering half of the appliance; its clock is the real one and what the test adds."""

    house: House
    later_ms: int = 0

    def __post_init__(self) -> None:
        self._dispatcher = Dispatcher(self.house, "worker", clock=lambda: now_ms() + self.later_ms)

    async def report_to(self, section: DicomPdf) -> str:
        """A reported order with one delivery, the only one that is open; gives the delivery."""
        await self.house.records.run("UPDATE deliveries SET state = 'FAILED' WHERE state IN ('PENDING', 'SENDING')")
        loaded = await self.house.settings()
        delivery = DeliverySection(destinations=(section,), attempts=2, first_wait_s=0)
        wanted = msgspec.structs.replace(loaded.settings, delivery=delivery)
        await self.house.save(wanted, based_on=loaded.version, actor="test", now=now_ms(), changed=["delivery"])
        (row,) = await a_reported_order(self.house, section.name)
        return row.id

    async def once(self, delivery: str) -> DeliveryRow:
        """One attempt, or one look; gives the row after it."""
        assert await self._dispatcher.deliver_once(), await deliveries.get(delivery)
        return await deliveries.get(delivery)

    async def answered(self, delivery: str) -> None:
        """Waits until a PACS has called back."""

        async def there() -> bool:
            return (await deliveries.get(delivery)).commitment >= 0

        await until_async(there, "the call back", PATIENCE_S)


@pytest.fixture
async def sender(receiver: Receiver) -> AsyncIterator[Sender]:
    async with opened(receiver.home) as house:
        yield Sender(house)


def to(port: int, **changes: Any) -> DicomPdf:
    how = {"called_ae": "PACS", "timeout_s": 20, "commitment": True, "commitment_wait_s": WAIT_S, "commitment_hold_s": 0}
    return DicomPdf(name="PACS", host=HOST, port=port, **{**how, **changes})


async def test_orthanc_commits_by_calling_back_and_only_then_the_report_is_delivered(
    tmp_path: Path, receiver: Receiver, sender: Sender
) -> None:
    """RES-08"""
    known = {"ranvier": ["RANVIER", HOST, receiver.port]}
    with an_orthanc(tmp_path / "orthanc", DicomModalities=known) as pacs:
        delivery = await sender.report_to(to(pacs.port, called_ae=pacs.ae_title))
        stored = await sender.once(delivery)
        assert (stored.state, stored.sent_at, stored.attempt) == (DeliveryState.PENDING, None, 1)
        assert stored.answer == "C-STORE answered 0000H (success); its storage commitment is awaited"
        assert (await orders.get(stored.order)).state is OrderState.REPORTED, "stored is not delivered"
        await sender.answered(delivery)
        done = await sender.once(delivery)
        assert (done.state, done.attempt) == (DeliveryState.SENT, 1), done.answer
        assert done.answer == "ORTHANC stored the report and committed to it"
        assert len(pacs.get("/instances")) == 1
    assert (await orders.get(done.order)).state is OrderState.DELIVERED
    told = [one.name for one in await events.after(0) if one.order == done.order]
    assert told == ["delivery-awaited", "delivery-sent", "order-moved"]


@dataclass
class Archive:
    """A PACS of pynetdicom; `status` answers N-ACTION, `same` is told over the same association: a failure reason or 0."""

    port: int
    status: int = 0
    same: int | None = None
    asked: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)

    def handlers(self) -> list[Any]:
        return [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_ACTION, self._on_action),
            (evt.EVT_DIMSE_SENT, self._on_sent),
        ]

    def _on_store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def _on_action(self, event: Any) -> tuple[int, None]:
        self.asked.append(str(event.action_information.TransactionUID))
        return self.status, None

    def _on_sent(self, event: Any) -> None:
        if self.same is not None and type(event.message).__name__ == "N_ACTION_RSP":
            threading.Thread(target=self._say, args=(event.assoc, self.result(self.same))).start()

    @staticmethod
    def _say(assoc: Any, result: Dataset) -> None:
        kind = 2 if "FailedSOPSequence" in result else 1
        undisturbed(assoc).send_n_event_report(result, kind, PUSH_MODEL, PUSH_MODEL_INSTANCE)

    def result(self, reason: int, *, transaction: str = "", instance: str = "") -> Dataset:
        """The result of the newest question, or one that is spoilt."""
        found, item = Dataset(), Dataset()
        item.ReferencedSOPClassUID = EncapsulatedPDFStorage
        item.ReferencedSOPInstanceUID = instance or self.stored[-1]
        if reason:
            item.FailureReason = reason
        found.TransactionUID = transaction or self.asked[-1]
        setattr(found, "FailedSOPSequence" if reason else "ReferencedSOPSequence", [item])
        return found


@pytest.fixture
def archive() -> Iterator[Archive]:
    one = Archive(a_free_port())
    entity = AE(ae_title="PACS")
    entity.add_supported_context(EncapsulatedPDFStorage)
    entity.add_supported_context(PUSH_MODEL)
    server: Any = entity.start_server((HOST, one.port), block=False, evt_handlers=one.handlers())
    yield one
    server.shutdown()


def call_back(receiver: Receiver, result: Dataset, kind: int = 1) -> int:
    """N-EVENT-REPORT over an association of the archive's, in the role of the provider; gives the status."""
    entity = AE(ae_title="PACS")
    role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)
    assoc = entity.associate(HOST, receiver.port, [build_context(PUSH_MODEL)], ext_neg=[role])
    assert undisturbed(assoc).is_established
    status, _ = assoc.send_n_event_report(result, kind, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    assoc.release()
    return int(status.Status)


async def test_an_archive_may_answer_over_the_same_association(archive: Archive, sender: Sender) -> None:
    """RES-08: one that is refused with its reason, so that the same object is stored again, and one at once."""
    archive.same = 0x0213
    delivery = await sender.report_to(to(archive.port, commitment_hold_s=60))
    refused = await sender.once(delivery)
    assert (refused.state, refused.answer) == (
        DeliveryState.PENDING, "PACS did not commit to the report: 0213H (out of resources)",
    )  # fmt: skip
    archive.same = 0
    done = await sender.once(delivery)
    assert (done.state, done.attempt) == (DeliveryState.SENT, 2), done.answer
    assert len(set(archive.stored)) == 1
    assert len(set(archive.asked)) == 2, "each attempt asks by a transaction of its own"


async def test_what_a_liar_calls_back_delivers_nothing(archive: Archive, receiver: Receiver, sender: Sender) -> None:
    """RES-08: another's transaction, another's instance, an unknown event, nothing at all; then silence, then a refusal."""
    delivery = await sender.report_to(to(archive.port))
    waiting = await sender.once(delivery)
    assert call_back(receiver, archive.result(0, transaction="2.25.404")) == 0x0112
    assert call_back(receiver, archive.result(0, instance="2.25.404")) == 0x0112
    assert call_back(receiver, archive.result(0), kind=3) == 0x0113
    nothing = archive.result(0)
    del nothing.ReferencedSOPSequence
    assert call_back(receiver, nothing) == 0x0114
    assert await deliveries.get(delivery) == waiting
    sender.later_ms = WAIT_S * 1000 + 1000
    silent = await sender.once(delivery)
    assert silent.answer == f"PACS stored the report and did not commit to it within {WAIT_S} s"
    assert len(archive.stored) == 1
    again = await sender.once(delivery)
    assert (again.attempt, len(archive.stored)) == (2, 2)
    assert call_back(receiver, archive.result(0x0112), kind=2) == 0x0000
    assert call_back(receiver, archive.result(0)) == 0x0000, "the first answer counts"
    failed = await sender.once(delivery)
    assert (failed.state, failed.answer) == (
        DeliveryState.FAILED, "PACS did not commit to the report: 0112H (it has no such object)",
    )  # fmt: skip
    assert (await orders.get(failed.order)).delivery_failed


async def test_who_refuses_the_question_or_takes_none_is_named(archive: Archive, sender: Sender) -> None:
    """RES-08: words for an archive without storage commitment, which gets nothing, and one that refuses it."""
    archive.status = 0x0110
    delivery = await sender.report_to(to(archive.port))
    refused = await sender.once(delivery)
    assert refused.answer == "PACS stored the report and refused to commit to it: N-ACTION answered 0110H"
    entity = AE(ae_title="PACS")
    entity.add_supported_context(EncapsulatedPDFStorage)
    port = a_free_port()
    server: Any = entity.start_server((HOST, port), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _: 0)])
    try:
        other = await sender.report_to(to(port))
        without = await sender.once(other)
    finally:
        server.shutdown()
    assert (without.state, without.answer) == (
        DeliveryState.FAILED, "PACS takes no storage commitment, so nothing was sent",
    )  # fmt: skip


async def test_who_died_after_asking_finds_the_promise(archive: Archive, receiver: Receiver, sender: Sender) -> None:
    """RES-04, RES-08: death between asking and recording, then the call back: delivered without a second store."""
    delivery = await sender.report_to(to(archive.port))
    row = await deliveries.claim(sender.house.records, worker="died", now=now_ms(), lease_ms=0)
    assert row is not None
    await deliveries.will_ask(sender.house.records, row, "2.25.77")
    archive.stored.append(row.sop_instance_uid)
    assert call_back(receiver, archive.result(0, transaction="2.25.77")) == 0x0000
    done = await sender.once(delivery)
    assert (done.state, len(archive.stored)) == (DeliveryState.SENT, 1)
