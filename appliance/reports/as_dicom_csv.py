"""The measurements of the DICOM SR as a table: one row for each, with its codes, unit, place and tracking identifier."""

from appliance.reports import words
from appliance.reports.as_csv import plain, written
from appliance.reports.codes import Code, coded
from appliance.reports.content import ProductSection, RenderRequest, ReportContent, Row
from appliance.reports.tracking import place_of, tracking_uid

COLUMNS = (
    "order", "report", "version", "study", "made_at", "qc_verdict", "product", "product_version", "tracking_identifier",
    "tracking_uid", "concept_code", "concept_scheme", "concept", "derivation_code", "derivation_scheme", "derivation",
    "site_code", "site_scheme", "site", "value", "unit_code", "unit_scheme", "unit", "name", "label", "note", "caveats",
    "notice",
)  # fmt: skip


def make(request: RenderRequest) -> bytes:
    """The table as UTF-8 CSV (RFC 4180); a product without a result has one row that says why."""
    content = request.content
    lines = [
        line
        for section in content.sections
        for line in ([_lost(content, section)] if section.failure else [_line(content, section, row) for row in section.rows])
    ]
    return written([COLUMNS, *lines])


def _line(content: ReportContent, section: ProductSection, row: Row) -> list[str]:
    found = coded(row)
    place = place_of(found)
    return [
        *_head(content, section),
        f"{section.product} {place.meaning}",
        tracking_uid(content.order, section.product, place),
        *found.concept,
        *(found.derivation or Code("", "", "")),
        *(found.site or Code("", "", "")),
        plain(row.value),
        *found.unit,
        row.name,
        row.label,
        row.note,
        *_tail(content),
    ]


def _lost(content: ReportContent, section: ProductSection) -> list[str]:
    return [*_head(content, section), *[""] * 17, f"No result: {section.failure}", *_tail(content)]


def _head(content: ReportContent, section: ProductSection) -> list[str]:
    return [
        content.order, content.report, str(content.version), content.study, content.made_at, content.qc_verdict,
        section.product, section.version,
    ]  # fmt: skip


def _tail(content: ReportContent) -> list[str]:
    return [" | ".join(content.caveats), words.NOTICE_LONG]
