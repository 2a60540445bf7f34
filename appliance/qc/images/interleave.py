"""Odd and even slices of each volume fit together.

Slices are taken in two passes; when the patient moves between them, neighbouring slices no longer match and every second one
is displaced or darker. For each volume the difference between neighbouring slices is compared with that between next but one
slices, beside the same ratio of the series' median volume, and the brightness of odd slices with that of even ones.
"""

import numpy as np

from appliance.qc.finding import Verdict
from appliance.qc.images.check import Look, Seen, gravest, not_judged, numbered
from appliance.qc.images.expected import deviations, large_enough
from appliance.qc.images.picture import slices_beside, square
from appliance.qc.images.scan import Scan
from appliance.qc.images.thresholds import Thresholds

NAME, TITLE = "image-interleave", "Interleaved slices fit together"
PICTURE = "Cut along the slices: left a good volume, right the worst one."


def judge(look: Look, limits: Thresholds) -> Seen:
    """Interleave artefacts of one series."""
    scan, rule = look.scan, limits.interleave
    expected = (
        f"neighbouring slices as alike as in the other volumes (ratio below {rule.shift.warn:g}), "
        f"odd and even slices within {rule.brightness.warn:.0%} in brightness"
    )
    usable = large_enough(scan, limits.dropout.least_area)
    if int(usable.sum()) < rule.least_slices or scan.count < 4 or not np.isfinite(scan.comb).all():
        return not_judged("too few slices to tell odd from even", expected)
    shift = _beside_their_shell(scan)
    brightness = _odd_against_even(deviations(scan, usable))
    verdicts = [
        gravest(rule.shift.above(one), rule.brightness.above(other)) for one, other in zip(shift, brightness, strict=True)
    ]
    verdict = gravest(*verdicts)
    told = f"largest ratio {shift.max():.2f}, odd against even {brightness.max():.0%}"
    if verdict is Verdict.PASSED:
        return Seen(verdict, told, expected, figure=round(float(shift.max()), 3), unit="ratio")
    bad = [index for index, one in enumerate(verdicts) if one is not Verdict.PASSED]
    worst = max(bad, key=lambda index: (shift[index] / rule.shift.fail) + (brightness[index] / rule.brightness.fail))
    action = "The patient moved between the two passes of a volume. Repeat the scan if possible; pad the head next time."
    found = f"{'volume' if len(bad) == 1 else 'volumes'} {numbered(bad)} ({told})"
    across = int(np.argmax(scan.mask.sum(axis=(1, 2)))) if scan.mask is not None else scan.grid[0] // 2
    good = int(np.argmin(shift))
    planes = [square(scan.volume(index)[across], scan.voxel_mm[1], scan.voxel_mm[2]) for index in (good, worst)]
    picture = slices_beside(planes, scale=4)
    return Seen(verdict, found, expected, action, round(float(shift[worst]), 3), "ratio", picture)


def _beside_their_shell(scan: Scan) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Each volume's comb against the median of its weighting; of all where a weighting has few."""
    found = np.empty(scan.count)
    for shell in scan.shells():
        found[shell] = scan.comb[shell] / np.median(scan.comb[shell] if len(shell) > 3 else scan.comb)
    return found


def _odd_against_even(
    difference: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """How far odd slices are from their even neighbours, in the median over the volume; smooth change does not count."""
    middle = difference[:, 1:-1] - (difference[:, :-2] + difference[:, 2:]) / 2
    sign = np.where(np.arange(middle.shape[1]) % 2, 1.0, -1.0)
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = np.abs(1 - np.exp(np.nanmedian(middle * sign, axis=1)))
    return found
