"""The fits of a prepared series: tensor, free water, and the maps that they give."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti.faults import FitFailed
from appliance.products.dti.series import B0_LIMIT, TENSOR_LIMIT
from appliance.products.dti.tensor import MOST_UNUSABLE, TensorMaps
from appliance.products.dti_fw.free_water import REJECTED, FreeWater, fit_free_water
from appliance.products.dti_fw.single_shell import LIMITS, TISSUE_MD, index_at_fixed_md
from appliance.products.dti_fw.wls import fit_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]
    Table = tuple[NDArray[np.float64], NDArray[np.float64]]

HIGHEST_FREE_WATER = 2500.0
"""s/mm2: beyond it the noise floor decides."""
LEAST_VOLUMES = 9
"""Tensor, two amplitudes and one more."""


@dataclass(frozen=True, slots=True)
class WaterMaps:
    """Free water on the series' grid; 0 where there is no value."""

    fraction: "Pixels"
    fa: "Pixels"
    md: "Pixels"
    """mm2/s."""
    flags: "NDArray[np.uint8]"
    """As in `free_water`; 0 outside the mask too."""
    known: "NDArray[np.bool_]"
    """Where the fraction is known."""
    fit: FreeWater
    shells: list[int]


def shells_of(bvalues: "NDArray[np.float64]") -> list[int]:
    """The b-values without 0, rounded to 100 s/mm2."""
    return sorted({int(round(b / 100.0) * 100) for b in bvalues if b > B0_LIMIT})


def columns(pixels: "Pixels", mask: "NDArray[np.bool_]", wanted: "NDArray[np.bool_]") -> "Pixels":
    """(wanted volumes, voxels of the mask)."""
    return np.stack([pixels[..., volume][mask] for volume in np.flatnonzero(wanted)])


def for_tensor(table: "Table") -> "NDArray[np.bool_]":
    """Which volumes the tensor uses: up to `TENSOR_LIMIT` where these determine it, else all."""
    bvalues, bvectors = table
    low = bvalues <= TENSOR_LIMIT
    weighted = bvectors[low & (bvalues > B0_LIMIT)]
    x, y, z = weighted.T
    products = np.stack([x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
    enough = len(weighted) >= 6 and int(np.linalg.matrix_rank(products, tol=1e-3)) == 6
    return low if enough else np.ones_like(low)


def for_free_water(table: "Table") -> "NDArray[np.bool_] | None":
    """Which volumes the two-compartment model uses: low shells where there are two, else all; None with one shell.

    Kurtosis, which the model does not have, looks like water, the more so the higher b is.
    """
    bvalues, _ = table
    for limit in (TENSOR_LIMIT, HIGHEST_FREE_WATER):
        used = bvalues <= limit
        if len(shells_of(bvalues[used])) >= 2 and used.sum() >= LEAST_VOLUMES:
            return used
    return None


def tensor_maps(pixels: "Pixels", table: "Table", mask: "NDArray[np.bool_]", told: Callable[[float], None]) -> TensorMaps:
    """Maps of the tensor in the mask; raises `FitFailed` when much of the brain gives no value."""
    used = for_tensor(table)
    bvalues, bvectors = table[0][used], table[1][used]
    signal = columns(pixels, mask, used)
    found = fit_tensors(signal, bvalues, bvectors, told)
    good = signal[bvalues <= B0_LIMIT].min(axis=0) > 0
    unusable = int((~good).sum())
    if unusable > MOST_UNUSABLE * good.size:
        raise FitFailed(percent=round(100 * unusable / good.size))
    scalars = {
        "fa": found.fa(),
        "md": found.md(),
        "ad": found.values[0],
        "rd": (found.values[1] + found.values[2]) / 2,
    }
    maps = {name: _placed(np.where(good, values, 0), mask) for name, values in scalars.items()}
    direction = np.zeros((*mask.shape, 3), np.float32)
    direction[mask] = np.where(good, found.vectors[0], 0).T
    return TensorMaps(**maps, direction=direction, unusable=unusable)


def water_maps(pixels: "Pixels", table: "Table", mask: "NDArray[np.bool_]", told: Callable[[float], None]) -> WaterMaps | None:
    """Free water by the two-compartment model, None where the series has one shell."""
    used = for_free_water(table)
    if used is None:
        return None
    found = fit_free_water(columns(pixels, mask, used), table[0][used], table[1][used], b0_limit=B0_LIMIT, progress=told)
    known = np.zeros(mask.shape, bool)
    known[mask] = found.flags != REJECTED
    flags = np.zeros(mask.shape, np.uint8)
    flags[mask] = found.flags
    return WaterMaps(
        fraction=_placed(found.fraction, mask),
        fa=_placed(found.fa(), mask),
        md=_placed(found.md(), mask),
        flags=flags,
        known=known,
        fit=found,
        shells=shells_of(table[0][used]),
    )


def water_notes(water: WaterMaps) -> list[str]:
    """What a reader of the numbers must know."""
    flags = water.fit.flags
    shells = " and ".join(map(str, water.shells))
    notes = [
        f"Free water was fitted to the shells b = {shells} s/mm2. It is a signal fraction, not a volume; noise and kurtosis "
        "raise it, and so does tissue with a mean diffusivity above 1.1 x 10^-3 mm2/s such as vasogenic oedema."
    ]
    if max(water.shells) > TENSOR_LIMIT:
        notes.append(f"With b = {max(water.shells)} s/mm2, kurtosis raises the free-water fraction by about 0.05 to 0.1.")
    for flag, what in ((1, "had no usable signal"), (2, "are water only"), (3, "have too much water for a tissue tensor")):
        share = 100.0 * float((flags == flag).mean())
        if share >= 0.05:
            notes.append(f"Free water: {share:.1f} % of the brain's voxels {what}.")
    unsettled = 100.0 * float((~water.fit.converged).mean())
    if unsettled >= 0.05:
        notes.append(f"Free water: the fit did not settle in {unsettled:.1f} % of the brain's voxels.")
    if water.fit.misfit > 1.5:
        notes.append(f"Free water: the model's misfit is {water.fit.misfit:.1f} times what noise explains.")
    return notes


def single_shell_index(maps: TensorMaps, mask: "NDArray[np.bool_]", bvalue: int) -> "tuple[Pixels, str]":
    """The index's map and the sentence of its limits."""
    found = np.zeros(mask.shape, np.float32)
    found[mask] = index_at_fixed_md(maps.md[mask].astype(np.float64), bvalue)
    return found, LIMITS.format(md=TISSUE_MD, b=bvalue)


def _placed(values: "NDArray[np.float32] | NDArray[np.float64]", mask: "NDArray[np.bool_]") -> "Pixels":
    found = np.zeros(mask.shape, np.float32)
    found[mask] = values
    return found
