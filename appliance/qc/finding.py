"""What quality control is asked and what it answers."""

from enum import StrEnum
from typing import Any

import msgspec


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


class QcReport(msgspec.Struct, kw_only=True, frozen=True):
    """The verdict, one finding a check, the series each product will get, and the settled metadata."""

    verdict: Verdict
    findings: list[Finding]
    inputs: dict[str, list[str]]
    """Product id -> our series identifiers."""
    metadata: dict[str, Origin]

    def counted(self, verdict: Verdict) -> int:
        """How many checks ended so."""
        return sum(1 for finding in self.findings if finding.verdict is verdict)
