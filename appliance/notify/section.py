"""Settings of notifications, by the names of the agent's guide."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from appliance.fields import Pem, Port, Secret, Section, field

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
_NOT_SENT = "this version sends no notices, only the test's"
_TESTED_ONLY = "In this version only the test uses it."


class NotifySection(Section, frozen=True, kw_only=True):
    """Notifications"""

    events: Annotated[
        tuple[Subject, ...],
        field("Events", "What is told; each is on when it stands here.", max_length=18, unavailable=_NOT_SENT),
    ] = ()
    protocol: Annotated[
        Literal["none", "email", "apprise"],
        field("Delivery protocol", f"email, or apprise for a webhook or a messenger. {_TESTED_ONLY}"),
    ] = "none"
    smtp_host: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\-]{0,253}(?!\n)$", extra_json_schema={"x-widget": "host"})],
        field("Mail server", f"The site's mail server. {_TESTED_ONLY}"),
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
        field("Sender's address", f"{_TESTED_ONLY}"),
    ] = ""
    recipients: Annotated[
        Annotated[
            str,
            Meta(
                pattern=rf"^(?!\n)$|^{_ADDRESS}(, ?{_ADDRESS})*(?!\n)$",
                max_length=2000,
            ),
        ],
        field("Recipients", f"Addresses with commas between them. {_TESTED_ONLY}"),
    ] = ""
    url: Annotated[
        Secret, field("Apprise URL", f"Such as jsons://host/path or slack://...; may hold a token. {_TESTED_ONLY}")
    ] = msgspec.field(default_factory=Secret)
    own_machine: Annotated[
        bool, field("This machine", "Allow a notice that leads to this machine itself or to a link-local address.")
    ] = False
    identity: Annotated[
        bool,
        field("Patient data in notices", "Off: notices hold our identifiers only.", recommended="off", unavailable=_NOT_SENT),
    ] = False
    cpu_percent: Annotated[Percent, field("High processor use", unit="%", unavailable=_NOT_SENT)] = 90
    memory_percent: Annotated[Percent, field("High memory use", unit="%", unavailable=_NOT_SENT)] = 90
    swap_percent: Annotated[Percent, field("High swap use", unit="%", unavailable=_NOT_SENT)] = 50
    disk_free_percent: Annotated[
        Percent, field("Low disk space", "Free space below this.", unit="%", unavailable=_NOT_SENT)
    ] = 10
    cool_down_minutes: Annotated[
        int,
        field("Cool-down", "The same is told again after so long.", unit="min", ge=1, le=10_080, unavailable=_NOT_SENT),
    ] = 60
