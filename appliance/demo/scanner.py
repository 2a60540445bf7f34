"""A scanner for the demonstration: sends files over a real DICOM association (PS3.4 Annex B)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from appliance.checkpoint import undisturbed
from appliance.errors import Retry

ASSOCIATIONS = 3
"""A scanner whose association breaks sends what is left over a new one; after so many it gives up."""
PATIENCE_S = 120.0


class NotSent(Retry):
    """The receiver did not take every instance: {answer}."""

    code = "not-sent"
    next_step = "Look at logs/receive.jsonl in the data folder."


def send(files: Sequence[Path], host: str, port: int, *, called: str, calling: str = "SCANNER") -> Iterator[int]:
    """C-STOREs MR images one by one and yields how many were acknowledged so far; raises `NotSent`."""
    acknowledged = 0
    answer = ""
    for _ in range(ASSOCIATIONS):
        association = _associated(host, port, called, calling)
        try:
            for file in files[acknowledged:]:
                answer = _stored(association, file)
                if answer:
                    break
                acknowledged += 1
                yield acknowledged
        finally:
            association.release()
        if acknowledged == len(files):
            return
    raise NotSent(answer=answer)


def _associated(host: str, port: int, called: str, calling: str) -> Any:
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
    from pynetdicom import AE

    entity = AE(ae_title=calling)
    entity.dimse_timeout = entity.network_timeout = PATIENCE_S
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = entity.associate(host, port, ae_title=called)
    if not association.is_established:
        raise NotSent(answer="the association was refused")
    return undisturbed(association)


def _stored(association: Any, file: Path) -> str:
    """Sends one file; gives what went wrong, or nothing."""
    from pydicom import dcmread

    if not association.is_established:
        return "the association was lost"
    status = association.send_c_store(dcmread(file))
    if not status:
        return "the association was lost"
    return "" if status.Status == 0 else f"status 0x{status.Status:04X}"
