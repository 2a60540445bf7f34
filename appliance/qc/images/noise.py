"""There is more signal than noise.

The noise of one volume is what the tensor model leaves unexplained in it, which holds for every receiver and reconstruction;
with too few directions it is what a second difference within the plane leaves. The signal-to-noise ratio is the median b=0
signal of the head over it; the contrast-to-noise ratio is how much directions differ within one voxel over it, in the best
tenth of voxels.
"""

from typing import TYPE_CHECKING

import numpy as np

from appliance.qc.finding import Verdict
from appliance.qc.images.check import Look, Seen, gravest, not_judged
from appliance.qc.images.picture import slices_beside, square
from appliance.qc.images.scan import Scan
from appliance.qc.images.tensor import UNKNOWNS, predictable, solver
from appliance.qc.images.thresholds import Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME, TITLE = "image-noise", "Signal and contrast to noise"
PICTURE = "The middle slice without weighting, and of one weighted volume, each in its own brightness."
_MAD = 1.4826
"""Median absolute deviation to standard deviation of a normal distribution."""
_SECOND_DIFFERENCE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0
"""Unit gain for white noise, nothing for any plane or slope (Immerkaer, CVIU 1996)."""
_FLOOR_SHARE = 1e-3
_BEST = 90.0
"""Fluid and grey matter have no contrast between directions; a tenth of every head is white matter and has."""


def judge(look: Look, limits: Thresholds) -> Seen:
    """Ratios of one series."""
    scan, rule = look.scan, limits.noise
    expected = f"signal to noise at least {rule.snr.warn:g}, contrast to noise at least {rule.cnr.warn:g}"
    if scan.mask is None or not scan.sample.size or not scan.unweighted.any() or scan.unweighted.all():
        return not_judged("nothing like a head to measure in", expected)
    signal = float(np.median(scan.sample[scan.unweighted].mean(axis=0)))
    if predictable(scan.matrix):
        noise, contrast = _from_the_model(scan)
    else:
        noise, contrast = _from_the_plane(scan), None
    if noise <= 0 or signal <= 0:
        return not_judged("the images hold no noise at all", expected)
    snr, cnr = signal / noise, None if contrast is None else contrast / noise
    verdict = rule.snr.below(snr) if cnr is None else gravest(rule.snr.below(snr), rule.cnr.below(cnr))
    found = f"signal to noise {snr:.1f}" + (f", contrast to noise {cnr:.2f}" if cnr is not None else "")
    action = "" if verdict is Verdict.PASSED else _ACTION
    return Seen(verdict, found, expected, action, round(snr, 2), "ratio", _picture(scan))


def _picture(scan: Scan) -> "NDArray[np.uint8]":
    """The slice with most head, without weighting and in the middle one of the weighted volumes."""
    place = int(np.argmax(np.asarray(scan.mask).sum(axis=(0, 1))))
    weighted = np.flatnonzero(~scan.unweighted)
    planes = [scan.mean_unweighted[:, :, place], scan.volume(int(weighted[len(weighted) // 2]))[:, :, place]]
    bright = [plane / max(float(np.percentile(plane, 99.5)), 1e-6) for plane in planes]
    return slices_beside([square(plane, *scan.voxel_mm[:2]).astype(np.float32) for plane in bright])


_ACTION = (
    "Check that the head coil was plugged in with all its elements and that fat suppression and shimming worked; with small "
    "voxels or a high b-value take more averages."
)


def _from_the_model(scan: Scan) -> tuple[float, float]:
    """Noise of one volume, and the spread over directions that the model explains, noise taken off."""
    matrix = scan.matrix
    floor = max(_FLOOR_SHARE * float(np.median(scan.sample)), 1e-6)
    logs = np.log(np.maximum(scan.sample, floor))
    hat = matrix @ solver(matrix)
    predicted = np.exp(np.clip(hat @ logs, -20, 20))
    free = 1.0 - np.diag(hat)
    judged = free > 0.05
    residual = (scan.sample - predicted)[judged] / np.sqrt(free[judged])[:, None]
    noise = float(_MAD * np.median(np.abs(residual - np.median(residual, axis=1, keepdims=True))))
    shell = max(scan.shells()[1:] if scan.unweighted.any() else scan.shells(), key=len)
    spread = predicted[shell].var(axis=0) - noise**2 * UNKNOWNS / scan.count
    return noise, float(np.sqrt(max(float(np.percentile(spread, _BEST)), 0.0)))


def _from_the_plane(scan: Scan) -> float:
    from scipy import ndimage

    index = int(np.flatnonzero(~scan.unweighted)[0])
    volume = scan.volume(index)
    found: NDArray[np.float32] = ndimage.convolve(volume, _SECOND_DIFFERENCE[:, :, None])
    inside = ndimage.binary_erosion(scan.mask, structure=np.ones((3, 3, 1)))
    return float(_MAD * np.median(np.abs(found[inside]))) if inside.any() else 0.0
