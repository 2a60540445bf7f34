"""A group's table without the identifiers of a study that was deleted, and whether the page of statistics names the study."""

import csv
import io
from collections.abc import Collection

from appliance.reports.as_csv import FACTS
from appliance.reports.cohort import Distribution, distributions_of
from appliance.reports.cohort_content import CohortMember, Number


def without(table: bytes, gone: Collection[str]) -> bytes:
    """The table with empty fields where these identifiers stood; the numbers of the study stay."""
    for one in gone:
        table = table.replace(one.encode(), b"")
    return table


def is_named(table: bytes, study: str) -> bool:
    """Whether the page of this table names a study: as an outlier, or because it has no result."""
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    mine = next((row for row in rows if row["Subject"] == study), None)
    if mine is None or mine["standing"] != "done":
        return mine is not None
    return any(study in {one for one, _ in found.outliers} for found in _distributions(rows))


def _distributions(rows: list[dict[str, str]]) -> list[Distribution]:
    columns = [name for name in (rows[0] if rows else {}) if "." in name and name not in FACTS]
    return distributions_of(
        [
            CohortMember(
                study=row["Subject"],
                order="",
                standing=row["standing"],
                numbers=[Number(column=name, label=name, value=float(row[name])) for name in columns if row[name]],
            )
            for row in rows
        ]
    )
