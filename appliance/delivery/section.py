"""Settings of delivery: the destinations of reports, one tagged section for each protocol."""

from typing import Annotated, Literal

import msgspec

from appliance.fields import AeTitle, Host, Name, Pem, Port, Secret, Section, Template, Url, field

ReportFormat = Literal["json", "txt", "png", "pdf"]


class DicomPdf(Section, frozen=True, kw_only=True, tag_field="protocol", tag="dicom-pdf"):
    """DICOM Encapsulated PDF"""

    name: Annotated[Name, field("Name", "How lists and the audit call this destination.")]
    host: Annotated[Host, field("Host")]
    port: Annotated[Port, field("Port")] = 104
    called_ae: Annotated[AeTitle, field("Called AE title")] = "PACS"
    calling_ae: Annotated[AeTitle, field("Calling AE title")] = "RANVIER"
    identity_on_pages: Annotated[bool, field("Identity on pages", "Patient ID, birth date and name on each page.")] = True
    timeout_s: Annotated[int, field("Time-out", unit="s", ge=1, le=600)] = 30


class Rest(Section, frozen=True, kw_only=True, tag_field="protocol", tag="rest"):
    """REST"""

    name: Annotated[Name, field("Name", "How lists and the audit call this destination.")]
    url: Annotated[Url, field("URL")]
    method: Annotated[Literal["POST", "PUT"], field("Method")] = "POST"
    formats: Annotated[tuple[ReportFormat, ...], field("Formats", "One request for each.")] = ("pdf",)
    body: Annotated[
        Template,
        field(
            "Body",
            "JSON whose texts may hold $order, $report, $format, $filename, $content (base64) and other names; "
            "empty sends a standard object.",
        ),
    ] = ""
    authentication: Annotated[Literal["none", "basic", "token"], field("Authentication")] = "none"
    user: Annotated[str, field("User", max_length=128)] = ""
    secret: Annotated[Secret, field("Password or token")] = msgspec.field(default_factory=Secret)
    authority: Annotated[
        Pem,
        field("Certificate authority", "PEM, for a host whose certificate the site signs itself; empty: the system's list."),
    ] = ""
    identity_in_values: Annotated[
        bool, field("Identity in the body", "Allow $patient_id, $patient_name, $birth_date and $accession.")
    ] = False
    own_machine: Annotated[
        bool, field("This machine", "Allow a URL that leads to this machine itself or to a link-local address.")
    ] = False
    timeout_s: Annotated[int, field("Time-out", unit="s", ge=1, le=600)] = 30


Destination = DicomPdf | Rest
"""Every protocol that a report can be sent by."""


class DeliverySection(Section, frozen=True, kw_only=True):
    """Delivery"""

    destinations: Annotated[
        tuple[Destination, ...],
        field(
            "Result destinations",
            "Up to five; each gets every report. This version sends as DICOM Encapsulated PDF and REST; DICOM SR and "
            "e-mail are not available yet.",
            max_length=5,
            widget="destinations",
        ),
    ] = ()
    failure_destinations: Annotated[
        tuple[Rest, ...],
        field(
            "Failure report destinations",
            "Up to five, by REST; e-mail is not available yet.",
            max_length=5,
            widget="destinations",
        ),
    ] = ()
    attempts: Annotated[int, field("Attempts", "Then the delivery counts as failed.", ge=1, le=10)] = 3
    first_wait_s: Annotated[int, field("First wait", "Doubles with each attempt.", unit="s", ge=0, le=3600)] = 30
    paused: Annotated[bool, field("Paused", "Begin no delivery, for maintenance; reports wait and count no attempt.")] = False
