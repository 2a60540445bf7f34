"""A scanner for the demonstration: sends files over a real DICOM association (PS3.4 Annex B)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from appliance.errors import Retry


class NotSent(Retry):
    """The receiver did not take every instance: {answer}."""

    code = "not-sent"
    next_step = "Look at logs/receive.jsonl in the data folder."


def send(files: Iterable[Path], host: str, port: int, *, called: str, calling: str = "SCANNER") -> Iterator[int]:
    """C-STOREs MR images one by one over one association and yields how many were acknowledged so far; raises `NotSent`."""
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
    from pynetdicom import AE

    entity = AE(ae_title=calling)
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = entity.associate(host, port, ae_title=called)
    if not association.is_established:
        raise NotSent(answer="the association was refused")
    try:
        for count, file in enumerate(files, 1):
            status = association.send_c_store(dcmread(file))
            if not status or status.Status != 0:
                answer = f"status 0x{status.Status:04X}" if status else "the association was lost"
                raise NotSent(answer=answer)
            yield count
    finally:
        association.release()
