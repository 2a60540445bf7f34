"""Which voxels are brain: a threshold, and the largest piece that hangs together.

The mean b=0 image shows brain, fluid and some scalp; the mean weighted image shows brain and hardly anything else. Their
sum separates head from background on every vendor's images without any parameter in pixel values.
"""

from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti.faults import NoBrainFound

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_MILLILITRES = 100.0
"""A newborn's brain has more than three times as much."""
BRIDGE_MM = 5.0
"""Half the width of a connection (optic nerve, vein, fold of skin) that is cut."""
SHADING_MM = 20.0
"""Width of the Gaussian that follows the coils' shading but not the anatomy."""
LEAST_CONTRAST = 3.0
"""A head is nine times and more brighter than what surrounds it; noise cut in two differs by a sixth."""


def brain_mask(
    unweighted: "NDArray[np.float32]", weighted: "NDArray[np.float32]", voxel_mm: tuple[float, float, float]
) -> "NDArray[np.bool_]":
    """The brain in the mean images of a series, three axes each.

    Raises `NoBrainFound` when what is left is smaller than any brain.
    """
    from scipy import ndimage

    combined = ndimage.median_filter(_scaled(unweighted) + _scaled(weighted), size=3)
    bright = combined > otsu(combined)
    if bright.all() or combined[bright].mean() < LEAST_CONTRAST * combined[~bright].mean():
        raise NoBrainFound(millilitres=0, slices=0)
    combined = _evened(combined, bright, voxel_mm)
    head = combined > otsu(combined)
    inside = ndimage.distance_transform_edt(head, sampling=voxel_mm) > BRIDGE_MM
    core = _largest_piece(inside)
    near = ndimage.distance_transform_edt(~core, sampling=voxel_mm) <= BRIDGE_MM + max(voxel_mm[:2]) / 2
    found = _without_holes(_largest_piece(ndimage.binary_opening(head & near)))
    millilitres = float(found.sum() * np.prod(voxel_mm) / 1000.0)
    if millilitres < LEAST_MILLILITRES:
        raise NoBrainFound(millilitres=round(millilitres), slices=int(found.any(axis=(0, 1)).sum()))
    return found


def otsu(values: "NDArray[np.float32]") -> float:
    """The threshold that leaves the least variance within the two classes (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    usable = (below > 0) & (above > 0)
    mean_below = np.divide(sums, below, out=np.zeros_like(middles), where=usable)
    mean_above = np.divide(sums[-1] - sums, above, out=np.zeros_like(middles), where=usable)
    between = np.where(usable, below * above * (mean_below - mean_above) ** 2, -1.0)
    return float(edges[1:][int(np.argmax(between))])


def _scaled(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    # Bright fluid and eyes must not set the scale, so the brightest hundredth is cut.
    top = float(np.percentile(image, 99))
    found: NDArray[np.float32] = (np.clip(image, 0, top) / top).astype(np.float32) if top > 0 else np.zeros_like(image)
    return found


def _evened(
    image: "NDArray[np.float32]", head: "NDArray[np.bool_]", voxel_mm: tuple[float, float, float]
) -> "NDArray[np.float32]":
    """Takes out the slow fall of brightness from the coils to the middle, by the head's own local mean."""
    from scipy import ndimage

    width = [SHADING_MM / size for size in voxel_mm]
    share = ndimage.gaussian_filter(head.astype(np.float32), width, mode="nearest")
    local = ndimage.gaussian_filter(np.where(head, image, 0).astype(np.float32), width, mode="nearest")
    shading = np.divide(local, share, out=np.zeros_like(local), where=share > 0.02)
    found: NDArray[np.float32] = np.divide(image, shading, out=np.zeros_like(image), where=shading > 0)
    return np.clip(found, 0, 2)


def _largest_piece(mask: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    from scipy import ndimage

    pieces, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    found: NDArray[np.bool_] = pieces == int(np.argmax(sizes))
    return found


def _without_holes(mask: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """Fills what is enclosed within a plane of any axis: dark ventricles and veins are brain for this purpose."""
    from scipy import ndimage

    filled = mask.copy()
    for axis in range(3):
        planes = np.moveaxis(filled, axis, 0)
        for plane in planes:
            plane[...] = ndimage.binary_fill_holes(plane)
    return filled
