"""The numbers of a tensor fit: brain and white matter, and what they were computed from."""

from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti.series import DiffusionSeries
from appliance.products.dti.tensor import TensorMaps
from appliance.products.manifest import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHITE_MATTER_FA = 0.2
WHITE_MATTER_MD = (0.4e-3, 1.2e-3)
"""mm2/s; leaves out fluid and voxels whose signal lies in the noise."""
DIFFUSIVITY_UNIT = "10^-3 mm2/s"

_MEASURES = {"fa": "FA", "md": "MD", "ad": "AD", "rd": "RD"}
_REGIONS = {"brain": "brain", "white_matter": "white matter"}
_MOST_TELLING = ("fa_mean_white_matter", "md_mean_white_matter", "fa_mean_brain", "md_mean_brain")
"""They come first: reports show a product's first values on their first page."""


def white_matter(maps: TensorMaps, mask: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """Voxels that diffuse as white matter does: FA above 0.2, plausible MD, one voxel inside the mask's surface."""
    from scipy import ndimage

    low, high = WHITE_MATTER_MD
    # Voxels at the surface are half scalp or fluid and show an anisotropy that is none. The end slices have only one side.
    deep = ndimage.binary_erosion(mask, border_value=1)
    found: NDArray[np.bool_] = deep & (maps.fa > WHITE_MATTER_FA) & (maps.md > low) & (maps.md < high)
    return found


def summarise(
    series: DiffusionSeries, maps: TensorMaps, mask: "NDArray[np.bool_]", voxel_mm: tuple[float, float, float], prefix: str
) -> list[Value]:
    """The values of one series; `prefix` goes before the names of all but the primary one."""
    regions = {"brain": mask, "white_matter": white_matter(maps, mask)}
    values: list[Value] = []
    for region, inside in regions.items():
        for measure, image in maps.scalars().items():
            values += _statistics(measure, region, image[inside])
    millilitres = float(np.prod(voxel_mm)) / 1000.0
    for region, inside in regions.items():
        count = int(inside.sum())
        place = _REGIONS[region]
        values.append(Value(name=f"voxels_{region}", label=f"Voxels, {place}", value=count))
        values.append(Value(name=f"volume_{region}", label=f"Volume, {place}", value=round(count * millilitres, 1), unit="mL"))
    values += _acquisition(series, voxel_mm)
    values.sort(key=lambda one: _MOST_TELLING.index(one.name) if one.name in _MOST_TELLING else len(_MOST_TELLING))
    if not prefix:
        return values
    mark = f"Series {series.name[1:]}: "
    return [
        Value(name=prefix + one.name, label=mark + one.label, value=one.value, unit=one.unit, note=one.note) for one in values
    ]


def _statistics(measure: str, region: str, found: "NDArray[np.float32]") -> list[Value]:
    scale, unit, digits = (1.0, "", 4) if measure == "fa" else (1e3, DIFFUSIVITY_UNIT, 4)
    exact = found.astype(np.float64) * scale
    numbers = {"mean": exact.mean(), "median": np.median(exact), "sd": exact.std()} if exact.size else {}
    words = {"mean": "mean", "median": "median", "sd": "standard deviation"}
    return [
        Value(
            name=f"{measure}_{kind}_{region}",
            label=f"{_MEASURES[measure]} {words[kind]}, {_REGIONS[region]}",
            value=round(float(number), digits),
            unit=unit,
        )
        for kind, number in numbers.items()
    ]


def _acquisition(series: DiffusionSeries, voxel_mm: tuple[float, float, float]) -> list[Value]:
    shells = ", ".join(map(str, series.shells))
    values = [
        Value(name="volumes_used", label="Volumes used", value=len(series.used)),
        Value(name="volumes_b0", label="Volumes with b=0", value=int(series.unweighted.sum())),
        Value(name="directions", label="Gradient directions", value=series.directions),
        Value(
            name="b_value",
            label="Highest b-value used",
            value=round(float(series.bvalues.max()), 1),
            unit="s/mm2",
            note=f"b-values: {shells} s/mm2, rounded to 50",
        ),
    ]
    axes = zip("xyz", voxel_mm, strict=True)
    return values + [
        Value(name=f"voxel_{axis}", label=f"Voxel size, {axis}", value=round(size, 3), unit="mm") for axis, size in axes
    ]
