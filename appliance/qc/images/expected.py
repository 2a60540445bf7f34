"""How bright each slice of each volume is against what it ought to be, for the checks of drop-out and interleaving."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from appliance.qc.images.scan import Scan
from appliance.qc.images.tensor import UNKNOWNS, left_out, predictable

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 2
"""So many slices on either side say what a slice ought to be beside the model."""
_OUTLYING = 0.3
"""A logarithm this far below the model is taken out of the fit before the others are judged."""
_ROUNDS = 3


def large_enough(scan: Scan, least_area: float) -> "NDArray[np.bool_]":
    """The slices that hold enough of the head to be judged."""
    if scan.mask is None:
        return np.zeros(scan.grid[2], bool)
    area = scan.mask.sum(axis=(0, 1))
    found: NDArray[np.bool_] = (area >= least_area * area.max()) & np.isfinite(scan.slice_logs).all(axis=0)
    return found


def deviations(scan: Scan, usable: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    """(volumes, slices): logarithm of the signal minus what the other volumes predict; NaN where not usable.

    Where directions are too few for a prediction, the median of the volumes with the same weighting stands for it.
    """
    found = np.full(scan.slice_logs.shape, np.nan)
    matrix = scan.matrix
    if not predictable(matrix):
        for shell in scan.shells():
            logs = scan.slice_logs[np.ix_(shell, usable)]
            found[np.ix_(shell, usable)] = logs - np.median(logs, axis=0)
        return found
    for place in np.flatnonzero(usable):
        found[:, place] = _robust(scan, matrix, scan.slice_logs[:, place])
    return found


def _robust(scan: Scan, matrix: "NDArray[np.float64]", logs: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Leave-one-out residuals of one slice, with a fit that volumes which lack signal have no part in."""
    kept = np.ones(len(logs), bool)
    residual = left_out(matrix, logs[:, None])[:, 0]
    for _ in range(_ROUNDS):
        worst = int(np.argmin(np.where(kept, residual - np.median(residual[kept]), np.inf)))
        if residual[worst] - np.median(residual[kept]) > -_OUTLYING or kept.sum() <= UNKNOWNS + 2:
            break
        kept[worst] = False
        if not predictable(matrix[kept]):
            kept[worst] = True
            break
        residual = _against(matrix, logs, kept)
    return residual


def _against(matrix: "NDArray[np.float64]", logs: "NDArray[np.float64]", kept: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    found = np.empty(len(logs))
    found[kept] = left_out(matrix[kept], logs[kept, None])[:, 0]
    numbers = np.linalg.lstsq(matrix[kept], logs[kept], rcond=None)[0]
    found[~kept] = logs[~kept] - matrix[~kept] @ numbers
    return found


def against_neighbours(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Each slice minus the median of its neighbours in the same volume."""
    found = np.full(values.shape, np.nan)
    slices = values.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a neighbourhood without any usable slice gives NaN
        for place in range(slices):
            near = [one for one in range(max(0, place - REACH), min(slices, place + REACH + 1)) if one != place]
            found[:, place] = values[:, place] - np.nanmedian(values[:, near], axis=1)
    return found
