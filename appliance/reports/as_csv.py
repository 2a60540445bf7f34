"""The feature vector: one row for the order, one column for each number, to be put below those of other orders."""

import csv
import io
from collections.abc import Iterable, Sequence

from appliance.reports import words
from appliance.reports.content import RenderRequest, ReportContent

FACTS = (
    "Subject", "order", "report", "version", "supersedes", "study_version", "made_at", "site", "qc_verdict", "age",
    "age_origin", "sex", "sex_origin", "caveats", "failed_products", "notice",
)  # fmt: skip
"""Columns that every report has, before those of its products, which are called `product.name`."""


def make(request: RenderRequest) -> bytes:
    """The feature vector as UTF-8 CSV (RFC 4180); a number that cannot be computed is empty."""
    facts, numbers = facts_of(request.content), numbers_of(request.content)
    return written([[*facts, *numbers], [*facts.values(), *numbers.values()]])


def table(contents: Iterable[ReportContent]) -> bytes:
    """The feature vectors of many reports, one row each; a number that a report does not have is empty."""
    rows = [{**facts_of(one), **numbers_of(one)} for one in contents]
    columns = list(dict.fromkeys([*FACTS, *(name for row in rows for name in row)]))
    return written([columns, *([row.get(name, "") for name in columns] for row in rows)])


def facts_of(content: ReportContent) -> dict[str, str]:
    """Column -> value of what every report has; nothing that names the patient."""
    lost = [f"{one.product}: {one.failure}" for one in content.sections if one.failure]
    found = (
        content.study, content.order, content.report, str(content.version), content.supersedes, str(content.study_version),
        content.made_at, content.site, content.qc_verdict, content.age, content.age_origin, content.sex, content.sex_origin,
        " | ".join(content.caveats), " | ".join(lost), words.NOTICE_LONG,
    )  # fmt: skip
    return dict(zip(FACTS, found, strict=True))


def numbers_of(content: ReportContent) -> dict[str, str]:
    """Column -> number of every product that has finished."""
    return {
        f"{section.product}.{row.name}": plain(row.value)
        for section in content.sections
        if not section.failure
        for row in section.rows
    }


def plain(value: float | None) -> str:
    """A number as programs read it; empty when it cannot be computed."""
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)


def written(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV; a text that a spreadsheet would take for a formula is marked as text."""
    target = io.StringIO()
    csv.writer(target, lineterminator="\r\n").writerows([[_harmless(cell) for cell in row] for row in rows])
    return target.getvalue().encode()


def _harmless(cell: str) -> str:
    if cell[:1] in ("=", "@", "+", "-", "\t", "\r"):
        try:
            float(cell)
        except ValueError:
            return "'" + cell
    return cell
