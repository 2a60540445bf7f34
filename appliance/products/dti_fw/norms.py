"""z-scores against a reference table that a site installed: `<data folder>/norms/norms.json`."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.errors import Failed
from appliance.products.manifest import Value


class NormsWrong(Failed):
    """The installed reference table is not as documented."""

    code = "norms-wrong"
    next_step = "Install the reference table anew, or remove its folder to run without z-scores."


class NormRow(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Mean and standard deviation of one feature in one group of healthy people."""

    feature: str
    sex: str = ""
    """`F` or `M`; empty for both."""
    age_low: float
    age_high: float
    """Years; the upper end does not belong to the group."""
    mean: float
    sd: Annotated[float, Meta(gt=0)]
    people: Annotated[int, Meta(ge=2)]


class Norms(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """`norms.json`."""

    name: str
    version: str
    source: str
    rows: list[NormRow]


def z_scores(data_folder: Path, values: list[Value], age_years: float | None, sex: str) -> tuple[list[Value], list[str]]:
    """z-scores of the values that the table has a group for, and notes; raises `NormsWrong`."""
    file = data_folder / "norms" / "norms.json"
    if not file.is_file():
        return [], []
    try:
        norms = msgspec.json.decode(file.read_bytes(), type=Norms)
    except msgspec.MsgspecError as fault:
        raise NormsWrong() from fault
    if age_years is None:
        return [], [f"No z-scores against {norms.name} {norms.version}: the patient's age is not known."]
    scores = []
    for value in values:
        row = _group(norms.rows, value.name, age_years, sex)
        if row is not None and value.value is not None:
            note = f"{norms.name} {norms.version}: mean {row.mean:g}, SD {row.sd:g}, {row.people} people"
            z = round((value.value - row.mean) / row.sd, 2)
            scores.append(Value(name=f"z_{value.name}", label=f"z-score, {value.label}", value=z, note=note))
    if not scores:
        return [], [f"No z-scores against {norms.name} {norms.version}: it has no group of this age and sex."]
    return scores, [f"z-scores are against {norms.name} {norms.version} ({norms.source})."]


def _group(rows: list[NormRow], feature: str, age_years: float, sex: str) -> NormRow | None:
    fitting = [one for one in rows if one.feature == feature and one.age_low <= age_years < one.age_high]
    own = [one for one in fitting if one.sex == sex and sex]
    both = [one for one in fitting if not one.sex]
    return next(iter(own + both), None)
