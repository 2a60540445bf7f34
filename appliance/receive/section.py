"""Settings of receiving."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from appliance.fields import (
    AE_TITLE_PATTERN,
    AeTitle,
    Authority,
    Endpoint,
    Folder,
    Host,
    Name,
    OwnCertificate,
    OwnKey,
    Pem,
    Port,
    ProvenName,
    ReportFormat,
    Secret,
    Section,
    field,
)

CallerAddress = Annotated[str, Meta(pattern=r"^[\x20-\x5b\x5d-\x7e]{1,16}=[ ]*[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?[ ]*(?!\n)$")]
CallerCertificate = Annotated[
    str, Meta(pattern=r"^[\x20-\x5b\x5d-\x7e]{1,16}=[ ]*[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}[ ]*(?!\n)$")
]
CommitmentAddress = Annotated[
    str, Meta(pattern=r"^[\x20-\x5b\x5d-\x7e]{1,16}=[ ]*[0-9A-Za-z._-]{1,253}:[1-9][0-9]{0,4}(/tls)?[ ]*(?!\n)$")
]
CallerQuiet = Annotated[str, Meta(pattern=r"^[\x20-\x5b\x5d-\x7e]{1,16}=[ ]*[1-9][0-9]{0,4}[ ]*(?!\n)$")]
ClassUid = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)+(?!\n)$", max_length=64)]
OddHex4 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{3}[13579BDFbdf](?!\n)$")]
Hex4 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{4}(?!\n)$")]


class ReceiveSection(Section, frozen=True, kw_only=True):
    """Receiving (DICOM)"""

    ae_title: Annotated[
        AeTitle,
        field("AE title", "The name that senders call this appliance by.", recommended="RANVIER_SCP", restart="receive"),
    ] = "RANVIER_SCP"
    host: Annotated[Host, field("Address", "The address to listen on; 0.0.0.0 is every address.", restart="receive")] = (
        "0.0.0.0"
    )
    port: Annotated[Port, field("Port", "The DICOM port.", recommended="104", restart="receive")] = 104
    allowed_callers: Annotated[
        tuple[AeTitle, ...],
        field(
            "Allowed calling AE titles", "Who may send; empty accepts everybody.", recommended="the AE titles of your senders"
        ),
    ] = ()
    caller_addresses: Annotated[
        tuple[CallerAddress, ...],
        field(
            "Addresses of callers",
            "AE title = address or network; an AE title that stands here may call from nowhere else.",
            recommended="CT1=192.0.2.10",
        ),
    ] = ()
    caller_certificates: Annotated[
        tuple[CallerCertificate, ...],
        field(
            "Certificates of callers",
            "AE title = SHA-256 fingerprint of a TLS certificate; an AE title that stands here must show one of these.",
            recommended="with TLS and demanded certificates",
        ),
    ] = ()
    commitment_addresses: Annotated[
        tuple[CommitmentAddress, ...],
        field(
            "Storage commitment results",
            "AE title = host:port, over TLS with /tls behind it; where the result of a storage commitment goes when the sender "
            "has ended its association. The TLS authority and certificate are those of receiving.",
            recommended="PACS=192.0.2.20:104",
        ),
    ] = ()
    check_called: Annotated[
        bool, field("Check the called AE title", "Refuse callers that call this appliance by another AE title.")
    ] = False
    quiet_seconds: Annotated[
        int,
        field(
            "Quiet time",
            "A study is complete when nothing has come for so long and no association is open.",
            unit="s",
            recommended="60",
            ge=1,
            le=86_400,
        ),
    ] = 60
    quiet_times: Annotated[
        tuple[CallerQuiet, ...],
        field("Quiet times of senders", "AE title = seconds, where a sender needs another quiet time than the rest."),
    ] = ()
    learned_quiet: Annotated[
        bool,
        field(
            "Use learned quiet times",
            "Take the quiet time that was learned from a sender's own pauses, where one is known and none is set for it.",
            recommended="off; look at the proposals of System first",
        ),
    ] = False
    maximum_associations: Annotated[int, field("Associations at once", "More are turned away for now.", ge=1, le=500)] = 50
    associations_per_address: Annotated[
        int, field("Associations of one address", "More of one address are turned away for now; 0 is no limit.", ge=0, le=500)
    ] = 0
    negotiation_seconds: Annotated[
        int,
        field("Time for a request", "A caller that has not said who it is after so long is sent away.", unit="s", ge=1, le=600),
    ] = 30
    idle_seconds: Annotated[
        int,
        field(
            "Silence of an association",
            "An association of which nothing was heard for so long is ended; what was acknowledged stays.",
            unit="s",
            ge=5,
            le=3600,
        ),
    ] = 60
    private_classes: Annotated[
        tuple[ClassUid, ...],
        field(
            "Private storage classes",
            "SOP class UIDs of manufacturers that are stored besides those of the standard.",
            restart="receive",
        ),
    ] = ()
    tls: Annotated[
        bool, field("TLS", "Accept only associations over TLS 1.2 or newer; plain ones are refused.", recommended="on")
    ] = False
    tls_certificate: Annotated[
        Pem, field("TLS certificate", "This appliance's certificate and those between it and the authority, as PEM.")
    ] = ""
    tls_key: Annotated[
        Secret | None, field("TLS private key", "The key of the certificate, as PEM, without a password.", widget="pem")
    ] = None
    tls_authority: Annotated[
        Pem,
        field("Authority of callers", "Certificates of authorities that callers' certificates are checked with, as PEM."),
    ] = ""
    tls_mutual: Annotated[bool, field("Demand certificates", "Refuse callers without a certificate of these authorities.")] = (
        False
    )
    fast_path: Annotated[
        bool,
        field(
            "Fast receiving",
            "Store instances through the journal; off writes one file for each before it is answered, which is much slower.",
        ),
    ] = True
    conflicts: Annotated[
        Literal["keep-first", "quarantine"],
        field(
            "Conflicting instances",
            "When an instance comes again with other content both are kept: keep-first goes on with the content that came "
            "first, quarantine puts the study aside until a person has looked.",
        ),
    ] = "keep-first"
    late_instances: Annotated[
        Literal["ask", "always", "never"],
        field(
            "Late instances",
            "What happens when instances come after a study was processed: "
            "ask opens no order, always opens a new one, never ignores.",
        ),
    ] = "ask"
    product_tag_group: Annotated[
        OddHex4,
        field("Product tag: group", "Group (odd) of a private attribute that names products; product IDs, comma-separated."),
    ] = "0019"
    product_tag_element: Annotated[
        Hex4,
        field("Product tag: element", "Element of that attribute; with a private creator its last two digits count."),
    ] = "0021"
    product_tag_creator: Annotated[
        str,
        field(
            "Product tag: private creator",
            "Who reserved the block of that attribute; empty: exactly this group and element, in no block.",
            max_length=64,
        ),
    ] = ""
    paused: Annotated[
        bool, field("Paused", "Turn new associations away for now, for maintenance; senders keep their studies and try again.")
    ] = False
    open_orders: Annotated[bool, field("Process received studies", "Open an order by itself when a study is complete.")] = True

    def taker_of_results(self, sender: str) -> "ResultTaker | None":
        """Who takes the results of a sender's storage commitments; None where none is set."""
        for one in self.commitment_addresses:
            title, _, address = one.rpartition("=")
            if title.strip() == sender:
                place = address.strip().removesuffix("/tls")
                host, _, port = place.rpartition(":")
                return ResultTaker(
                    host=host,
                    port=int(port),
                    called_ae=sender,
                    calling_ae=self.ae_title,
                    tls=place != address.strip(),
                    authority=self.tls_authority,
                    certificate=self.tls_certificate,
                    key=self.tls_key or Secret(),
                )
        return None


class ResultTaker(msgspec.Struct, frozen=True, kw_only=True):
    """A DICOM node that is told results of storage commitment."""

    host: str
    port: int
    called_ae: str
    calling_ae: str
    tls: bool
    authority: str
    certificate: str
    key: Secret
    host_name: str = ""
    timeout_s: int = 30


class UploadsSection(Section, frozen=True, kw_only=True):
    """Uploads"""

    maximum_gb: Annotated[
        int, field("Maximum upload size", "With all its files, as they are sent and unpacked.", unit="GB", ge=1, le=100)
    ] = 5


Completing = Annotated[
    Literal["off", "say", "hold", "pull"],
    field(
        "Completeness",
        "Ask it, when a study of its sender goes quiet, what the study holds. say: a warning when something is missing; "
        "hold: quality control fails; pull: what is missing is pulled first, and what it cannot give holds the study.",
    ),
]
Comparing = Annotated[
    Literal["series", "study"],
    field("Compare", "Each series of which something came, or every series that it holds of the study."),
]


class PacsNode(Section, frozen=True, kw_only=True):
    """PACS node"""

    name: Annotated[Name, field("Name", "How lists and the audit call this node.")]
    host: Annotated[Host, field("Host")]
    port: Annotated[Port, field("Port")] = 104
    called_ae: Annotated[AeTitle, field("AE title", "Its AE title, by which it also sends studies to this appliance.")]
    calling_ae: Annotated[AeTitle, field("Our AE title", "The AE title that it knows this appliance by.")] = "RANVIER_SCP"
    retrieve: Annotated[
        Literal["move", "get"],
        field(
            "Retrieve by",
            "C-MOVE: it sends studies to our AE title, whose address it must know. C-GET: they come by our own association.",
        ),
    ] = "move"
    tls: Annotated[bool, field("TLS", "TLS 1.2 or newer; its certificate is checked.")] = False
    authority: Authority = ""
    certificate: OwnCertificate = ""
    key: OwnKey = msgspec.field(default_factory=Secret)
    host_name: ProvenName = ""
    completeness: Completing = "off"
    compare: Comparing = "series"
    timeout_s: Annotated[int, field("Time-out", "For each answer.", unit="s", ge=1, le=600)] = 30


class WebNode(Endpoint, frozen=True, kw_only=True):
    """DICOMweb node"""

    sender: Annotated[
        str,
        field(
            "AE title",
            "By which it sends studies to this appliance; empty: it only answers.",
            pattern=r"^(?!\n)$|" + AE_TITLE_PATTERN,
        ),
    ] = ""
    completeness: Completing = "off"
    compare: Comparing = "series"

    @property
    def called_ae(self) -> str:
        """The AE title by which its studies come."""
        return self.sender


Node = PacsNode | WebNode


class NodesSection(Section, frozen=True, kw_only=True):
    """PACS nodes (query and retrieve)"""

    nodes: Annotated[
        tuple[PacsNode, ...],
        field("Nodes", "PACS that studies can be found on and pulled from.", max_length=20, widget="destinations"),
    ] = ()
    web: Annotated[
        tuple[WebNode, ...],
        field(
            "DICOMweb nodes", "Archives that are asked by QIDO-RS and give by WADO-RS.", max_length=20, widget="destinations"
        ),
    ] = ()
    pull_attempts: Annotated[int, field("Attempts", "Then a pull counts as failed.", ge=1, le=20)] = 3
    first_wait_s: Annotated[int, field("First wait", "Doubles with each attempt.", unit="s", ge=0, le=3600)] = 30

    @property
    def everyone(self) -> tuple[Node, ...]:
        """Every node of either kind."""
        return (*self.nodes, *self.web)


class DropFolder(Section, frozen=True, kw_only=True):
    """Watched folder"""

    name: Annotated[Name, field("Name", "How lists and the audit call this folder.")]
    folder: Annotated[
        Folder,
        field("Folder", "Absolute path; in it `incoming`, where studies are put, and `outgoing`, where reports appear."),
    ]
    sender: Annotated[AeTitle, field("Sender", "What comes from here is listed under this name, as under an AE title.")]
    whole: Annotated[
        Literal["settled", "marker"],
        field(
            "Taken when",
            "settled: nothing of it changed for the settling time and nobody has it open; marker: a file of the same name "
            "with the marker's ending lies beside it.",
            recommended="marker on network shares",
        ),
    ] = "settled"
    settled_s: Annotated[int, field("Settling time", unit="s", ge=1, le=3600, recommended="30")] = 30
    marker: Annotated[str, field("Marker", "The ending of marker files.", pattern=r"^\.[A-Za-z0-9_\-]{1,20}(?!\n)$")] = ".done"
    maximum_gb: Annotated[int, field("Largest drop", "Unpacked; a larger one is refused.", unit="GB", ge=1, le=1000)] = 20
    formats: Annotated[tuple[ReportFormat, ...], field("Formats", "Of each report that appears in `outgoing`.")] = (
        "pdf",
        "json",
    )
    identity_in_reports: Annotated[
        bool,
        field("Patient's identity", "Reports carry patient ID, name, birth date and accession number.", recommended="off"),
    ] = False
    table: Annotated[
        bool, field("Table of results", "Keep `results.csv` in `outgoing` up to date, at the cadence of the scheduler.")
    ] = True


class DropsSection(Section, frozen=True, kw_only=True):
    """Watched folders (and SFTP)"""

    folders: Annotated[
        tuple[DropFolder, ...],
        field("Folders", "A study put into one becomes an order.", max_length=50, widget="destinations"),
    ] = ()
