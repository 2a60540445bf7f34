"""Every event: its name, title, severity and sentence.

An event is a row with a sequence number (the id of the live stream). Notifications, live updates and the audit read rows;
nobody is told anything twice. Fields hold our identifiers, counts and codes, never a patient's value.
"""

from appliance.events.event import Event, Severity
from appliance.events.groups import GroupCompleted, GroupReportFailed, GroupReportMade, GroupReportSent, StudyGrouped
from appliance.events.house import (
    CertificateExpires,
    CertificateInForce,
    CertificateUnusable,
    LowDisk,
    ProcessDied,
    ProcessStarted,
    SettingsChanged,
)
from appliance.events.orders import (
    DeliveryFailed,
    DeliveryRetried,
    DeliverySent,
    GradientRepairAgreed,
    MetadataGiven,
    OrderCancelled,
    OrderDeleted,
    OrderFailed,
    OrderHeld,
    OrderMoved,
    OrderNotOpened,
    OrderOpened,
    OrderWaits,
    PriorityGiven,
    Progress,
    QcBypassed,
    QcFailed,
    QcPassed,
    ReportMade,
    StageRetried,
    StudyDeleted,
)
from appliance.events.receiving import (
    AssociationFailed,
    AssociationRefused,
    DropRefused,
    DropTaken,
    InstanceConflict,
    InstanceQuarantined,
    InstancesArrived,
    PullDone,
    PullFailed,
    StudyIncomplete,
    StudyQuarantined,
    StudyReleased,
    StudyReopened,
    StudyStable,
)

__all__ = [
    "AssociationFailed",
    "AssociationRefused",
    "CertificateExpires",
    "CertificateInForce",
    "CertificateUnusable",
    "DeliveryFailed",
    "DeliveryRetried",
    "DeliverySent",
    "DropRefused",
    "DropTaken",
    "Event",
    "GradientRepairAgreed",
    "GroupCompleted",
    "GroupReportFailed",
    "GroupReportMade",
    "GroupReportSent",
    "InstanceConflict",
    "InstanceQuarantined",
    "InstancesArrived",
    "LowDisk",
    "MetadataGiven",
    "OrderCancelled",
    "OrderDeleted",
    "OrderFailed",
    "OrderHeld",
    "OrderMoved",
    "OrderNotOpened",
    "OrderOpened",
    "OrderWaits",
    "PriorityGiven",
    "ProcessDied",
    "ProcessStarted",
    "Progress",
    "PullDone",
    "PullFailed",
    "QcBypassed",
    "QcFailed",
    "QcPassed",
    "ReportMade",
    "SettingsChanged",
    "Severity",
    "StageRetried",
    "StudyDeleted",
    "StudyGrouped",
    "StudyIncomplete",
    "StudyQuarantined",
    "StudyReleased",
    "StudyReopened",
    "StudyStable",
    "catalogue",
]


def catalogue() -> dict[str, type[Event]]:
    """All events by name."""
    return {kind.name(): kind for kind in Event.__subclasses__()}
