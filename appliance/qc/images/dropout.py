"""No slice and no volume has lost its signal.

Motion during the diffusion gradients takes the signal of single slices away. Each slice of each volume is compared with what
the tensor of all other volumes predicts for it, and with its neighbours; each volume likewise as a whole. With too few
directions for a prediction the median of the same weighting takes its place. Warns at the first lost slice or volume, fails
when many are lost.
"""

from typing import TYPE_CHECKING

import numpy as np

from appliance.qc.check import counted
from appliance.qc.finding import Verdict
from appliance.qc.images.check import Look, Seen, gravest, not_judged, numbered
from appliance.qc.images.expected import against_neighbours, deviations, large_enough
from appliance.qc.images.picture import table_of
from appliance.qc.images.tensor import predictable
from appliance.qc.images.thresholds import Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME, TITLE = "image-dropout", "Signal drop-out"
PICTURE = "Slices upwards, volumes across; the darker, the more signal is missing, and red is beyond the limit."


def judge(look: Look, limits: Thresholds) -> Seen:
    """Lost slices and volumes of one series."""
    scan, rule = look.scan, limits.dropout
    expected = f"no slice and no volume that lacks {rule.loss:.0%} of its signal or more"
    usable = large_enough(scan, rule.least_area)
    if not usable.any() or scan.count < 4:
        return not_judged("nothing like a head to measure in", expected)
    difference = deviations(scan, usable)
    whole = 1 - np.exp(np.nanmedian(difference[:, usable], axis=1))
    loss = rule.loss if predictable(scan.matrix) else rule.loss_of_unpredicted_volume
    volumes = [int(one) for one in np.flatnonzero(whole >= loss)]
    local = 1 - np.exp(against_neighbours(difference)) if usable.sum() > 4 else np.full(difference.shape, np.nan)
    local[volumes] = np.nan
    lost = [(int(volume), int(place)) for volume, place in np.argwhere(np.nan_to_num(local) >= rule.loss)]
    judged = int(usable.sum()) * scan.count
    verdict = gravest(rule.slices.above(len(lost) / judged), rule.volumes.above(len(volumes) / scan.count))
    worst = float(np.nanmax(np.concatenate([local[:, usable].ravel(), whole])))
    if verdict is Verdict.PASSED:
        found = f"none among {counted(judged, 'slice')}; the darkest lacks {max(worst, 0):.0%}"
        figure = round(100 * max(worst, 0), 1)
        return Seen(verdict, found, expected, figure=figure, unit="%", picture=_picture(local, whole, rule.loss))
    return Seen(verdict, _told(lost, volumes), expected, _ACTION, round(100 * worst, 1), "%", _picture(local, whole, rule.loss))


_ACTION = (
    "The patient moved, or a receiver failed, while these were taken. Repeat the scan if the patient is still there; next time "
    "pad the head and explain the noise beforehand."
)


def _told(lost: list[tuple[int, int]], volumes: list[int]) -> str:
    parts = [f"{counted(len(volumes), 'volume')} without signal ({numbered(volumes)})"] if volumes else []
    if lost:
        shown = "; ".join(f"slice {place + 1} of volume {volume + 1}" for volume, place in lost[:3])
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        parts.append(f"{counted(len(lost), 'slice')} with drop-out ({shown}{more})")
    return ", ".join(parts)


def _picture(local: "NDArray[np.float64]", whole: "NDArray[np.float64]", limit: float) -> "NDArray[np.uint8]":
    shown = np.where(np.isnan(local), np.where(whole >= limit, whole, np.nan)[:, None], local)
    return table_of(shown, limit)
