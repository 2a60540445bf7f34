"""One typed report, from which every format is made."""

import msgspec

from appliance.finite import finite

SCHEMA = "ranvier-report/1"


class Row(msgspec.Struct, kw_only=True, frozen=True):
    """One number: label, value as it is printed, unit."""

    name: str
    label: str
    value: float | None
    """None where it cannot be computed; what is not finite becomes None."""
    unit: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "value", finite(self.value))


class PictureFile(msgspec.Struct, kw_only=True, frozen=True):
    """One picture on disk with its caption."""

    path: str
    title: str


class ProductSection(msgspec.Struct, kw_only=True, frozen=True):
    """One product's part of a report; a failed run has `failure` and no rows."""

    product: str
    version: str
    title: str
    intended_use: str = ""
    rows: list[Row] = []
    pictures: list[PictureFile] = []
    notes: list[str] = []
    provenance: dict[str, str] = {}
    failure: str = ""


class QcRow(msgspec.Struct, kw_only=True, frozen=True):
    """One QC check as the report prints it."""

    title: str
    verdict: str
    found: str
    expected: str
    action: str = ""
    picture: str = ""
    """Path of a PNG; empty where there is none."""
    caption: str = ""
    """What the picture shows."""


class Earlier(msgspec.Struct, kw_only=True, frozen=True):
    """What one product found in an earlier study of the same patient, as far as it is followed over time."""

    days_before: int
    study: str
    order: str
    product: str
    product_version: str
    rows: list[Row]


class Failure(msgspec.Struct, kw_only=True, frozen=True):
    """Why an order ended without a result."""

    code: str
    what: str
    advice: str
    stage: str


class ReportContent(msgspec.Struct, kw_only=True, frozen=True):
    """Everything a report says, without who the patient is."""

    schema: str = SCHEMA
    order: str
    report: str
    version: int
    supersedes: str = ""
    kind: str = "report"
    """`report`, `failure`, or `test` for what belongs to no patient."""
    study: str
    study_version: int
    made_at: str
    """ISO 8601 UTC."""
    site: str = ""
    instances: int
    age: str = ""
    age_origin: str = ""
    sex: str = ""
    sex_origin: str = ""
    qc_verdict: str
    qc_rows: list[QcRow] = []
    caveats: list[str] = []
    """Sentences for the first page and every format (RES-01)."""
    sections: list[ProductSection] = []
    earlier: list[Earlier] = []
    """Newest first."""
    failure: Failure | None = None
    provenance: dict[str, str] = {}


class PageIdentity(msgspec.Struct, kw_only=True, frozen=True):
    """What a copy tells of the patient where a destination's setting asks for it (RES-05); pages show the first three."""

    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    issuer: str = ""
    accession: str = ""
    study_instance_uid: str = ""


class RenderRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Make these formats of a report in a folder."""

    content: ReportContent
    out_folder: str
    formats: list[str]
    page_identity: PageIdentity | None = None
    paper: str = "A4"


class RenderAnswer(msgspec.Struct, kw_only=True, frozen=True):
    """Format -> file name below the out-folder."""

    files: dict[str, str]


class SheetRequest(msgspec.Struct, kw_only=True, frozen=True):
    """One page of labelled lines, such as the passport of a de-identified study; nothing on it is a patient's."""

    title: str
    headline: str
    rows: list[tuple[str, str]]
    site: str = ""
    paper: str = "A4"


class Sheet(msgspec.Struct, kw_only=True, frozen=True):
    """The page as PDF; the same request gives the same bytes."""

    pdf: bytes


EXTENSIONS: dict[str, str] = {
    "json": "json",
    "xml": "xml",
    "txt": "txt",
    "png": "png",
    "pdf": "pdf",
    "csv": "csv",
    "dicom-csv": "dicom.csv",
    "fhir": "fhir.json",
    "dicom-pdf": "dcm",
    "dicom-sr": "sr.dcm",
    "dicom-sc": "sc.dcm",
    "hl7": "hl7",
}
"""Format -> the end of its file's name."""

MEDIA_TYPES: dict[str, str] = {
    "json": "application/json",
    "xml": "application/xml",
    "txt": "text/plain; charset=utf-8",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "dicom-csv": "text/csv; charset=utf-8",
    "fhir": "application/fhir+json",
    "dicom-pdf": "application/dicom",
    "dicom-sr": "application/dicom",
    "dicom-sc": "application/dicom",
    "hl7": "x-application/hl7-v2+er7",
}
REPORT_FORMATS = ("json", "xml", "txt", "png", "pdf", "csv", "dicom-csv", "fhir")
"""What is made of every report and kept: the formats that name nobody."""
FAILURE_FORMATS = ("json", "txt", "png", "pdf")


def file_name(order: str, kind: str, version: int, name: str) -> str:
    """The name of a format's file (RES-01): `<order>_report.pdf`, a corrected one `<order>_report_v2.pdf`."""
    suffix = f"_v{version}" if version > 1 else ""
    return f"{order}_{kind}{suffix}.{EXTENSIONS.get(name, name)}"


class Hl7Names(msgspec.Struct, kw_only=True, frozen=True):
    """Who speaks to whom in an HL7 v2 message, and what it says of the result's standing."""

    sending_application: str = "RANVIER"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    processing: str = "P"
    status: str = "P"
    control_id: str = ""


class CopyRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Make the copy of a report that one destination gets: with the patient's identity, or as an object of another standard."""

    content: ReportContent
    out_folder: str
    formats: list[str]
    identity: dict[str, str]
    """`appliance.records.identities.PatientIdentity` as plain JSON."""
    identity_on_pages: bool
    """Whether text and pages name the patient too; headers of DICOM objects always do."""
    sop_instance_uid: str
    created_at: int
    predecessor_uid: str = ""
    """SOP Instance UID under which this destination has the version before."""
    predecessor_report: str = ""
    sources: list[str] = []
    """Paths of the original instances that the numbers come from."""
    hl7: Hl7Names | None = None
    paper: str = "A4"
    time_zone: str = "UTC"
    """IANA name; DICOM dates and times are the site's local ones."""
