"""The patient lay still: how far each volume has moved and turned.

Each volume is laid rigidly over what the tensor of all other volumes predicts for it, so that the contrast of its direction is
no movement; with too few directions over the mean of its weighting. Along the phase-encoding axis eddy currents shift the image
too, so that axis has limits of its own. A b=0 image that is alone has nothing of its contrast to be compared with.
"""

from typing import TYPE_CHECKING

import numpy as np

from appliance.qc.finding import Verdict
from appliance.qc.images.check import Look, Seen, gravest, not_judged, numbered
from appliance.qc.images.picture import bars
from appliance.qc.images.registration import Movement, Registration, smoothed
from appliance.qc.images.scan import Scan, reduced
from appliance.qc.images.tensor import predictable, solver
from appliance.qc.images.thresholds import Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME, TITLE = "image-motion", "Motion between volumes"
PICTURE = "One bar a volume: shift in mm, shift along phase encoding in mm, turn in degrees; the lines warn and fail."
_DETERMINED = 0.02
"""A volume that the others leave less free than this predicts itself."""
_AXES = {"i": 0, "j": 1, "k": 2}


def judge(look: Look, limits: Thresholds) -> Seen:
    """Translation and rotation of each volume of one series."""
    scan, rule = look.scan, limits.motion
    expected = (
        f"below {rule.translation_mm.warn:g} mm ({rule.phase_encoding_mm.warn:g} mm along phase encoding) "
        f"and {rule.rotation_degrees.warn:g} degrees"
    )
    if scan.mask is None or scan.grid[2] < rule.least_slices or scan.count < 4:
        return not_judged("too few slices or volumes to measure motion", expected)
    moved = movements(scan)
    if not any(moved):
        return not_judged("no volume has others of its contrast to be compared with", expected)
    shift, phase, turn = _figures(moved, _phase_axis(look.sidecar, moved))
    verdicts = [
        gravest(rule.translation_mm.above(one), rule.phase_encoding_mm.above(two), rule.rotation_degrees.above(three))
        for one, two, three in zip(shift, phase, turn, strict=True)
    ]
    verdict = gravest(*verdicts)
    told = (
        f"at most {shift.max():.1f} mm and {turn.max():.1f} degrees, {phase.max():.1f} mm along phase encoding; "
        f"median {np.median(shift):.1f} mm and {np.median(turn):.1f} degrees"
    )
    picture = bars(
        [shift, phase, turn],
        [(one.warn, one.fail) for one in (rule.translation_mm, rule.phase_encoding_mm, rule.rotation_degrees)],
    )
    if verdict is Verdict.PASSED:
        return Seen(verdict, told, expected, figure=round(float(shift.max()), 2), unit="mm", picture=picture)
    bad = [index for index, one in enumerate(verdicts) if one is not Verdict.PASSED]
    found = f"{told}; beyond it {'volume' if len(bad) == 1 else 'volumes'} {numbered(bad)}"
    return Seen(verdict, found, expected, _ACTION, round(float(shift.max()), 2), "mm", picture)


_ACTION = (
    "Repeat the scan if the patient is still there: pad the head, explain the noise, make the patient comfortable first. "
    "The numbers of this study are less certain."
)


def movements(scan: Scan) -> list[Movement | None]:
    """The movement of each volume; None for one that has nothing of its contrast beside it."""
    mask = reduced(np.asarray(scan.mask, np.float32), scan.coarse_blocks) > 0.5
    first, second, third = (size * block for size, block in zip(scan.voxel_mm, scan.coarse_blocks, strict=True))
    register = Registration(mask, (first, second, third))
    targets = _targets(scan)
    return [
        register.movement(smoothed(volume), smoothed(target)) if target is not None else None
        for volume, target in zip(scan.coarse, targets, strict=True)
    ]


def _targets(scan: Scan) -> "list[NDArray[np.float32] | None]":
    """What each volume ought to look like, in its own contrast, from the other volumes."""
    targets: list[NDArray[np.float32] | None] = [None] * scan.count
    matrix = scan.matrix
    if not predictable(matrix):
        for shell in scan.shells():
            if len(shell) > 1:
                total = scan.coarse[shell].sum(axis=0)
                for index in shell:
                    targets[int(index)] = (total - scan.coarse[index]) / (len(shell) - 1)
        return targets
    logs = np.log(np.maximum(scan.coarse.reshape(scan.count, -1), max(1.0, 0.001 * float(scan.coarse.max()))))
    hat = matrix @ solver(matrix)
    brightest = float(scan.coarse.max())
    for index in range(scan.count):
        free = 1.0 - hat[index, index]
        if free > _DETERMINED:
            others = hat[index].astype(np.float32)
            others[index] = 0.0
            predicted = np.minimum(np.exp(np.minimum(others @ logs / free, 20.0)), brightest)
            targets[index] = predicted.reshape(scan.coarse.shape[1:]).astype(np.float32)
    return targets


def _phase_axis(sidecar: dict[str, object], moved: list[Movement | None]) -> int:
    """The axis of phase encoding as the converter says; else that of the two in the plane along which most is shifted."""
    stated = str(sidecar.get("PhaseEncodingDirection") or sidecar.get("PhaseEncodingAxis") or "")[:1]
    if stated in _AXES:
        return _AXES[stated]
    shifts = np.array([one.translation for one in moved if one is not None])
    return int(np.argmax((shifts[:, :2] ** 2).sum(axis=0)))


def _figures(
    moved: list[Movement | None], phase: int
) -> "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]":
    shifts = np.array([one.translation if one else (0.0, 0.0, 0.0) for one in moved])
    along = np.abs(shifts[:, phase])
    shifts[:, phase] = 0.0
    turns = np.array([one.angle_degrees if one else 0.0 for one in moved])
    return np.linalg.norm(shifts, axis=1), along, turns
