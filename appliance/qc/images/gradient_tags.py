"""What the header says of the gradients is what the converter made of it.

b-values and directions are read twice, by two programs: here from the vendor's own elements, and by the converter. Each
direction of the header, turned into the axes of the image, must be among those of the converter, up to its sign. Where a
vendor states directions along the axes of the scan (GE, UIH, Canon) a flip between the two cannot be told; the check of the
gradient table finds it.
"""

from typing import TYPE_CHECKING

import numpy as np

from appliance.qc.check import counted
from appliance.qc.finding import Verdict
from appliance.qc.grouping import volumes_of
from appliance.qc.images.check import Look, Seen, gravest, not_judged
from appliance.qc.images.coherence import IDENTITY, changes, words
from appliance.qc.images.picture import bars
from appliance.qc.images.scan import Scan
from appliance.qc.images.thresholds import Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME, TITLE = "gradient-tags", "Gradients in header and conversion agree"
PICTURE = "One bar a direction: degrees between header and converter; the lines warn and fail."
_ALONG_THE_SCAN = ("GE", "UIH", "CANON")
EXPECTED = "the same b-values and directions in the header and in the converted table"


def judge(look: Look, limits: Thresholds) -> Seen:
    """The header's gradients of one series against the converter's."""
    scan, rule = look.scan, limits.gradient_tags
    volumes = [one.gradient for one in volumes_of(look.series).volumes]
    stated = np.array([one.direction for one in volumes if one.weighted and one.direction is not None], np.float64)
    if not len(stated):
        return not_judged("the header states no directions", EXPECTED)
    table = scan.bvectors[~scan.unweighted]
    b_off = _b_values_differ(sorted(one.b_value or 0.0 for one in volumes), sorted(scan.bvalues.tolist()))
    along_scan = str(look.sidecar.get("Manufacturer", "")).upper().startswith(_ALONG_THE_SCAN)
    directions = stated if along_scan else _in_image(stated, scan)
    every = {change: _angles(directions @ np.array(change).T, table) for change in changes()}
    angles = {change: float(one.max()) for change, one in every.items()}
    best = min(angles, key=lambda change: angles[change])
    taken = best if along_scan else IDENTITY
    angle, picture = angles[taken], bars([every[taken]], [(rule.degrees.warn, rule.degrees.fail)])
    verdict = gravest(rule.degrees.above(angle), rule.bvalue.above(b_off))
    told = f"{counted(len(stated), 'direction')}, at most {angle:.1f} degrees apart"
    if verdict is Verdict.PASSED:
        return Seen(verdict, told, EXPECTED, figure=round(angle, 2), unit="degrees", picture=picture)
    parts = [told]
    if best != IDENTITY and not along_scan and angles[best] < rule.degrees.warn:
        parts = [f"in the header {words(best)}, against the converter"]
    parts += [f"b-values differ by up to {b_off:.0%}"] if rule.bvalue.above(b_off) is not Verdict.PASSED else []
    action = (
        "One of the two readings is wrong: look which one lets fibres run on (gradient table), and report the scanner's "
        "software version with a support bundle."
    )
    return Seen(verdict, ", ".join(parts), EXPECTED, action, round(angle, 2), "degrees", picture)


def _in_image(directions: "NDArray[np.float64]", scan: Scan) -> "NDArray[np.float64]":
    """Directions of the patient (LPS, PS3.3 C.8.13.5.9) along the voxel axes, in FSL's convention."""
    axes = scan.affine[:3, :3] / np.array(scan.voxel_mm)
    along: NDArray[np.float64] = (directions * [-1.0, -1.0, 1.0]) @ axes
    if np.linalg.det(axes) > 0:
        along[:, 0] *= -1
    return along


def _angles(stated: "NDArray[np.float64]", table: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Degrees from each stated direction to the nearest one of the table; an axis has no sign."""
    if not len(table):
        return np.full(len(stated), 90.0)
    nearest = np.abs(stated @ table.T).max(axis=1)
    found: NDArray[np.float64] = np.rad2deg(np.arccos(np.clip(nearest, 0.0, 1.0)))
    return found


def _b_values_differ(stated: list[float], table: list[float]) -> float:
    """The largest share by which b-values differ; 1 when there are not as many."""
    if len(stated) != len(table):
        return 1.0
    return max((abs(one - other) / max(one, other, 50.0) for one, other in zip(stated, table, strict=True)), default=0.0)
