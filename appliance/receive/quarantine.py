"""Bytes that were acknowledged and cannot be filed: kept whole, apart, with the reason beside them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.moments import iso
from appliance.receive import header as tags
from appliance.receive.inbox import Arrival
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


def set_aside(storage: Storage, arrival: Arrival, reason: Reason) -> Path:
    """Gives the bytes a second name in quarantine, synced, with a note; gives their folder. Again is nothing."""
    folder = storage.quarantine(arrival.id)
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "instance.dcm"
    if not file.exists():
        link_or_copy(arrival.path, file)
    note = Note(
        reason=reason,
        sentence=SENTENCES[reason],
        sender=arrival.origin.sender,
        address=arrival.origin.address,
        received_at=iso(arrival.received_at),
        bytes=arrival.bytes,
    )
    write_durable(folder / "reason.json", msgspec.json.encode(note))
    sync_folder(folder.parent)
    return folder


def link_or_copy(source: Path, target: Path) -> None:
    """A second name of the same bytes; a durable copy on file systems without hard links."""
    try:
        os.link(source, target)
    except FileExistsError:
        target.unlink()
        os.link(source, target)
    except OSError:
        # Some network and virtual file systems know no hard links; a copy costs time but keeps the order of steps.
        write_durable(target, _chunks(source))


def _chunks(source: Path, size: int = 1 << 20) -> Iterator[bytes]:
    with source.open("rb") as stream:
        while chunk := stream.read(size):
            yield chunk
