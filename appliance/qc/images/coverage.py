"""The whole brain is in the images.

For each of the six ends of the field of view: the area of the head in the outermost plane as a share of its largest area. A
head that ends within the images tapers off; one that is cut shows a large area there. Warns when an end is cut, fails when
hardly anything of a head is found.
"""

import numpy as np

from appliance.qc.finding import Verdict
from appliance.qc.images.check import Look, Seen, gravest, not_judged
from appliance.qc.images.nifti import order_of, turned
from appliance.qc.images.picture import outlined, square
from appliance.qc.images.thresholds import Thresholds

NAME, TITLE = "image-coverage", "Brain coverage"
PICTURE = "The middle of the head from the side, and what was taken for head."
_ENDS = ("left", "right", "back", "front", "bottom", "top")


def judge(look: Look, limits: Thresholds) -> Seen:
    """How much of the head one series shows."""
    scan, rule = look.scan, limits.coverage
    expected = f"a head that ends within the images (outermost plane below {rule.cut.warn:.0%} of the largest)"
    if scan.mask is None:
        action = "Check that the series shows a head; a phantom or a few slices cannot be analysed."
        return Seen(Verdict.WARNING, "nothing like a head", expected, action)
    head = turned(scan.mask, scan.affine).astype(bool)
    millilitres = float(scan.mask.sum() * np.prod(scan.voxel_mm) / 1000)
    shares: dict[str, float] = {}
    for axis in range(3):
        area = head.sum(axis=tuple(other for other in range(3) if other != axis))
        for end, place in ((2 * axis, 0), (2 * axis + 1, -1)):
            shares[_ENDS[end]] = float(area[place] / area.max())
    if min(head.shape) < 3:
        return not_judged("too few slices to tell where the head ends", expected)
    verdict = gravest(rule.millilitres.below(millilitres), *(rule.cut.above(share) for share in shares.values()))
    worst = max(shares, key=lambda end: shares[end])
    told = f"{millilitres:.0f} mL of head; at the {worst} end {shares[worst]:.0%} of its largest plane"
    figure, unit = round(100 * shares[worst], 1), "%"
    image = turned(scan.mean_unweighted if scan.unweighted.any() else scan.mean_weighted, scan.affine)
    middle = image.shape[0] // 2
    _, across, up = (scan.voxel_mm[axis] for axis in order_of(scan.affine))
    picture = outlined(square(image[middle], across, up), square(head[middle], across, up), scale=4)
    if verdict is Verdict.PASSED:
        return Seen(verdict, told, expected, figure=figure, unit=unit, picture=picture)
    cut = [end for end, share in shares.items() if rule.cut.above(share) is not Verdict.PASSED]
    found = f"{told}{'; cut off at the ' + ' and '.join(cut) if cut else ''}"
    action = "Plan the slices over the whole brain, from the vertex to below the cerebellum, and leave a margin."
    return Seen(verdict, found, expected, action, figure, unit, picture)
