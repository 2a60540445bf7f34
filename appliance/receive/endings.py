"""Why an association came to nothing or broke off: one sentence, and what helps.

A sentence names the sender's side of it, so that it can stand behind "association of CT2 from 192.0.2.7 aborted:". It holds no
value of a data set.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from appliance.receive.header import is_uid
from appliance.receive.statuses import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
)

SEND_AGAIN: Final = "what was acknowledged is kept; have it send the study again"
_MOST_NAMED = 3


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong with an association, and what helps."""

    sentence: str
    advice: str


NO_REQUEST: Final = Trouble(
    sentence="its association request cannot be understood",
    advice="update its DICOM software, or look at what runs at its address",
)


class Tally:
    """What became of the instances of one association."""

    def __init__(self) -> None:
        self.stored = 0
        self.refused: Counter[int] = Counter()

    def count(self, status: int) -> None:
        """One more was answered."""
        if status == SUCCESS:
            self.stored += 1
        else:
            self.refused[status] += 1


class Context(Protocol):
    """A presentation context as pynetdicom gives it (PS3.8 section 9.3.3.2)."""

    abstract_syntax: Any
    transfer_syntax: Any
    result: int | None


def aborted(stored: int, *, in_mid_instance: bool) -> Trouble:
    """The peer sent A-ABORT."""
    where = "in the middle of an instance" if in_mid_instance else f"after {_instances(stored)}"
    return Trouble(sentence=f"it aborted {where}", advice=f"look into its own log for the reason; {SEND_AGAIN}")


def lost(stored: int, *, in_mid_instance: bool) -> Trouble:
    """The connection ended without release."""
    where = "in the middle of an instance" if in_mid_instance else f"after {_instances(stored)}"
    advice = f"look at the network and firewalls between it and here; {SEND_AGAIN}"
    return Trouble(sentence=f"the connection broke off {where}", advice=advice)


def silent(seconds: float, *, in_mid_instance: bool) -> Trouble:
    """Nothing was heard for longer than the settings allow."""
    where = " in the middle of an instance" if in_mid_instance else ""
    advice = f"allow a longer silence if the device is slow by nature; {SEND_AGAIN}"
    return Trouble(sentence=f"it said nothing for {seconds:.0f} s{where}", advice=advice)


def broke_protocol(what: str) -> Trouble:
    """The peer sent what PS3.7 or PS3.8 do not allow."""
    return Trouble(sentence=f"it broke the protocol: {what}", advice=f"update or restart its DICOM software; {SEND_AGAIN}")


def ended_here() -> Trouble:
    """The library ended it: a message that is none of the services, or on a context that was not agreed on."""
    advice = "let the sender send images by storage (C-STORE) on the contexts that were accepted"
    return Trouble(sentence="it sent a message that does not belong to the services agreed on", advice=advice)


_REFUSED: Final[dict[int, tuple[str, str]]] = {
    OUT_OF_RESOURCES: ("there is no room on the disk", "free space on the data disk, then have it send the study again"),
    PROCESSING_FAILURE: ("they could not be stored", "look at the disk and into the log of receiving, then send again"),
    CANNOT_UNDERSTAND: (
        "their data sets have no readable SOP class and instance UID",
        "have the files checked where they come from; they are no valid DICOM objects",
    ),
    DOES_NOT_MATCH_SOP_CLASS: (
        "their data sets are not what the sender announced",
        "update the sender: its command and its data set name different objects",
    ),
}


def refused_instances(counts: Mapping[int, int]) -> Trouble | None:
    """What instances were refused during an association; None when there were none."""
    if not counts:
        return None
    status = max(counts, key=lambda one: (counts[one], one))
    why, advice = _REFUSED.get(status, ("they could not be stored", "look into the log of receiving"))
    return Trouble(sentence=f"{_instances(sum(counts.values()))} refused with 0x{status:04X}: {why}", advice=advice)


def unwanted(contexts: Sequence[Context]) -> Trouble:
    """Why none of the proposed presentation contexts was accepted."""
    encodings = [one for one in contexts if one.result == _TRANSFER_SYNTAXES]
    if encodings:
        listed = _listed({_name(syntax) for one in encodings for syntax in one.transfer_syntax or ()})
        return Trouble(
            sentence=f"it proposes only {listed}, which is no transfer syntax of the standard",
            advice="let it also propose Explicit VR Little Endian",
        )
    listed = _listed({_name(one.abstract_syntax) for one in contexts})
    if any(_is_private(str(one.abstract_syntax or "")) for one in contexts):
        return Trouble(
            sentence=f"it proposes only what is not stored here: {listed}",
            advice="add the class to the private storage classes if these objects must be kept",
        )
    return Trouble(
        sentence=f"it proposes only what is not stored here: {listed}",
        advice="send images by storage (C-STORE); queries, work lists and printing are other services",
    )


_TRANSFER_SYNTAXES: Final = 4
"""Transfer syntaxes not supported (PS3.8 Table 9-18)."""
_STANDARD_ROOT: Final = "1.2.840.10008."


def _is_private(uid: str) -> bool:
    return is_uid(uid) and not uid.startswith(_STANDARD_ROOT)


def _name(uid: Any) -> str:
    text = str(uid or "")
    return str(getattr(uid, "name", text)) if is_uid(text) else "something that is no UID"


def _listed(names: set[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _MOST_NAMED
    return (", ".join(ordered[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")) or "nothing"


def _instances(count: int) -> str:
    return f"{count} instance" + ("" if count == 1 else "s")
