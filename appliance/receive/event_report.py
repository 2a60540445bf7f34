"""N-EVENT-REPORT of storage commitment (PS3.4 section J.3.3): over the association it was asked for by, or over a new one."""

import logging
import struct
import threading
from collections.abc import Callable
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import build_role
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from appliance.associating import NotAssociated, associated, leave
from appliance.errors import Misconfigured
from appliance.promises import PUSH_MODEL, PUSH_MODEL_INSTANCE
from appliance.receive.commitment import Outcome, Reference, Result
from appliance.receive.messages import p_data
from appliance.receive.section import ReceiveSection, ResultTaker
from appliance.records.commitments import CommitmentRow

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
ALL_SAFE, SOME_FAILED = 1, 2
_LEAST_PDU, _USUAL_PDU = 4096, 16_384
_NATIVE: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


def event_information(result: Result) -> Dataset:
    """What an N-EVENT-REPORT of storage commitment says (PS3.4 Table J.3-2)."""
    found = Dataset()
    found.TransactionUID = result.transaction
    if result.safe:
        found.ReferencedSOPSequence = [_item(one) for one in result.safe]
    if result.failed:
        found.FailedSOPSequence = [_item(one, reason) for one, reason in result.failed]
    return found


def _item(reference: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class
    item.ReferencedSOPInstanceUID = reference.sop_instance
    if reason is not None:
        item.FailureReason = reason
    return item


class Reporter:
    """Sends results; `associations` gives an open association of pynetdicom by our identifier."""

    def __init__(self, associations: Callable[[str], Any]) -> None:
        self._associations = associations
        self._waiting: dict[tuple[str, int], threading.Event] = {}
        self._number = 0

    def report(self, row: CommitmentRow, result: Result, section: ReceiveSection) -> Outcome:
        """Sends one result and waits for its confirmation; called from one thread at a time."""
        extra = {"sender": row.sender}
        if self._over_same(row, result):
            return "taken"
        taker = section.taker_of_results(row.sender)
        if taker is None:
            log.warning(
                "the association of %s has ended and no address is set where results of its storage commitment go",
                row.sender,
                extra=extra | {"code": "commitment-address-missing"},
            )
            return "later"
        if _over_new(taker, result):
            return "taken"
        log.warning("%s did not take the result of its storage commitment", row.sender, extra=extra)
        return "later"

    def confirmed(self, association: str, message: int) -> None:
        """From the association's thread: the peer has answered a report."""
        event = self._waiting.get((association, message))
        if event is not None:
            event.set()

    def _over_same(self, row: CommitmentRow, result: Result) -> bool:
        assoc = self._associations(row.association)
        if assoc is None or not assoc.is_established:
            return False
        contexts = [one for one in assoc.accepted_contexts if one.abstract_syntax == PUSH_MODEL]
        if not contexts:
            return False
        self._number = self._number % 0xFFFF + 1
        syntax = contexts[0].transfer_syntax[0]
        data = encode(event_information(result), syntax.is_implicit_VR, syntax.is_little_endian)
        if data is None:
            return False
        event = self._waiting[row.association, self._number] = threading.Event()
        try:
            longest = max(_LEAST_PDU, assoc.requestor.maximum_length or _USUAL_PDU) - 6
            number = contexts[0].context_id
            parts = [p_data(number, 0x03, _command(self._number, SOME_FAILED if result.failed else ALL_SAFE))]
            for start in range(0, len(data), longest):
                last = 0x02 if start + longest >= len(data) else 0x00
                parts.append(p_data(number, last, data[start : start + longest]))
            assoc.dul.socket.say(b"".join(parts))
            return event.wait(ANSWER_SECONDS)
        finally:
            del self._waiting[row.association, self._number]


def _command(message: int, kind: int) -> bytes:
    """An N-EVENT-REPORT-RQ command set (PS3.7 Table 10.3-1)."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHL", 0, number, len(value)) + value

    body = element(0x0002, PUSH_MODEL.encode()) + element(0x0100, struct.pack("<H", 0x0100))
    body += element(0x0110, struct.pack("<H", message)) + element(0x0800, b"\0\0")
    body += element(0x1000, PUSH_MODEL_INSTANCE.encode()) + element(0x1002, struct.pack("<H", kind))
    return element(0x0000, struct.pack("<L", len(body))) + body


def _over_new(taker: ResultTaker, result: Result) -> bool:
    """One association in the role of the provider, for one report."""
    role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)
    extra = {"sender": taker.called_ae}
    try:
        assoc = associated(taker, [build_context(PUSH_MODEL, list(_NATIVE))], roles=[role])
    except NotAssociated as fault:
        log.warning("no result can be sent to %s: %s", taker.called_ae, fault.why, extra=extra)
        return False
    except Misconfigured as fault:
        log.warning("no result can be sent to %s: %s", taker.called_ae, fault.what, extra=extra)
        return False
    try:
        kind = SOME_FAILED if result.failed else ALL_SAFE
        status, _ = assoc.send_n_event_report(event_information(result), kind, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        return "Status" in status and status.Status == 0
    except (ValueError, RuntimeError) as fault:
        log.warning("no result can be sent to %s: %s", taker.called_ae, type(fault).__name__, extra=extra)
        return False
    finally:
        leave(assoc)
