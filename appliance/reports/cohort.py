"""The stage `cohort`: a group's table with its schema, and the page of its statistics."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median, quantiles, stdev

import msgspec

from appliance.reports.as_csv import FACTS, plain, written
from appliance.reports.cohort_content import EXTENSIONS, SCHEMA, CohortAnswer, CohortMember, CohortRequest, Number
from appliance.reports.inert import inert_struct
from appliance.storage import write_durable

_OWN = ("group", "standing", "code")
"""Columns before those of the feature vector."""
_MEANT = {
    "group": "Name of the group.",
    "standing": "done, failed, cancelled or open.",
    "code": "Reason code of an order that failed or waits.",
    "Subject": "Our identifier of the study.",
    "order": "Our identifier of the order.",
    "report": "Our identifier of the report that the numbers come from.",
    "caveats": "What the reader must know before the numbers; several with | between them.",
}
FENCE = 1.5
"""Tukey's fences: further than this many interquartile ranges from the quartiles is an outlier."""
FEWEST = 4
"""Studies below which there are no quartiles worth the name, and no outliers."""


class Distribution(msgspec.Struct, kw_only=True, frozen=True):
    """How one number is distributed over the studies that have it."""

    column: str
    label: str
    unit: str
    count: int
    mean: float
    deviation: float
    least: float
    lower: float
    middle: float
    upper: float
    most: float
    outliers: list[tuple[str, float]]
    """Study and value beyond the fences, furthest first."""


def run(request: CohortRequest, progress: Callable[[float, str], None]) -> CohortAnswer:
    """Writes every format into the out-folder."""
    from appliance.reports import cohort_page

    clean = inert_struct(request)
    pages = cohort_page.make(clean, distributions(clean))
    progress(0.6, "pages drawn")
    made = {
        "csv": table(clean),
        "schema": schema(clean),
        "pdf": pages,
        "png": cohort_page.picture(clean, pages),
    }
    files = {name: f"{request.stem}.{EXTENSIONS[name]}" for name in made}
    for name, content in made.items():
        write_durable(Path(request.out_folder) / files[name], content)
    progress(1.0, "group report written")
    return CohortAnswer(files=files)


def table(request: CohortRequest) -> bytes:
    """One row for each study, as UTF-8 CSV (RFC 4180); a study without a result has no numbers."""
    columns = [one.column for one in _columns(request.members)]
    rows = [[*_OWN, *FACTS, *columns]]
    for member in request.members:
        numbers = {one.column: plain(one.value) for one in member.numbers}
        facts = {"Subject": member.study, "order": member.order, **member.facts}
        own = (request.group, member.standing, member.code)
        rows.append([*own, *(facts.get(name, "") for name in FACTS), *(numbers.get(name, "") for name in columns)])
    return written(rows)


def schema(request: CohortRequest) -> bytes:
    """What each column of the table is: a Table Schema (Frictionless Data) with label and unit of every number."""
    fields = [_field(name, "integer" if name in ("version", "study_version") else "string") for name in (*_OWN, *FACTS)]
    fields += [_field(one.column, "number", title=one.label, unit=one.unit) for one in _columns(request.members)]
    told = {
        "schema": SCHEMA,
        "group": request.group,
        "report": request.report,
        "version": request.version,
        "made_at": request.made_at,
        "products": request.products,
        "fields": fields,
        "primaryKey": "Subject",
        "missingValues": [""],
    }
    return json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"


def _field(name: str, kind: str, **more: str) -> dict[str, str]:
    told = {"name": name, "type": kind, **more, "description": _MEANT.get(name, "")}
    return {key: value for key, value in told.items() if value}


def distributions(request: CohortRequest) -> list[Distribution]:
    """Every number that at least one study has, in the order of the products' own rows."""
    return distributions_of(request.members)


def distributions_of(members: Sequence[CohortMember]) -> list[Distribution]:
    """The same of some members."""
    found = []
    for column in _columns(members):
        values = [
            (member.study, one.value)
            for member in members
            for one in member.numbers
            if one.column == column.column and one.value is not None
        ]
        if values:
            found.append(_distribution(column, values))
    return found


def _distribution(column: Number, values: list[tuple[str, float]]) -> Distribution:
    plain_values = [value for _, value in values]
    enough = len(values) >= FEWEST
    lower, middle, upper = quantiles(plain_values, n=4, method="inclusive") if enough else [median(plain_values)] * 3
    reach = FENCE * (upper - lower)
    outside = [(study, value) for study, value in values if enough and not lower - reach <= value <= upper + reach]
    return Distribution(
        column=column.column,
        label=column.label,
        unit=column.unit,
        count=len(values),
        mean=fmean(plain_values),
        deviation=stdev(plain_values) if len(values) > 1 else 0.0,
        least=min(plain_values),
        lower=lower,
        middle=middle,
        upper=upper,
        most=max(plain_values),
        outliers=sorted(outside, key=lambda one: -abs(one[1] - middle)),
    )


def _columns(members: Sequence[CohortMember]) -> list[Number]:
    """Every column of numbers once, as it first appears."""
    return list({one.column: one for member in reversed(members) for one in reversed(member.numbers)}.values())[::-1]


def counted(members: list[CohortMember]) -> dict[str, int]:
    """Standing -> how many."""
    return {
        standing: sum(1 for one in members if one.standing == standing) for standing in ("done", "failed", "cancelled", "open")
    }
