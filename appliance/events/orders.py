"""Events of orders and what follows from them, up to the delivered report."""

from appliance.events.event import Event


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


class DeliveryAwaited(Event, frozen=True, kw_only=True):
    """A PACS has stored a report and was asked to commit to keep it."""

    title = "Storage commitment awaited"
    sentence = "{destination} has the report since attempt {attempt}. {answer}"
    destination: str
    attempt: int
    answer: str


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
