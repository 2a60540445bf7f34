"""Bytes that were acknowledged and cannot be filed: kept whole, apart, with the reason beside them."""

from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.moments import iso, new_id
from appliance.receive import header as tags
from appliance.receive.inbox import Arrival
from appliance.receive.placing import link_or_copy, place_alone
from appliance.storage import Storage, sync_folder, write_durable

Reason = Literal["unreadable", "no-study-uid", "no-series-uid", "no-sop-uid", "filing-failed"]

SENTENCES: Final[dict[Reason, str]] = {
    "unreadable": "its header cannot be read",
    "no-study-uid": "it has no valid Study Instance UID",
    "no-series-uid": "it has no valid Series Instance UID",
    "no-sop-uid": "it has no valid SOP Instance UID",
    "filing-failed": "filing it failed again and again",
}


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside quarantined bytes as `reason.json`."""

    reason: Reason
    sentence: str
    sender: str
    address: str
    received_at: str
    bytes: int


def reason_against(arrival: Arrival) -> Reason | None:
    """Why an instance cannot be filed; None when it can."""
    header = arrival.header
    if header is None or not (header.whole or header.values):
        return "unreadable"
    if not header.uid(tags.SOP_INSTANCE):
        return "no-sop-uid"
    if not header.uid(tags.STUDY_INSTANCE):
        return "no-study-uid"
    if not header.uid(tags.SERIES_INSTANCE):
        return "no-series-uid"
    return None


def set_aside(storage: Storage, arrival: Arrival, reason: Reason) -> bool:
    """Puts the bytes into quarantine, synced, with a note; false when that was done before."""
    folder = storage.quarantine(arrival.id)
    folder.mkdir(mode=0o700, exist_ok=True)
    file, said = folder / "instance.dcm", folder / "reason.json"
    if said.exists():
        return False
    if not file.exists():
        place_alone(arrival, file)
    note = Note(
        reason=reason,
        sentence=SENTENCES[reason],
        sender=arrival.origin.sender,
        address=arrival.origin.address,
        received_at=iso(arrival.received_at),
        bytes=arrival.bytes,
    )
    write_durable(said, msgspec.json.encode(note))
    sync_folder(folder.parent)
    return True


def keep_damaged(storage: Storage, segment: Path) -> None:
    """Gives a damaged segment of the journal a second name in quarantine; its good records are filed besides."""
    folder = storage.quarantine(new_id())
    folder.mkdir(mode=0o700)
    link_or_copy(segment, folder / segment.name)
    sync_folder(folder)
    sync_folder(folder.parent)
