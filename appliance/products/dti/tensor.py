"""The weighted least-squares tensor, fitted by DIPY slab by slab so that memory does not grow with the series."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from appliance.products.dti.faults import FitFailed
from appliance.products.dti.nifti import Volumes
from appliance.products.dti.series import B0_LIMIT, DiffusionSeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLAB_VOXELS = 20_000
"""Brain voxels fitted at once: some 50 MB with a hundred volumes."""
MOST_UNUSABLE = 0.2
"""A fit that fails in more of the brain than this is no result."""


@dataclass(frozen=True, slots=True)
class TensorMaps:
    """Maps on the series' voxel grid; zero outside the mask. Diffusivities in mm2/s."""

    fa: "NDArray[np.float32]"
    md: "NDArray[np.float32]"
    ad: "NDArray[np.float32]"
    rd: "NDArray[np.float32]"
    direction: "NDArray[np.float32]"
    """(x, y, z, 3): first eigenvector along the voxel axes in FSL's convention, as `bvectors` are."""
    unusable: int
    """Voxels of the mask without a fit."""

    def scalars(self) -> "dict[str, NDArray[np.float32]]":
        """The four maps by name."""
        return {"fa": self.fa, "md": self.md, "ad": self.ad, "rd": self.rd}


def mean_images(series: DiffusionSeries) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """The means of the unweighted and of the weighted volumes; reads one volume at a time."""
    volumes = Volumes(series.image)
    means = []
    for wanted in (series.used[series.unweighted], series.used[~series.unweighted]):
        total = np.zeros(volumes.grid, np.float32)
        for index in wanted:
            total += volumes.volume(int(index))
        means.append(total / np.float32(max(len(wanted), 1)))
    return means[0], means[1]


def fit(series: DiffusionSeries, mask: "NDArray[np.bool_]", brightest: float, progress: Callable[[float], None]) -> TensorMaps:
    """Fits the tensor in the mask; `brightest` is the largest mean b=0 signal in it.

    Raises `FitFailed` when much of the brain gives no value.
    """
    import dipy.reconst.dti as dipy_dti
    from dipy.core.gradients import gradient_table

    tensor_model: Any = dipy_dti.TensorModel
    table = gradient_table(series.bvalues, bvecs=series.bvectors, b0_threshold=B0_LIMIT)
    # The logarithm needs a floor; a ten-thousandth of the brightest signal is below any scanner's noise.
    model = tensor_model(table, fit_method="WLS", min_signal=max(brightest * 1e-4, 1e-12))
    maps = {name: np.zeros(mask.shape, np.float32) for name in ("fa", "md", "ad", "rd")}
    direction = np.zeros((*mask.shape, 3), np.float32)
    unusable = done = 0
    total = max(int(mask.sum()), 1)
    for slab, inside, signal in _slabs(series, mask):
        found = model.fit(signal)
        good = np.isfinite(found.fa) & np.isfinite(found.md) & (signal[:, series.unweighted].min(axis=1) > 0)
        unusable += int((~good).sum())
        for name, values in (("fa", found.fa), ("md", found.md), ("ad", found.ad), ("rd", found.rd)):
            maps[name][:, :, slab][inside] = np.where(good, values, 0)
        direction[:, :, slab][inside] = np.where(good[:, None], found.evecs[..., 0], 0)
        done += len(signal)
        progress(done / total)
    if unusable > MOST_UNUSABLE * total:
        raise FitFailed(percent=round(100 * unusable / total))
    return TensorMaps(**maps, direction=direction, unusable=unusable)


def _slabs(
    series: DiffusionSeries, mask: "NDArray[np.bool_]"
) -> "Iterator[tuple[slice, NDArray[np.bool_], NDArray[np.float32]]]":
    """Consecutive slices with about `SLAB_VOXELS` of the mask: the slices, the mask in them, the signal (voxels, volumes)."""
    volumes = Volumes(series.image)
    first = 0
    while first < mask.shape[2]:
        last = first + 1
        while last < mask.shape[2] and mask[:, :, first : last + 1].sum() <= SLAB_VOXELS:
            last += 1
        inside = mask[:, :, first:last]
        if inside.any():
            yield slice(first, last), inside, volumes.slab(first, last)[inside][:, series.used]
        first = last


def to_world(direction: "NDArray[np.float32]", affine: "NDArray[np.float64]") -> "NDArray[np.float32]":
    """Turns vectors of FSL's convention (voxel axes, first one mirrored where the axes are right-handed) to RAS axes."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    mirror = np.array([-1.0 if np.linalg.det(axes) > 0 else 1.0, 1.0, 1.0])
    found: NDArray[np.float32] = ((direction * mirror) @ axes.T).astype(np.float32)
    return found
