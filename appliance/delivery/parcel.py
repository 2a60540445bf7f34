"""What is handed to a destination, and what it answers."""

from enum import StrEnum
from pathlib import Path

import msgspec

CONTENT_TYPES: dict[str, str] = {
    "json": "application/json",
    "xml": "application/xml",
    "txt": "text/plain",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "dicom-csv": "text/csv",
    "fhir": "application/fhir+json",
}


class Parcel(msgspec.Struct, kw_only=True, frozen=True):
    """One report for one destination."""

    order: str
    report: str
    delivery: str
    kind: str
    """`report` or `failure`."""
    version: int
    files: dict[str, Path]
    """Format (`pdf`, `json`, ...) -> file. For DICOM destinations `dicom-pdf` is a finished Part 10 file."""
    idempotency_key: str
    sop_instance_uid: str = ""
    transaction_uid: str = ""
    """Under which storage commitment is asked for; empty: it is not."""
    values: dict[str, str] = {}
    """Named values that a template may use: order, report, study, state, verdict, made_at, product columns; identity only
    where the destination's setting allows it."""


class Shipment(msgspec.Struct, kw_only=True, frozen=True):
    """The released images of one study for one destination."""

    folder: Path
    names: list[str]
    """Below the folder."""
    digest: str
    """Of all names and contents: a ledger that begins with another one is of other files."""
    ledger: Path
    """What the destination has acknowledged; written by whoever sends."""
    afresh: bool = False
    """A first attempt: a ledger that is complete is of an earlier sending."""


class Result(StrEnum):
    """What happens to the delivery next."""

    SENT = "sent"
    SENT_WITH_WARNING = "sent-with-warning"
    AWAITED = "awaited"
    """Stored, and the other side has yet to say that it keeps it; `retry_after_s` is how long that is waited for."""
    TRY_AGAIN = "try-again"
    REFUSED = "refused"


class Outcome(msgspec.Struct, kw_only=True, frozen=True):
    """The destination's answer in words that hold no patient value."""

    result: Result
    answer: str
    retry_after_s: float | None = None
    warned: bool = False
    """With AWAITED: whether the store itself was answered with a warning."""
