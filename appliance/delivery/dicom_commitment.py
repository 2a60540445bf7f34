"""Storage commitment as who asks (PS3.4 section J.3.2): after a store, the PACS is asked whether it keeps the report."""

import threading
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt

from appliance.delivery.dicom_status import REFUSALS, outcome_of_promise
from appliance.delivery.parcel import Outcome, Result
from appliance.delivery.section import DicomObject
from appliance.promises import MISSING_ARGUMENT, PUSH_MODEL, PUSH_MODEL_INSTANCE, understood

_REQUEST = 1


class Question:
    """One instance that a PACS is asked about; its answer may come over the same association."""

    def __init__(self, transaction: str, sop_class: str, sop_instance: str) -> None:
        self._transaction, self._sop_class, self._sop_instance = transaction, sop_class, sop_instance
        self._reason: int | None = None
        self._told = threading.Event()

    @property
    def handlers(self) -> list[Any]:
        """What the association needs in order to hear the answer."""
        return [(evt.EVT_N_EVENT_REPORT, self._on_report)]

    def ask(self, association: Any, section: DicomObject, stored: Outcome) -> Outcome:
        """Asks over an association whose store ended with `stored`, and waits a little for an answer over the same.

        Raises what pynetdicom raises when the association has ended.
        """
        wanted, item = Dataset(), Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = self._sop_class, self._sop_instance
        wanted.TransactionUID, wanted.ReferencedSOPSequence = self._transaction, [item]
        answer, _ = association.send_n_action(wanted, _REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        if "Status" not in answer:
            words = f"{section.called_ae} stored the report and broke off when asked for its commitment"
            return Outcome(result=Result.TRY_AGAIN, answer=words)
        status, warned = int(answer.Status), stored.result is Result.SENT_WITH_WARNING
        if status:
            result = Result.REFUSED if status in REFUSALS else Result.TRY_AGAIN
            words = f"{section.called_ae} stored the report and refused to commit to it: N-ACTION answered {status:04X}H"
            return Outcome(result=result, answer=words)
        self._told.wait(section.commitment_hold_s)
        if self._reason is None:
            words = f"{stored.answer}; its storage commitment is awaited"
            return Outcome(result=Result.AWAITED, answer=words, retry_after_s=section.commitment_wait_s, warned=warned)
        return outcome_of_promise(self._reason, section.called_ae, warned=warned)

    def _on_report(self, event: Any) -> tuple[int, None]:
        """N-EVENT-REPORT (PS3.4 section J.3.3)."""
        found = understood(event.event_type, event.event_information)
        if isinstance(found, int):
            return found, None
        if found.transaction != self._transaction or self._sop_instance not in found.instances:
            return MISSING_ARGUMENT, None
        self._reason = found.instances[self._sop_instance]
        self._told.set()
        return 0x0000, None
