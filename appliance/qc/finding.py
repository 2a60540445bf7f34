"""What quality control is asked and what it answers."""

from enum import StrEnum
from typing import Any

import msgspec

COMPLETENESS = "completeness"
"""The check that compares a study with what its source holds; reports ask for its finding."""


class Verdict(StrEnum):
    """The outcome of one check, or of all."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    BYPASSED = "bypassed"
    NOT_APPLICABLE = "not-applicable"


class Finding(msgspec.Struct, kw_only=True, frozen=True):
    """One check: what was found, what was expected, and what to do next time. No patient value is ever part of it."""

    check: str
    title: str
    verdict: Verdict
    found: str
    expected: str
    action: str = ""
    figure: float | None = None
    unit: str = ""
    picture: str = ""
    """A PNG below the folder of the order's QC pictures; empty where there is none."""
    caption: str = ""
    """What the picture shows."""


class SeriesFile(msgspec.Struct, kw_only=True, frozen=True):
    """One instance on disk, under our own identifiers."""

    instance: str
    series: str
    path: str


class Origin(msgspec.Struct, kw_only=True, frozen=True):
    """One value of the metadata and where it came from: form, sidecar, dicom, or nowhere."""

    value: str = ""
    origin: str = ""
    contradicts: bool = False
    """A form or sidecar value that differs from the header (age by more than a year, sex)."""


class SourceCount(msgspec.Struct, kw_only=True, frozen=True):
    """What the source of a study said when it went quiet."""

    node: str
    expected: int | None
    """None when it could not tell."""
    held: int
    detail: str = ""
    holds: bool = False
    """Whether missing instances stop the study, or are only warned of."""


class QcRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Everything a QC run needs."""

    order: str
    files: list[SeriesFile]
    protocols: dict[str, dict[str, Any]]
    """Product id -> the protocol rules of its manifest (`appliance.products.manifest.Protocol` as plain JSON)."""
    given: dict[str, Origin] = {}
    """`age`, `sex` as given by form or sidecar; they go before the header."""
    switched_off: list[str] = []
    """Names of checks that an administrator switched off."""
    source: SourceCount | None = None
    """None when nobody was asked what the study holds."""


class GradientRepair(msgspec.Struct, kw_only=True, frozen=True):
    """A gradient table whose axes are flipped or exchanged, and what puts it right. The images stay as they were received."""

    series: str
    number: int | None
    """Series Number (0020,0011)."""
    change: tuple[tuple[int, int, int], ...]
    """3 x 3: takes each direction of the converted table, as a column, to the right one."""
    words: str
    before: float
    """Coherence of the fibres under the table as it is."""
    after: float
    """And under the repaired one."""
    consent: str = ""
    """Who agreed; empty while it is only proposed."""


class QcReport(msgspec.Struct, kw_only=True, frozen=True):
    """The verdict, one finding a check, the series each product will get, and the settled metadata."""

    verdict: Verdict
    findings: list[Finding]
    inputs: dict[str, list[str]]
    """Product id -> our series identifiers."""
    metadata: dict[str, Origin]
    repairs: list[GradientRepair] = []
    """Gradient tables that are repaired for the analysis, or could be."""
    thresholds: str = ""
    """Version of the image checks' limits; empty where no image was looked at."""

    @property
    def columns(self) -> dict[str, Any]:
        """The report as an order keeps it: whole, and counted for lists."""
        asked = len(self.findings) - self.counted(Verdict.NOT_APPLICABLE)
        report = msgspec.json.encode(self).decode()
        return {"qc_report": report, "qc_asked": asked, "qc_failed": self.counted(Verdict.FAILED)}

    def counted(self, verdict: Verdict) -> int:
        """How many checks ended so."""
        return sum(1 for finding in self.findings if finding.verdict is verdict)


class QcImagesRequest(msgspec.Struct, kw_only=True, frozen=True):
    """The images of the series that passed the header checks, or of all candidates where none did."""

    report: QcReport
    """What the header checks found; the answer is this report with the images' findings behind."""
    files: list[SeriesFile]
    out_folder: str
    """Pictures go here; work is done in a folder `work` beside it that is gone at the end."""
    switched_off: list[str] = []
    consent: dict[str, str] = {}
    """Our series identifier -> who agreed to the repair of its gradient table; `*` for every one that is clearly wrong."""
