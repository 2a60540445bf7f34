"""What a group's report is made from: one typed request, from which its table, its schema and its pages are made."""

import msgspec

from appliance.finite import finite

SCHEMA = "ranvier-group-report/1"
FORMATS = ("csv", "schema", "pdf", "png")
EXTENSIONS = {"csv": "csv", "schema": "schema.json", "pdf": "pdf", "png": "png"}
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "schema": "application/json",
    "pdf": "application/pdf",
    "png": "image/png",
}


class Number(msgspec.Struct, kw_only=True, frozen=True):
    """One number of one study."""

    column: str
    """`product.name`."""
    label: str
    value: float | None
    """None where it cannot be computed."""
    unit: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "value", finite(self.value))


class CohortMember(msgspec.Struct, kw_only=True, frozen=True):
    """One study of the group; one that is not done has no numbers."""

    study: str
    order: str
    standing: str
    """`done`, `failed`, `cancelled` or `open`."""
    code: str = ""
    facts: dict[str, str] = {}
    """Columns of the feature vector that every report has."""
    numbers: list[Number] = []


class CohortRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Make the report of a group in a folder."""

    group: str
    report: str
    version: int
    made_at: str
    """ISO 8601 UTC."""
    reason: str
    site: str
    products: dict[str, str]
    """Product -> version."""
    members: list[CohortMember]
    out_folder: str
    stem: str
    paper: str = "A4"


class CohortAnswer(msgspec.Struct, kw_only=True, frozen=True):
    """Format -> file name below the out-folder."""

    files: dict[str, str]
