"""Enough b=0 volumes and enough diffusion directions.

The product's protocol says how many. Images below 50 s/mm2 count as b=0. Directions are counted as axes: the same direction
at another b-value, repeated, or reversed adds nothing to what a tensor can be fitted to.
"""

from appliance.qc.check import Judgement, counted
from appliance.qc.finding import Verdict
from appliance.qc.grouping import directions, volumes_of
from appliance.qc.protocol import Protocol
from appliance.qc.study import Series

NAME, TITLE = "gradients", "b=0 images and directions"


def judge(series: Series, protocol: Protocol) -> Judgement:
    """b=0 volumes and directions of one diffusion series against the product's minimum."""
    volumes = volumes_of(series)
    axes = directions(volume.gradient for volume in volumes.volumes)
    shells = sorted({round(volume.gradient.b_value or 0, -1) for volume in volumes.volumes if volume.gradient.weighted})
    shown = ", ".join(f"{shell:.0f}" for shell in shells[:6])
    found = f"{counted(volumes.unweighted, 'b=0 volume')}, {counted(axes, 'direction')}" + (f" at b={shown}" if shown else "")
    enough = volumes.unweighted >= protocol.minimum_b0 and axes >= protocol.minimum_directions
    ample = volumes.unweighted >= protocol.recommended_b0 and axes >= protocol.recommended_directions
    wanted_b0 = max(protocol.minimum_b0, protocol.recommended_b0) if enough else protocol.minimum_b0
    wanted = max(protocol.minimum_directions, protocol.recommended_directions) if enough else protocol.minimum_directions
    return Judgement(
        Verdict.FAILED if not enough else Verdict.PASSED if ample else Verdict.WARNING,
        found,
        f"at least {wanted_b0} b=0 and {wanted} directions",
        "" if enough and ample else _action(volumes.unweighted < wanted_b0, axes, wanted),
        float(axes),
        "directions",
    )


def _action(no_b0: bool, axes: int, wanted: int) -> str:
    if axes == 0:
        return (
            "The header of the weighted images has no directions: send the original series, not averaged images, and let no "
            "archive remove private elements on the way."
        )
    if axes < wanted:
        return f"Scan with a diffusion tensor protocol of {wanted} directions or more."
    return "Send the b=0 images with the series; they belong to the same scan." if no_b0 else ""
