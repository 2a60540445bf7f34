"""Every event: its name, title, severity and sentence.

An event is a row with a sequence number (the id of the live stream). Notifications, live updates and the audit read rows;
nobody is told anything twice. Fields hold our identifiers, counts and codes, never a patient's value.
"""

from typing import ClassVar, Literal

import msgspec

Severity = Literal["info", "warning", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all events; `study` and `order` are our own identifiers."""

    title: ClassVar[str] = ""
    severity: ClassVar[Severity] = "info"
    sentence: ClassVar[str] = ""

    study: str = ""
    order: str = ""

    @classmethod
    def name(cls) -> str:
        """The stable name, `OrderOpened` -> `order-opened`."""
        return "".join(("-" + letter.lower()) if letter.isupper() else letter for letter in cls.__name__)[1:]

    def text(self) -> str:
        """The sentence with this event's own values."""
        return self.sentence.format(**msgspec.structs.asdict(self))


class InstancesArrived(Event, frozen=True, kw_only=True):
    """Instances were filed."""

    title = "Instances arrived"
    sentence = "{count} instances filed from {sender}."
    count: int
    sender: str


class StudyStable(Event, frozen=True, kw_only=True):
    """Nothing came for the quiet time, and no association is open."""

    title = "Study complete"
    sentence = "Study version {version} is stable with {instances} instances."
    version: int
    instances: int


class StudyReopened(Event, frozen=True, kw_only=True):
    """Instances came after the study was stable."""

    title = "Late instances"
    severity = "warning"
    sentence = "Late instances made version {version} of the study."
    version: int


class StudyQuarantined(Event, frozen=True, kw_only=True):
    """A study was put aside for a person."""

    title = "Study quarantined"
    severity = "warning"
    sentence = "Study quarantined: {reason}."
    reason: str


class StudyReleased(Event, frozen=True, kw_only=True):
    """A person let a study out of quarantine."""

    title = "Study released"
    severity = "warning"
    sentence = "Study released from quarantine by {actor}; it goes on when it is quiet."
    actor: str


class InstanceConflict(Event, frozen=True, kw_only=True):
    """One SOP Instance UID came with two contents; both are kept."""

    title = "Conflicting instance"
    severity = "warning"
    sentence = "{count} instances came again with other content; both are kept."
    count: int


class InstanceQuarantined(Event, frozen=True, kw_only=True):
    """Bytes were received that cannot be filed; they are kept apart."""

    title = "Instance quarantined"
    severity = "warning"
    sentence = "An instance cannot be filed: {reason}."
    reason: str


class AssociationRefused(Event, frozen=True, kw_only=True):
    """A caller was turned away."""

    title = "Association refused"
    severity = "warning"
    sentence = "Association of {caller} from {address} refused: {reason}; {advice}."
    caller: str
    address: str
    reason: str
    advice: str = "look into the log of receiving"


class AssociationFailed(Event, frozen=True, kw_only=True):
    """An association was aborted, broke off, or left instances unstored; what was acknowledged is kept."""

    title = "Association failed"
    severity = "warning"
    sentence = "Association of {caller} from {address} failed: {reason}; {advice}."
    caller: str
    address: str
    reason: str
    advice: str = "look into the log of receiving"


class OrderOpened(Event, frozen=True, kw_only=True):
    """Work on a study began."""

    title = "Order opened"
    sentence = "Order opened for {products}."
    products: str


class OrderMoved(Event, frozen=True, kw_only=True):
    """An order went from one state to the next."""

    title = "Order moved"
    sentence = "{old} -> {new}. {note}"
    old: str
    new: str
    note: str = ""


class QcPassed(Event, frozen=True, kw_only=True):
    """Quality control let the study through."""

    title = "QC passed"
    sentence = "{passed} of {checks} checks passed, {bypassed} bypassed. {note}"
    passed: int
    checks: int
    bypassed: int
    note: str = ""


class QcFailed(Event, frozen=True, kw_only=True):
    """Quality control stopped the study."""

    title = "QC failed"
    severity = "warning"
    sentence = "QC failed: {failed}."
    failed: str


class QcBypassed(Event, frozen=True, kw_only=True):
    """A person let a study through in spite of its findings."""

    title = "QC bypassed"
    severity = "warning"
    sentence = "QC bypassed by {actor}."
    actor: str


class GradientRepairAgreed(Event, frozen=True, kw_only=True):
    """A person agreed that a wrong gradient table is repaired for the analysis."""

    title = "Gradient repair agreed"
    severity = "warning"
    sentence = "{actor} agreed to repair the gradient table of {series}: {change}. The images stay as they are."
    actor: str
    series: str
    change: str


class MetadataGiven(Event, frozen=True, kw_only=True):
    """A person gave age or sex for an order."""

    title = "Metadata given"
    sentence = "{fields} given by {actor}."
    fields: str
    actor: str


class OrderHeld(Event, frozen=True, kw_only=True):
    """A person must look before the order goes on."""

    title = "Order held"
    severity = "warning"
    sentence = "Order held ({code}): {what}"
    code: str
    what: str


class OrderWaits(Event, frozen=True, kw_only=True):
    """Something is away that the order needs; it goes on by itself, and no attempt is counted."""

    title = "Order waits"
    severity = "warning"
    sentence = "Order waits ({code}): {what}"
    code: str
    what: str


class OrderNotOpened(Event, frozen=True, kw_only=True):
    """A complete study got no order, because the settings do not fit."""

    title = "Order not opened"
    severity = "error"
    sentence = "No order was opened ({code}): {what}"
    code: str
    what: str


class OrderFailed(Event, frozen=True, kw_only=True):
    """An order ended without a result."""

    title = "Processing failed"
    severity = "error"
    sentence = "Order failed ({code}): {what}"
    code: str
    what: str


class OrderCancelled(Event, frozen=True, kw_only=True):
    """A person ended an order."""

    title = "Order cancelled"
    severity = "warning"
    sentence = "Order cancelled by {actor}."
    actor: str


class OrderDeleted(Event, frozen=True, kw_only=True):
    """A person deleted an order with its files and rows."""

    title = "Order deleted"
    severity = "warning"
    sentence = "Order deleted by {actor}."
    actor: str


class StudyDeleted(Event, frozen=True, kw_only=True):
    """A person deleted a study with its orders, files and rows."""

    title = "Study deleted"
    severity = "warning"
    sentence = "Study deleted with {orders} orders by {actor}."
    actor: str
    orders: int


class PriorityGiven(Event, frozen=True, kw_only=True):
    """A person said how urgent an order is."""

    title = "Priority given"
    sentence = "Made {priority} by {actor}."
    priority: str
    actor: str


class StageRetried(Event, frozen=True, kw_only=True):
    """A stage did not finish and is tried again."""

    title = "Tried again"
    severity = "warning"
    sentence = "{stage} is tried again (attempt {attempt}): {what}"
    stage: str
    attempt: int
    what: str


class Progress(Event, frozen=True, kw_only=True):
    """How far a stage has come; shown live, kept only as the newest row of its order."""

    title = "Progress"
    sentence = "{stage}: {step} ({percent} %)."
    stage: str
    step: str
    percent: int


class ReportMade(Event, frozen=True, kw_only=True):
    """A report stands on disk in every format."""

    title = "Report made"
    sentence = "Report {report} version {version} made."
    report: str
    version: int


class DeliverySent(Event, frozen=True, kw_only=True):
    """A destination took a report."""

    title = "Report delivered"
    sentence = "Delivered to {destination} at attempt {attempt}. {answer}"
    destination: str
    attempt: int
    answer: str = ""


class DeliveryRetried(Event, frozen=True, kw_only=True):
    """A destination did not take a report yet."""

    title = "Delivery tried again"
    severity = "warning"
    sentence = "Delivery to {destination} failed at attempt {attempt} and is tried again: {answer}"
    destination: str
    attempt: int
    answer: str


class DeliveryFailed(Event, frozen=True, kw_only=True):
    """A destination did not take a report after all attempts."""

    title = "Delivery failed"
    severity = "error"
    sentence = "Delivery to {destination} failed after {attempt} attempts: {answer}"
    destination: str
    attempt: int
    answer: str


class SettingsChanged(Event, frozen=True, kw_only=True):
    """Somebody saved settings."""

    title = "Settings changed"
    sentence = "Settings version {version} saved by {actor}: {sections}."
    version: int
    actor: str
    sections: str


class ProcessStarted(Event, frozen=True, kw_only=True):
    """A process of the appliance came up."""

    title = "Process started"
    sentence = "{process} started."
    process: str


class ProcessDied(Event, frozen=True, kw_only=True):
    """A process of the appliance ended unasked and is started again."""

    title = "Process died"
    severity = "error"
    sentence = "{process} ended with {status}; started again in {seconds} s."
    process: str
    status: str
    seconds: float


class LowDisk(Event, frozen=True, kw_only=True):
    """Free space fell under the reserve."""

    title = "Disk nearly full"
    severity = "error"
    sentence = "{free_mb} MB left; new instances are refused under {reserve_mb} MB."
    free_mb: int
    reserve_mb: int


class CertificateExpires(Event, frozen=True, kw_only=True):
    """A TLS certificate is near its end, or past it; told once a day."""

    title = "Certificate expires"
    severity = "warning"
    sentence = "The TLS certificate of {door} has {days} days left."
    door: str
    days: int


class CertificateUnusable(Event, frozen=True, kw_only=True):
    """A TLS certificate of the settings cannot be used; the one before it, or our own, is presented instead."""

    title = "Certificate unusable"
    severity = "error"
    sentence = "The TLS certificate of {door} cannot be used: {cause}."
    door: str
    cause: str


class CertificateInForce(Event, frozen=True, kw_only=True):
    """New connections meet another TLS certificate."""

    title = "Certificate in force"
    sentence = "{door} presents the certificate {fingerprint}."
    door: str
    fingerprint: str


def catalogue() -> dict[str, type[Event]]:
    """All events by name."""
    return {kind.name(): kind for kind in Event.__subclasses__()}
