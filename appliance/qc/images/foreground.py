"""Which voxels are head or object: a threshold that the image itself gives, and the largest piece that hangs together.

Quality control needs a mask that is roughly right on every vendor's images in a tenth of a second; scalp may be in it.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_VOXELS = 200
OPENING_MM = 4.0
"""Scalp and fat that hang on the brain by less than this are cut off."""


def foreground(
    unweighted: "NDArray[np.float32]", weighted: "NDArray[np.float32]", voxel_mm: tuple[float, float, float]
) -> "NDArray[np.bool_] | None":
    """The mask of the mean images; None where nothing stands out from the background."""
    from scipy import ndimage

    combined = ndimage.uniform_filter(_scaled(unweighted) + _scaled(weighted), size=3)
    threshold = _otsu(combined)
    bright = combined > threshold
    # A bright skull or fluid lifts the threshold above grey matter, so a second cut is made among what is left.
    if bright.sum() < LEAST_VOXELS or bright.all():
        return None
    found = combined > 0.7 * threshold
    reach = [max(1, round(OPENING_MM / size)) for size in voxel_mm[:2]]
    disc = np.ones((2 * reach[0] + 1, 2 * reach[1] + 1, 1), bool)
    opened = ndimage.binary_opening(found, structure=disc)
    pieces, count = ndimage.label(opened)
    if count == 0:
        return None
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    mask: NDArray[np.bool_] = pieces == int(np.argmax(sizes))
    for index in range(mask.shape[2]):
        mask[:, :, index] = ndimage.binary_fill_holes(mask[:, :, index])
    return mask if int(mask.sum()) >= LEAST_VOXELS else None


def _scaled(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    top = float(np.percentile(image, 98))
    found: NDArray[np.float32] = (np.clip(image, 0, top) / top).astype(np.float32) if top > 0 else np.zeros_like(image)
    return found


def _otsu(values: "NDArray[np.float32]") -> float:
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
