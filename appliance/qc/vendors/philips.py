"""Philips: the standard's elements, or b-value (2001,xx03) and direction (2005,xxB0) to (2005,xxB2) of older releases.

Behind the directions Philips puts a volume that is their average: weighted, direction zero or 'I' in (2001,xx04). It is no
volume of its own and its absence is none that is missing. (2005,xx15) counts gradient orientations with b=0 as one of them.
"""

from appliance.qc.elements import Elements
from appliance.qc.study import B0_LIMIT, Gradient, Stated
from appliance.qc.vendors import standard
from appliance.qc.vendors.vendor import Vendor, unit

_IMAGING, _MR_1, _MR_5 = "Philips Imaging DD 001", "Philips MR Imaging DD 001", "Philips MR Imaging DD 005"
_B_FACTOR, _DIRECTION_WORD = (0x2001, _IMAGING, 0x03), (0x2001, _IMAGING, 0x04)
_SLICES, _ORIENTATIONS = (0x2001, _IMAGING, 0x18), (0x2005, _MR_5, 0x15)
_RIGHT_LEFT, _ANTERIOR_POSTERIOR, _FEET_HEAD = ((0x2005, _MR_1, low) for low in (0xB0, 0xB1, 0xB2))


def gradient(header: Elements) -> Gradient:
    """b-value and direction, with the average over directions marked."""
    public = standard.gradient(header)
    b_value = public.b_value if public.b_value is not None else header.number(_B_FACTOR)
    direction = public.direction
    if direction is None:
        x, y, z = (header.number(key) for key in (_RIGHT_LEFT, _ANTERIOR_POSTERIOR, _FEET_HEAD))
        direction = None if x is None or y is None or z is None else unit((x, y, z))
    weighted = b_value is not None and b_value >= B0_LIMIT
    average = weighted and (direction is None or "I" in header.words(_DIRECTION_WORD) or public.trace)
    return Gradient(b_value, None if average else direction, average)


def stated(header: Elements) -> Stated:
    """Number of slices (2001,xx18) and of gradient orientations (2005,xx15)."""
    slices, orientations = header.number(_SLICES), header.number(_ORIENTATIONS)
    several = orientations is not None and orientations > 1
    return Stated(slices=int(slices) if slices else None, weighted=int(orientations or 0) - 1 if several else None)


VENDOR = Vendor(
    name="Philips",
    manufacturers=("PHILIPS",),
    gradient=gradient,
    private={
        (0x2001, _IMAGING): {0x03: "FL", 0x04: "CS", 0x18: "SL"},
        (0x2005, _MR_1): {0xB0: "FL", 0xB1: "FL", 0xB2: "FL"},
        (0x2005, _MR_5): {0x15: "SL"},
    },
    stated=stated,
)
