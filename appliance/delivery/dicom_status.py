"""What a status of storing means for a delivery (PS3.4 table B.2-1, PS3.7 annex C); C-STORE and STOW-RS share them."""

from appliance.delivery.parcel import Outcome, Result

WARNINGS = {
    0x0107: "attribute list error",
    0x0111: "it was there already",
    0x0116: "attribute value out of range",
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match the SOP class",
}
"""Statuses under which the object is stored, with what the PACS did (PS3.4 table B.2-1, PS3.7 annex C)."""

REFUSALS = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0115: "invalid argument",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "class and instance do not fit",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
}

NOT_KEPT = {
    0x0112: "it has no such object",
    0x0119: "class and instance do not fit",
    0x0122: "SOP class not supported",
    0x0131: "it knows the transaction already",
    0x0213: "out of resources",
}
"""Failure reasons of storage commitment (PS3.3 section C.14.1.1)."""
_NEVER = (0x0119, 0x0122)


def outcome_of_promise(reason: int, peer: str, *, warned: bool) -> Outcome:
    """What the result of a storage commitment means: 0 is delivered, as the store was answered; else it is stored again."""
    if not reason:
        kind = Result.SENT_WITH_WARNING if warned else Result.SENT
        return Outcome(result=kind, answer=f"{peer} stored the report{' with a warning' * warned} and committed to it")
    words = f"{peer} did not commit to the report: {reason:04X}H ({NOT_KEPT.get(reason, 'processing failure')})"
    return Outcome(result=Result.REFUSED if reason in _NEVER else Result.TRY_AGAIN, answer=words)


def outcome_of(status: int, service: str = "C-STORE") -> Outcome:
    """What a status means for the delivery; the error comment of the PACS is never repeated."""
    name = f"{service} answered {status:04X}H"
    if status == 0x0000:
        return Outcome(result=Result.SENT, answer=f"{name} (success)")
    if status in WARNINGS or 0xB000 <= status <= 0xBFFF:
        return Outcome(result=Result.SENT_WITH_WARNING, answer=f"{name} (stored; {WARNINGS.get(status, 'warning')})")
    if status in REFUSALS:
        return Outcome(result=Result.REFUSED, answer=f"{name} ({REFUSALS[status]})")
    if 0xA900 <= status <= 0xA9FF:
        return Outcome(result=Result.REFUSED, answer=f"{name} (data set does not match the SOP class)")
    if 0xC000 <= status <= 0xCFFF:
        return Outcome(result=Result.REFUSED, answer=f"{name} (the PACS cannot understand it)")
    words = "out of resources" if 0xA700 <= status <= 0xA7FF else "processing failure"
    return Outcome(result=Result.TRY_AGAIN, answer=f"{name} ({words})")
