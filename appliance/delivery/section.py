"""Settings of delivery: the destinations of reports, one tagged section for each protocol."""

from typing import Annotated, Literal

import msgspec

from appliance.fields import (
    AeTitle,
    Authority,
    Endpoint,
    Host,
    Name,
    OwnCertificate,
    OwnKey,
    Port,
    ProvenName,
    ReportFormat,
    Secret,
    Section,
    Template,
    field,
)

TransferSyntax = Literal["explicit-little", "implicit-little", "deflated"]
"""Those of objects without images (PS3.5 annex A): which are proposed, in this order."""

DestinationName = Annotated[Name, field("Name", "How lists and the audit call this destination.")]
Wait = Annotated[int, field("Time-out", unit="s", ge=1, le=600)]
Formats = Annotated[tuple[ReportFormat, ...], field("Formats", "One file or request for each.", min_length=1)]
Identity = Annotated[
    bool, field("Patient's identity", "Reports carry patient ID, name, birth date and accession number.", recommended="off")
]


class DicomNode(Section, frozen=True, kw_only=True):
    """What every DICOM node is asked for"""

    name: DestinationName
    host: Annotated[Host, field("Host")]
    port: Annotated[Port, field("Port")] = 104
    called_ae: Annotated[AeTitle, field("Called AE title")] = "PACS"
    calling_ae: Annotated[AeTitle, field("Calling AE title")] = "RANVIER"
    tls: Annotated[bool, field("TLS", "Associate over TLS 1.2 or newer.", recommended="on")] = False
    authority: Authority = ""
    certificate: OwnCertificate = ""
    key: OwnKey = msgspec.field(default_factory=Secret)
    host_name: ProvenName = ""
    timeout_s: Wait = 30


class Dicom(DicomNode, frozen=True, kw_only=True):
    """What every DICOM node that takes reports is asked for"""

    transfer_syntaxes: Annotated[
        tuple[TransferSyntax, ...],
        field("Transfer syntaxes", "Proposed in this order; the PACS chooses.", min_length=1, max_length=3),
    ] = ("explicit-little", "implicit-little")
    role_selection: Annotated[
        bool, field("Role selection", "Propose the role SCU in so many words (PS3.7 D.3.3.4); some archives ask for it.")
    ] = False


class DicomObject(Dicom, frozen=True, kw_only=True):
    """What every destination by C-STORE has besides"""

    commitment: Annotated[
        bool,
        field(
            "Storage commitment",
            "Delivered only when the PACS has committed to keep it; it must know this appliance's AE title, address and port.",
        ),
    ] = False
    commitment_wait_s: Annotated[
        int, field("Wait for the commitment", "Then the report is sent again.", unit="s", ge=10, le=604_800)
    ] = 3600
    commitment_hold_s: Annotated[
        int,
        field("Keep the association for it", "For a PACS that answers over the same association.", unit="s", ge=0, le=60),
    ] = 2


class DicomPdf(DicomObject, frozen=True, kw_only=True, tag_field="protocol", tag="dicom-pdf"):
    """DICOM Encapsulated PDF"""

    identity_on_pages: Annotated[bool, field("Identity on pages", "Patient ID, birth date and name on each page.")] = True


class DicomSr(DicomObject, frozen=True, kw_only=True, tag_field="protocol", tag="dicom-sr"):
    """DICOM Structured Report"""


class DicomSc(DicomObject, frozen=True, kw_only=True, tag_field="protocol", tag="dicom-sc"):
    """DICOM Secondary Capture (pages as pictures)"""

    identity_on_pages: Annotated[bool, field("Identity on pages", "Patient ID, birth date and name on each page.")] = True


class StowRs(Endpoint, frozen=True, kw_only=True, tag_field="protocol", tag="stow-rs"):
    """DICOMweb (STOW-RS)"""

    objects: Annotated[
        Literal["dicom-pdf", "dicom-sr", "dicom-sc"],
        field("Object", "What is stored: Encapsulated PDF, Structured Report or Secondary Capture."),
    ] = "dicom-pdf"
    identity_on_pages: Annotated[bool, field("Identity on pages", "Patient ID, birth date and name on each page.")] = True


class Rest(Endpoint, frozen=True, kw_only=True, tag_field="protocol", tag="rest"):
    """REST"""

    method: Annotated[Literal["POST", "PUT"], field("Method")] = "POST"
    formats: Annotated[tuple[ReportFormat, ...], field("Formats", "One request for each.", min_length=1)] = ("pdf",)
    body: Annotated[
        Template,
        field(
            "Body",
            "JSON whose texts may hold $order, $report, $format, $filename, $content (base64) and other names; "
            "empty sends a standard object.",
        ),
    ] = ""
    signing_key: Annotated[
        Secret,
        field("Signing key", "With it each request has the header Ranvier-Signature: HMAC-SHA-256 of time and body."),
    ] = msgspec.field(default_factory=Secret)
    identity_in_values: Annotated[
        bool, field("Identity in the body", "Allow $patient_id, $patient_name, $birth_date and $accession.")
    ] = False
    identity_in_reports: Identity = False


class Email(Section, frozen=True, kw_only=True, tag_field="protocol", tag="email"):
    """E-mail"""

    name: DestinationName
    host: Annotated[Host, field("Mail server")]
    port: Annotated[Port, field("Port")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        field("Encryption", "none sends reports in the clear and needs the next setting.", recommended="starttls"),
    ] = "starttls"
    allow_plain: Annotated[
        bool, field("Allow mail without encryption", "Only for a server on the same protected network.", recommended="off")
    ] = False
    user: Annotated[str, field("User", "Empty: without signing in.", max_length=128)] = ""
    password: Annotated[Secret, field("Password")] = msgspec.field(default_factory=Secret)
    authority: Authority = ""
    sender: Annotated[str, field("Sender's address", max_length=254, pattern=r"^[^\s@,]+@[^\s@,]+(?!\n)$")]
    recipients: Annotated[
        str,
        field(
            "Recipients",
            "Addresses with commas between them.",
            max_length=2000,
            pattern=r"^[^\s@,]+@[^\s@,]+(\s*,\s*[^\s@,]+@[^\s@,]+)*(?!\n)$",
        ),
    ]
    formats: Formats = ("pdf",)
    subject: Annotated[
        str, field("Subject", "May hold $order, $verdict and other names, never the patient's.", max_length=200)
    ] = "Ranvier report $order"
    text: Annotated[
        Template, field("Text", "May hold $order, $verdict, the names of numbers and, with the identity, the patient's.")
    ] = "The report of order $order is attached. Quality control: $verdict. Not for clinical use.\n"
    identity_in_reports: Identity = False
    timeout_s: Wait = 30


class Folder(Section, frozen=True, kw_only=True, tag_field="protocol", tag="folder"):
    """Folder"""

    name: DestinationName
    folder: Annotated[
        str, field("Folder", "Absolute path, a mounted share for example; it must be there.", pattern=r"^/[^\0\n]{0,1000}$")
    ]
    formats: Formats = ("pdf",)
    identity_in_reports: Identity = False
    timeout_s: Wait = 30


class Sftp(Section, frozen=True, kw_only=True, tag_field="protocol", tag="sftp"):
    """SFTP"""

    name: DestinationName
    host: Annotated[Host, field("Host")]
    port: Annotated[Port, field("Port")] = 22
    host_key: Annotated[
        str,
        field(
            "Host key",
            "As ssh-keyscan prints it without the host: ssh-ed25519 AAAA...; nothing is sent to a host with another key.",
            max_length=2000,
            pattern=r"^\S+ \S+(?!\n)$",
        ),
    ]
    user: Annotated[str, field("User", max_length=128, min_length=1)]
    password: Annotated[Secret, field("Password", "Or a private key.")] = msgspec.field(default_factory=Secret)
    private_key: Annotated[Secret, field("Private key", "OpenSSH or PEM, without a password.")] = msgspec.field(
        default_factory=Secret
    )
    folder: Annotated[str, field("Folder", "On the host; it must be there.", pattern=r"^[^\0\n]{1,1000}$")] = "."
    formats: Formats = ("pdf",)
    identity_in_reports: Identity = False
    timeout_s: Wait = 30


class Hl7(Section, frozen=True, kw_only=True, tag_field="protocol", tag="hl7"):
    """HL7 v2 (ORU^R01 over MLLP)"""

    name: DestinationName
    host: Annotated[Host, field("Host")]
    port: Annotated[Port, field("Port")] = 2575
    sending_application: Annotated[str, field("Sending application", max_length=20)] = "RANVIER"
    sending_facility: Annotated[str, field("Sending facility", max_length=20)] = ""
    receiving_application: Annotated[str, field("Receiving application", max_length=20)] = ""
    receiving_facility: Annotated[str, field("Receiving facility", max_length=20)] = ""
    processing: Annotated[Literal["P", "T", "D"], field("Processing", "Production, training or debugging.")] = "P"
    status: Annotated[
        Literal["P", "F"], field("Result status", "Preliminary, for nobody has verified it; some systems take only final.")
    ] = "P"
    identity: Annotated[
        bool, field("Patient's identity", "Patient, accession number and birth date, so that the result finds its order.")
    ] = False
    tls: Annotated[bool, field("TLS", recommended="on")] = False
    authority: Authority = ""
    certificate: OwnCertificate = ""
    key: OwnKey = msgspec.field(default_factory=Secret)
    timeout_s: Wait = 30


Destination = DicomPdf | DicomSr | DicomSc | StowRs | Rest | Email | Folder | Sftp | Hl7
"""Every protocol that a report can be sent by."""
FailureDestination = Rest | Email | Folder | Sftp
"""Protocols that can carry what is no result of a study."""


SendingRule = Annotated[
    Literal["every", "asked"],
    field("Which studies", "every: each once it is de-identified; asked: those that somebody sends by hand."),
]


class DicomStudy(DicomNode, frozen=True, kw_only=True, tag_field="protocol", tag="dicom-study"):
    """De-identified study by DICOM (C-STORE)"""

    send: SendingRule = "every"


class StowStudy(Endpoint, frozen=True, kw_only=True, tag_field="protocol", tag="stow-study"):
    """De-identified study by DICOMweb (STOW-RS)"""

    send: SendingRule = "every"


StudyDestination = DicomStudy | StowStudy
"""What takes images; they leave de-identified and proven, never as they came."""
AnyDestination = Destination | StudyDestination


class DeliverySection(Section, frozen=True, kw_only=True):
    """Delivery"""

    destinations: Annotated[
        tuple[Destination, ...],
        field("Result destinations", "Up to five; each gets every report.", max_length=5, widget="destinations"),
    ] = ()
    failure_destinations: Annotated[
        tuple[FailureDestination, ...],
        field(
            "Failure report destinations", "Up to five; of their formats those that a failure report has.", max_length=5,
            widget="destinations",
        ),
    ] = ()  # fmt: skip
    group_destinations: Annotated[
        tuple[FailureDestination, ...],
        field(
            "Group report destinations", "Up to five; of their formats those that a group report has: csv, pdf, png.",
            max_length=5, widget="destinations",
        ),
    ] = ()  # fmt: skip
    study_destinations: Annotated[
        tuple[StudyDestination, ...],
        field(
            "Study destinations", "Up to five archives; each gets the de-identified images of studies.", max_length=5,
            widget="destinations",
        ),
    ] = ()  # fmt: skip
    attempts: Annotated[int, field("Attempts", "Then the delivery counts as failed.", ge=1, le=10)] = 3
    first_wait_s: Annotated[int, field("First wait", "Doubles with each attempt.", unit="s", ge=0, le=3600)] = 30
    paused: Annotated[bool, field("Paused", "Begin no delivery, for maintenance; reports wait and count no attempt.")] = False
    breaker_failures: Annotated[
        int,
        field(
            "Faults before a pause",
            "So many faults of a destination in a row, and its reports wait instead of using up their attempts.",
            ge=1,
            le=100,
        ),
    ] = 3
    breaker_pause_s: Annotated[
        int, field("First pause", "Then one report tries; the pause doubles up to ten minutes.", unit="s", ge=1, le=600)
    ] = 60

    @property
    def everyone(self) -> tuple[AnyDestination, ...]:
        """All destinations, whatever they get."""
        return (*self.destinations, *self.failure_destinations, *self.group_destinations, *self.study_destinations)
