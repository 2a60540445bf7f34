"""DICOM senders for tests that send data sets as they are and say exactly what they were answered."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom

if TYPE_CHECKING:
    from tests.phantoms import PhantomStudy

CALLED = "RANVIER_SCP"


def dataset_bytes(path: Path) -> bytes:
    """The data set of a Part 10 file, found by its group length and by nothing of the code under test."""
    content = path.read_bytes()
    assert content[128:132] == b"DICM"
    return content[132 + 12 + int.from_bytes(content[140:144], "little") :]


def digest(data: bytes) -> str:
    """SHA-256, so that equality does not rest on the hash of the code under test."""
    return sha256(data).hexdigest()


@dataclass(frozen=True)
class Sent:
    """One instance as it goes over the wire."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: bytes

    @classmethod
    def of(cls, path: Path) -> "Sent":
        """A file's instance, bit by bit."""
        meta = pydicom.dcmread(path, stop_before_pixels=True, force=True).file_meta
        return cls(
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
            dataset_bytes(path),
        )


def instances_of(study: "PhantomStudy", count: int) -> list[Sent]:
    """The first instances of a study on disk."""
    return [Sent.of(path) for path in study.files[:count]]


class Sender:
    """One association that sends data sets without decoding them; `with` opens and releases it."""

    def __init__(
        self, port: int, contexts: Sequence[tuple[str, str]], *, calling: str = "MODALITY", called: str = CALLED
    ) -> None:
        from tests.wire import Caller

        self.caller = Caller(port, contexts, calling=calling, called=called)
        self._message = 0
        self._lost = False

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self.caller.__exit__()

    @property
    def established(self) -> bool:
        """Whether the receiver accepted and nobody has ended it."""
        return self.caller.established and not self._lost

    @property
    def rejection(self) -> tuple[int, ...]:
        """Result, source and reason of the A-ASSOCIATE-RJ."""
        kind, body = self.caller.answer
        assert kind == 0x03
        return tuple(body[1:4])

    def store(self, sent: Sent) -> int | None:
        """Sends one instance; gives the status, or None when the connection ended before an answer."""
        status = self.caller.store(sent)
        self._lost = status is None
        return status


def send(port: int, instances: Sequence[Sent], *, calling: str = "MODALITY") -> list[int | None]:
    """Sends instances over one association; gives their statuses."""
    with Sender(port, [(one.sop_class, one.transfer_syntax) for one in instances], calling=calling) as sender:
        assert sender.established
        return [sender.store(one) if sender.established else None for one in instances]


def accepted(port: int, sop_class: str, *, calling: str = "MODALITY") -> bool:
    """Whether an association would be accepted now; it is released at once."""
    with Sender(port, [(sop_class, "1.2.840.10008.1.2.1")], calling=calling) as sender:
        return sender.established


def in_background(work: Callable[[], None]) -> threading.Thread:
    """Runs a sender beside the test."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
