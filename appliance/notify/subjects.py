"""Which of the house's events are told, under which of the guide's names, and how grave they are by themselves."""

from collections.abc import Callable

from appliance.events import (
    DeliveryFailed,
    DeliverySent,
    Event,
    GroupCompleted,
    GroupReportFailed,
    GroupReportSent,
    GroupReportWithheld,
    LowDisk,
    MetricHigh,
    MetricRecovered,
    OrderFailed,
    OrderMoved,
    QcFailed,
    QcPassed,
    StudyStable,
    SubmissionHeld,
    SubmissionRejected,
    SubmissionStored,
)
from appliance.notify.section import Severity, Subject

SEVERITIES: dict[Subject, Severity] = {
    "dataset-received": "info",
    "qc-passed": "info",
    "qc-failed": "warning",
    "upload-succeeded": "info",
    "upload-failed": "error",
    "report-delivered": "info",
    "report-delivery-failed": "error",
    "processing-failed": "error",
    "group-completed": "info",
    "group-report-sent": "info",
    "group-report-failed": "error",
    "local-processing-completed": "info",
    "local-processing-failed": "error",
    "high-cpu": "warning",
    "high-memory": "warning",
    "high-swap": "warning",
    "low-disk": "error",
    "metric-recovered": "info",
}
TITLES: dict[Subject, str] = {
    "dataset-received": "New dataset received",
    "qc-passed": "Quality control passed",
    "qc-failed": "Quality control failed",
    "upload-succeeded": "Upload succeeded",
    "upload-failed": "Upload failed",
    "report-delivered": "Report delivered",
    "report-delivery-failed": "Report delivery failed",
    "processing-failed": "Processing failed",
    "group-completed": "Group completed",
    "group-report-sent": "Group report sent",
    "group-report-failed": "Group report not sent",
    "local-processing-completed": "Local processing completed",
    "local-processing-failed": "Local processing failed",
    "high-cpu": "High processor use",
    "high-memory": "High memory use",
    "high-swap": "High swap use",
    "low-disk": "Low disk space",
    "metric-recovered": "Metric recovered",
}
_PLAIN: dict[type[Event], Subject] = {
    StudyStable: "dataset-received",
    QcPassed: "qc-passed",
    QcFailed: "qc-failed",
    DeliverySent: "report-delivered",
    DeliveryFailed: "report-delivery-failed",
    OrderFailed: "processing-failed",
    GroupCompleted: "group-completed",
    GroupReportSent: "group-report-sent",
    GroupReportFailed: "group-report-failed",
    GroupReportWithheld: "group-report-failed",
    LowDisk: "low-disk",
    SubmissionStored: "upload-succeeded",
    SubmissionHeld: "upload-failed",
    SubmissionRejected: "upload-failed",
    MetricRecovered: "metric-recovered",
}
_HIGH: dict[str, Subject] = {"CPU": "high-cpu", "Memory": "high-memory", "Swap": "high-swap", "Free disk space": "low-disk"}
_LOST = frozenset({"FAILED", "HELD"})
_MOVES: dict[str, Callable[[str], Subject | None]] = {
    "UPLOADING": lambda new: "upload-succeeded" if new == "PROCESSING" else "upload-failed" if new in _LOST else None,
    "PROCESSING": lambda new: (
        "local-processing-completed" if new == "PROCESSED" else "local-processing-failed" if new in _LOST else None
    ),
}
_LOOKED_AT: tuple[type[Event], ...] = (*_PLAIN, MetricHigh, OrderMoved)
NAMES = tuple(one.name() for one in _LOOKED_AT)
"""Names of the events that are looked at."""


def subject_of(event: Event, *, local: bool) -> Subject | None:
    """The guide's name of an event; None for one that nobody is told. `local`: products run on site, not in a cloud."""
    if isinstance(event, OrderMoved):
        found = _MOVES[event.old](event.new) if event.old in _MOVES else None
        return None if found and found.startswith("local-") and not local else found
    if isinstance(event, MetricHigh):
        return _HIGH.get(event.metric)
    return _PLAIN.get(type(event))


def topic_of(subject: Subject, event: Event) -> str:
    """What counts as the same for the cool-down: the event about one study, destination, group or metric of a machine."""
    about = [
        event.order or event.study,
        *(str(getattr(event, one, "")) for one in ("destination", "group", "metric", "host", "reference")),
    ]
    return ":".join([subject, *(one for one in about if one)])[:128]
