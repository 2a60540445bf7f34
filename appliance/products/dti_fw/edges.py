"""Rigid alignment of images of different contrast by where their edges lie (Haber and Modersitzki, MICCAI 2006).

Mutual information is no help here: at high b the fluid that outlines an unweighted brain is dark, and the measure slides the
images up to a voxel along each other. Edges of two contrasts differ in strength and sign, but not in place.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Points = NDArray[np.float64]
    Sampler = Callable[[Image, Points], Image]
    Placement = Callable[[Points, Points], tuple[Points, Points]]

MOST_POINTS = 20_000
_LEVELS_MM = (4.0, 0.0)
"""Further smoothing, coarse then fine: a head that moved by centimetres is found by its outline first."""
_STEPS = (1.5, 0.3)
_FAINT = 0.5
"""Edges below this share of the mean one are noise."""


@dataclass(frozen=True, slots=True)
class Grid:
    """How voxels of an image relate to millimetres."""

    size: "Points"
    """mm a voxel."""
    sample: "Sampler"
    """Values of an image at points in mm."""


def rigid_by_edges(fixed: "Image", moving: "Image", points: "Points", grid: Grid, placement: "Placement") -> "Points":
    """Six parameters (mm, hundredths of a radian) at which the edges of two images at `points` (3, n) are most parallel.

    `placement` gives where points lie in `moving` for given parameters, and the rotation. The start, nothing moved, is
    returned where an image has no edges.
    """
    from scipy.optimize import minimize

    best = np.zeros(6)
    # Interpolation smooths noise most half-way between voxels. At points of every position between voxels no shift gains by it.
    chance = np.random.default_rng(0)
    points = points[:, :: max(1, points.shape[1] // MOST_POINTS)]
    points = points + chance.uniform(-0.5, 0.5, points.shape) * grid.size[:, None]
    for smoothing, step in zip(_LEVELS_MM, _STEPS, strict=True):
        still = _unit(np.stack([grid.sample(one, points) for one in _slopes(fixed, grid.size, smoothing)]))
        slopes = _slopes(moving, grid.size, smoothing)
        if not still.any():
            return best

        def cost(parameters: "Points", slopes: "list[Image]" = slopes, still: "Points" = still) -> float:
            there, rotation = placement(points, parameters)
            found = rotation.T @ np.stack([grid.sample(one, there) for one in slopes])
            return -float(((still * _unit(found)).sum(axis=0) ** 2).mean())

        options = {"xtol": 0.01, "ftol": 1e-6, "direc": np.eye(6) * step, "maxfev": 400}
        found = minimize(cost, best, method="Powell", options=options)
        if found.fun < cost(best):
            best = np.asarray(found.x, np.float64)
    return best


def _slopes(image: "Image", size: "Points", smoothing: float) -> "list[Image]":
    """The image's slope along each axis; of the square root, so that fluid does not outshine all else."""
    from scipy import ndimage

    root = np.sqrt(np.maximum(image, 0))
    if smoothing:
        root = ndimage.gaussian_filter(root, smoothing / size, truncate=2)
    return [(one / step).astype(np.float32) for one, step in zip(np.gradient(root), size, strict=True)]


def _unit(slopes: "Points") -> "Points":
    """Each slope over its length, faint ones less than one."""
    square = (slopes**2).sum(axis=0)
    faint = _FAINT * float(np.sqrt(square).mean())
    found: Points = slopes / np.sqrt(square + max(faint, 1e-12) ** 2)
    return found
