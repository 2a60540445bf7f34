"""Region values by an atlas's labels, and the feature vector: one row of numbers with columns that say what they are."""

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from appliance.products.manifest import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_VOXELS = 5
"""Fewer voxels make no mean that could be compared."""
DIFFUSIVITY = "10^-3 mm2/s"


@dataclass(frozen=True, slots=True)
class Measure:
    """One map that regions are measured on."""

    name: str
    """As in column names: `fa`, `fw_fraction`."""
    label: str
    image: "NDArray[np.float32]"
    unit: str
    known: "NDArray[np.bool_]"
    """Where the map has a value."""


def slug(name: str) -> str:
    """A region's name as part of a column's: lower case, words joined by underscores, the remark in brackets left out."""
    plain = re.sub(r"\([^)]*\)", " ", name)
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


def slugs(names: dict[str, str]) -> dict[str, str]:
    """Each region's part of a column's name; remarks in brackets are kept where names would be the same without them."""
    short = {number: slug(name) for number, name in names.items()}
    shared = Counter(short.values())
    return {
        number: short[number] if shared[short[number]] == 1 else slug(name.replace("(", "_").replace(")", "_"))
        for number, name in names.items()
    }


def region_values(
    labels: "NDArray[np.int32]",
    names: dict[str, str],
    measures: list[Measure],
    mask: "NDArray[np.bool_]",
    voxel_mm: tuple[float, float, float],
) -> list[Value]:
    """Mean of each measure and volume of each region within the mask; regions with too few voxels are left out."""
    inside = np.where(mask, labels, 0)
    columns = slugs(names)
    found: list[Value] = []
    for number, name in sorted(names.items(), key=lambda one: int(one[0])):
        region = inside == int(number)
        count = int(region.sum())
        if int(number) == 0 or count < LEAST_VOXELS:
            continue
        shown = name.replace("_", " ")
        for measure in measures:
            values = measure.image[region & measure.known]
            if values.size < LEAST_VOXELS:
                continue
            mean = float(values.astype(np.float64).mean()) * (1e3 if measure.unit == DIFFUSIVITY else 1.0)
            label = f"{measure.label} mean, {shown}"
            found.append(
                Value(name=f"{measure.name}_mean_{columns[number]}", label=label, value=round(mean, 4), unit=measure.unit)
            )
        millilitres = round(count * float(np.prod(voxel_mm)) / 1000.0, 2)
        found.append(Value(name=f"volume_{columns[number]}", label=f"Volume, {shown}", value=millilitres, unit="mL"))
    return found


def write_features(values: list[Value], folder: Path) -> list[str]:
    """Writes `features.csv` (names, then one row of numbers) and `features_columns.csv` (what each column is)."""
    with (folder / "features.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([one.name for one in values])
        writer.writerow(["" if one.value is None else f"{one.value:.6g}" for one in values])
    with (folder / "features_columns.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["column", "description", "unit", "note"])
        writer.writerows([one.name, one.label, one.unit, one.note] for one in values)
    return ["features.csv", "features_columns.csv"]
