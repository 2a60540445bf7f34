"""The gradient table is sane: unit length, b=0 images, and no axis flipped or exchanged.

All flips and exchanges of the axes are tried; the right table is the one under which the fibres of neighbouring voxels run
on into each other. Fails when another table makes them run on better, and says which. A repair turns the table that is used
for the analysis; it is made only with consent, the images as received are never touched, and the report says so.
"""

from typing import TYPE_CHECKING

import numpy as np

from appliance.qc.check import counted
from appliance.qc.finding import Verdict
from appliance.qc.images.check import Look, Seen, gravest
from appliance.qc.images.coherence import IDENTITY, Coherence, Matrix, bend_degrees, coherence, words
from appliance.qc.images.picture import colours_beside, square
from appliance.qc.images.scan import Scan
from appliance.qc.images.tensor import UNKNOWNS, direction_and_anisotropy, mean, raw_anisotropy, tensors
from appliance.qc.images.thresholds import GradientTable, Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME, TITLE = "gradient-table", "Gradient table"
PICTURE = (
    "Directions of fibres in the middle slice: red to the sides, green to the front, blue upwards; a second one is as repaired."
)
EXPECTED = "directions of length 1, b=0 images, and fibres that run on best under the table as it is"
_NEARLY_ONE = 0.99
_LEAST_DIFFUSIVITY = 0.2
"""1e-3 mm2/s; below it a voxel holds noise."""


def judge(look: Look, limits: Thresholds) -> Seen:
    """The table of one series."""
    scan, rule = look.scan, limits.gradient_table
    off = _off_length(scan)
    without = int(scan.unweighted.sum())
    verdict = gravest(rule.unit_length.above(off), rule.unweighted.below(without))
    parts = [f"{counted(scan.count - without, 'direction')}, {counted(without, 'b=0 image')}"]
    if rule.unit_length.above(off) is not Verdict.PASSED:
        parts.append(f"directions are off length 1 by up to {off:.2f}")
    action = "Send the series again with its original header; check what handled its gradient table." if off else ""
    if verdict is not Verdict.PASSED and not without:
        action = "Send the b=0 images with the series."
    fibres = fibre_coherence(scan, rule)
    if fibres is None:
        parts.append("too little bending fibre to test the axes")
        return Seen(verdict, ", ".join(parts), EXPECTED, action if verdict is not Verdict.PASSED else "")
    flipped = Verdict.PASSED if fibres.best == IDENTITY else rule.gain.above(fibres.gain)
    if flipped is Verdict.PASSED:
        parts.append("no flip or exchange of axes makes fibres run on better")
        shown = action if verdict is not Verdict.PASSED else ""
        return Seen(verdict, ", ".join(parts), EXPECTED, shown, round(fibres.gain, 3), "ratio", _picture(scan, IDENTITY))
    parts.append(f"{words(fibres.best)}: fibres run on {fibres.gain - 1:.0%} better when that is put right")
    action = (
        "Let the gradient table be repaired for the analysis (the images stay as they are), and find out what changed it: "
        "a converter, an archive, or images turned after the scan."
    )
    return Seen(
        gravest(verdict, flipped),
        ", ".join(parts),
        EXPECTED,
        action,
        round(fibres.gain, 3),
        "ratio",
        _picture(scan, IDENTITY, fibres.best),
        change=fibres.best,
        before=round(fibres.scores[IDENTITY], 1),
        after=round(fibres.scores[fibres.best], 1),
    )


def _picture(scan: Scan, *tables: Matrix) -> "NDArray[np.uint8]":
    """Colours of the fibres in the slice with most head under each table: red sideways, green front and back, blue upwards."""
    mask = np.asarray(scan.mask)
    place = int(np.argmax(mask.sum(axis=(0, 1))))
    inside = np.flatnonzero(np.nonzero(mask)[2] == place)
    directions, anisotropy = direction_and_anisotropy(tensors(scan.fitted[:, inside]))
    first = -1.0 if np.linalg.det(scan.affine[:3, :3]) > 0 else 1.0
    planes = []
    for table in tables:
        along_voxels = directions @ np.array(table, np.float64).T * [first, 1.0, 1.0]
        colours = np.abs(along_voxels @ (scan.affine[:3, :3] / scan.voxel_mm).T)
        plane = np.zeros((*scan.grid[:2], 3))
        plane[mask[:, :, place]] = np.minimum(1.5 * colours * np.clip(anisotropy, 0, 1)[:, None], 1.0)
        planes.append(square(plane, scan.voxel_mm[0], scan.voxel_mm[1]))
    return colours_beside(planes)


def as_change(rows: tuple[tuple[int, int, int], ...]) -> Matrix:
    """Three rows as a change of axes."""
    first, second, third = rows
    return first, second, third


def _off_length(scan: Scan) -> float:
    length = np.linalg.norm(np.nan_to_num(scan.stated_vectors), axis=1)
    weighted = ~scan.unweighted & (length > 0)
    return float(np.abs(length[weighted] - 1).max(initial=0.0))


def fibre_coherence(scan: Scan, rule: GradientTable) -> Coherence | None:
    """How well fibres run on under each table; None where a tensor cannot be fitted or shows too little fibre."""
    if scan.mask is None or np.linalg.matrix_rank(scan.matrix, tol=1e-3) < UNKNOWNS or min(scan.grid) < 3:
        return None
    hopeful = np.flatnonzero((raw_anisotropy(scan.fitted) > rule.least_anisotropy) & (mean(scan.fitted) > _LEAST_DIFFUSIVITY))
    directions, anisotropy = direction_and_anisotropy(tensors(scan.fitted[:, hopeful]))
    fibre = (anisotropy > rule.least_anisotropy) & (anisotropy < _NEARLY_ONE)
    if int(fibre.sum()) < rule.least_voxels:
        return None
    chosen = np.zeros(scan.fitted.shape[1], bool)
    chosen[hopeful[fibre]] = True
    where = np.zeros(scan.grid, bool)
    where[scan.mask] = chosen
    if bend_degrees(directions[fibre], where) < rule.least_bend_degrees:
        return None
    right_handed = bool(np.linalg.det(scan.affine[:3, :3]) > 0)
    return coherence(directions[fibre], anisotropy[fibre], where, scan.voxel_mm, right_handed)
