"""Rigid alignment of images of different contrast by mutual information (Wells and others, Medical Image Analysis 1996)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float32]

BINS = 32
_STEPS = (1.0, 0.3)
"""First steps of the search in millimetres and hundredths of a radian, coarse then fine."""


def rigid_by_mutual_information(fixed: "Values", moving: "Callable[[NDArray[np.float64]], Values]") -> "NDArray[np.float64]":
    """Six parameters (translations in mm, rotations in hundredths of a radian) at which the images tell most of each other.

    `moving` gives the values at the points of `fixed` for given parameters. The start is returned where nothing is better.
    """
    from scipy.optimize import minimize

    start = np.zeros(6)
    if float(fixed.std()) == 0:
        return start
    fixed_bins = _binned(fixed)

    def cost(parameters: "NDArray[np.float64]") -> float:
        return -information(fixed_bins, _binned(moving(parameters)))

    best, least = start, cost(start)
    for step in _STEPS:
        found = minimize(
            cost, best, method="Powell", options={"xtol": 0.02, "ftol": 1e-5, "direc": np.eye(6) * step, "maxfev": 300}
        )
        if found.fun < least and np.abs(found.x).max() < 10:
            best, least = np.asarray(found.x, np.float64), float(found.fun)
    return best


def information(first: "tuple[NDArray[np.intp], Values]", second: "tuple[NDArray[np.intp], Values]") -> float:
    """Normalised mutual information of two binned images (Studholme, Hill and Hawkes 1999).

    Each value is shared by two bins.
    """
    joint = np.zeros(BINS * BINS)
    for low_shift, one in ((0, 1 - first[1]), (1, first[1])):
        for high_shift, other in ((0, 1 - second[1]), (1, second[1])):
            place = (first[0] + low_shift) * BINS + second[0] + high_shift
            joint += np.bincount(place, one * other, BINS * BINS)
    joint /= joint.sum()
    table = joint.reshape(BINS, BINS)
    together = _entropy(joint)
    return (_entropy(table.sum(axis=0)) + _entropy(table.sum(axis=1))) / max(together, 1e-12)


def _binned(values: "Values") -> "tuple[NDArray[np.intp], Values]":
    """Lower bin of each value and the share that belongs to the next: the measure changes smoothly with the values."""
    low, high = np.percentile(values, [0.5, 99.5])
    place = np.clip((values - low) / max(high - low, 1e-12), 0, 1) * (BINS - 1.001)
    lower = place.astype(np.intp)
    return lower, (place - lower).astype(np.float32)


def _entropy(shares: "NDArray[np.float64]") -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
