"""Events of the appliance itself: settings, processes, disk, certificates."""

from appliance.events.event import Event


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


class AuditTrailWaits(Event, frozen=True, kw_only=True):
    """The audit repository takes no messages; they wait in the audit itself."""

    title = "Audit messages wait"
    severity = "warning"
    sentence = "{destination} takes no audit messages ({reason}); they are kept and sent in order when it does."
    destination: str
    reason: str


class AuditTrailResumed(Event, frozen=True, kw_only=True):
    """The audit repository takes messages again."""

    title = "Audit messages go on"
    sentence = "{destination} takes audit messages again, beginning with the first that waited."
    destination: str


class LowDisk(Event, frozen=True, kw_only=True):
    """Free space fell under the reserve."""

    title = "Disk nearly full"
    severity = "error"
    sentence = "{free_mb} MB left; new instances are refused under {reserve_mb} MB."
    free_mb: int
    reserve_mb: int


class MetricHigh(Event, frozen=True, kw_only=True):
    """A reading of the machine went over its threshold and stayed there; for the disk: free space under it."""

    title = "Machine under pressure"
    severity = "warning"
    sentence = "{metric} of {host} is at {percent} %; the threshold is {threshold} %."
    metric: str
    host: str
    percent: int
    threshold: int


class MetricRecovered(Event, frozen=True, kw_only=True):
    """A reading of the machine is well again."""

    title = "Machine recovered"
    sentence = "{metric} of {host} is back at {percent} %; the threshold is {threshold} %."
    metric: str
    host: str
    percent: int
    threshold: int


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
