"""What a PACS promises by storage commitment (PS3.4 Annex J): read the same from our association and from its call back."""

from typing import Any, Final

import msgspec

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
KEPT: Final = 0
NO_SUCH_EVENT, MISSING_ARGUMENT = 0x0113, 0x0114
"""Answers to N-EVENT-REPORT (PS3.7 section 10.1.1.1.8)."""
_PROCESSING_FAILURE = 0x0110
_KINDS = (1, 2)


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """One result: SOP Instance UID -> 0 for what is kept, else the failure reason (PS3.3 section C.14.1.1)."""

    transaction: str
    instances: dict[str, int]


def understood(kind: int | None, information: Any) -> Promise | int:
    """The result in the event information of an N-EVENT-REPORT (PS3.4 Table J.3-2), or the status that refuses it.

    An instance that stands among the kept and among the failed counts as failed.
    """
    if kind not in _KINDS:
        return NO_SUCH_EVENT
    transaction = str(information.get("TransactionUID") or "")
    found = {_instance(one): KEPT for one in information.get("ReferencedSOPSequence") or []}
    for one in information.get("FailedSOPSequence") or []:
        found[_instance(one)] = int(one.get("FailureReason") or _PROCESSING_FAILURE)
    if not transaction or not found:
        return MISSING_ARGUMENT
    return Promise(transaction=transaction, instances=found)


def _instance(item: Any) -> str:
    return str(item.get("ReferencedSOPInstanceUID") or "")
