"""Settings of notifications, by the names of the agent's guide."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from appliance.fields import Pem, Port, Secret, Section, Url, field

Subject = Literal[
    "dataset-received",
    "qc-passed",
    "qc-failed",
    "upload-succeeded",
    "upload-failed",
    "report-delivered",
    "report-delivery-failed",
    "processing-failed",
    "group-completed",
    "group-report-sent",
    "group-report-failed",
    "local-processing-completed",
    "local-processing-failed",
    "high-cpu",
    "high-memory",
    "high-swap",
    "low-disk",
    "metric-recovered",
]
Percent = Annotated[int, Meta(ge=1, le=100)]

_ADDRESS = r"[^@\s<>,;\x00-\x1f]{1,64}@[^@\s<>,;\x00-\x1f]{1,253}"
_CLOCK = r"^(?!\n)$|^([01][0-9]|2[0-3]):[0-5][0-9](?!\n)$"
Severity = Literal["info", "warning", "error"]
Route = Literal["email", "webhook", "apprise"]


class Rule(Section, frozen=True, kw_only=True):
    """What is told of one event otherwise than of the others"""

    name: Annotated[Subject, field("Event")]
    severity: Annotated[Literal["", "info", "warning", "error"], field("Severity", "Empty: its usual one.")] = ""
    routes: Annotated[tuple[Route, ...], field("Ways", "By which it is told; empty: the delivery protocol.", max_length=3)] = ()
    cool_down_minutes: Annotated[
        Annotated[int, Meta(ge=0, le=10_080)] | None,
        field("Cool-down", "Instead of the one for all; 0: none.", unit="min"),
    ] = None


class NotifySection(Section, frozen=True, kw_only=True):
    """Notifications"""

    events: Annotated[
        tuple[Subject, ...],
        field("Events", "What is told; each is on when it stands here.", max_length=18),
    ] = ()
    protocol: Annotated[
        Literal["none", "email", "webhook", "apprise"],
        field("Delivery protocol", "email; webhook, a signed JSON body; or apprise for a messenger."),
    ] = "none"
    smtp_host: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\-]{0,253}(?!\n)$", extra_json_schema={"x-widget": "host"})],
        field("Mail server", "The site's mail server."),
    ] = ""
    smtp_port: Annotated[Port, field("Mail server's port", recommended="587")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        field("Encryption of mail", "none sends user, password and text in the clear.", recommended="starttls"),
    ] = "starttls"
    smtp_user: Annotated[str, field("Mail user", "Empty: without signing in.", max_length=256)] = ""
    smtp_password: Annotated[Secret, field("Mail password")] = msgspec.field(default_factory=Secret)
    authority: Annotated[
        Pem, field("Certificate authority", "PEM, for a mail server whose certificate the site signs itself.")
    ] = ""
    sender: Annotated[
        Annotated[str, Meta(pattern=rf"^(?!\n)$|^{_ADDRESS}(?!\n)$")],
        field("Sender's address"),
    ] = ""
    recipients: Annotated[
        Annotated[
            str,
            Meta(
                pattern=rf"^(?!\n)$|^{_ADDRESS}(, ?{_ADDRESS})*(?!\n)$",
                max_length=2000,
            ),
        ],
        field("Recipients", "Addresses with commas between them."),
    ] = ""
    url: Annotated[Secret, field("Apprise URL", "Such as jsons://host/path or slack://...; may hold a token.")] = msgspec.field(
        default_factory=Secret
    )
    webhook_url: Annotated[Url, field("Webhook", "Where notices are posted as JSON; an answer of 2xx has taken them.")] = ""
    webhook_key: Annotated[
        Secret,
        field("Webhook's signing key", "With it each request has the header Ranvier-Signature: HMAC-SHA-256 of time and body."),
    ] = msgspec.field(default_factory=Secret)
    own_machine: Annotated[
        bool, field("This machine", "Allow a notice that leads to this machine itself or to a link-local address.")
    ] = False
    rules: Annotated[
        tuple[Rule, ...],
        field("Rules", "For single events: severity, ways and cool-down.", max_length=18, widget="destinations"),
    ] = ()
    quiet_from: Annotated[
        Annotated[str, Meta(pattern=_CLOCK)],
        field("Quiet from", "HH:MM in the site's time zone; errors are told all the same, the rest waits; empty: never."),
    ] = ""
    quiet_until: Annotated[
        Annotated[str, Meta(pattern=_CLOCK)], field("Quiet until", "Then what waited comes as one notice.")
    ] = ""
    digest_minutes: Annotated[
        int,
        field("Digest", "Notices of so long come as one, errors at once; 0: each by itself.", unit="min", ge=0, le=1440),
    ] = 0
    identity: Annotated[
        bool,
        field(
            "Patient data in notices",
            "Patient's name and ID of the study; over encrypted ways only. Off: our identifiers only.",
            recommended="off",
        ),
    ] = False
    cpu_percent: Annotated[Percent, field("High processor use", unit="%")] = 90
    memory_percent: Annotated[Percent, field("High memory use", unit="%")] = 90
    swap_percent: Annotated[Percent, field("High swap use", unit="%")] = 50
    disk_free_percent: Annotated[Percent, field("Low disk space", "Free space below this.", unit="%")] = 10
    cool_down_minutes: Annotated[
        int,
        field("Cool-down", "The same is told again after so long.", unit="min", ge=1, le=10_080),
    ] = 60
