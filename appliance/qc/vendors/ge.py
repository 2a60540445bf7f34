"""GE: b-value in (0043,xx39) of GEMS_PARM_01, direction in (0019,xxBB) to (0019,xxBD) of GEMS_ACQU_01.

The first number of (0043,xx39) is the b-value; newer releases add 1e9 to it. (0043,xx30) says 14 for a b=0 image and 15 for
the average over directions. In series without echo-planar read-out these elements mean something else.
"""

from appliance.qc.elements import Elements
from appliance.qc.study import Gradient, Stated
from appliance.qc.vendors import standard
from appliance.qc.vendors.vendor import Vendor, unit

_ACQUISITION, _PARAMETERS, _RELATION = "GEMS_ACQU_01", "GEMS_PARM_01", "GEMS_RELA_01"
_B_VALUE, _COLLAPSE = (0x0043, _PARAMETERS, 0x39), (0x0043, _PARAMETERS, 0x30)
_X, _Y, _Z = ((0x0019, _ACQUISITION, low) for low in (0xBB, 0xBC, 0xBD))
_LOCATIONS = (0x0021, _RELATION, 0x4F)
_SCANNING_SEQUENCE, _IMAGES_IN_ACQUISITION = 0x00180020, 0x00201002
_B0_IMAGE, _AVERAGE = 14, 15


def gradient(header: Elements) -> Gradient:
    """b-value and direction; the standard's own elements where a release writes those."""
    stated = header.number(_B_VALUE)
    if stated is None or "EP" not in header.words(_SCANNING_SEQUENCE):
        return standard.gradient(header)
    b_value = abs(stated) % 100_000
    collapse = header.number(_COLLAPSE)
    if collapse == _B0_IMAGE:
        return Gradient(0.0)
    x, y, z = header.number(_X), header.number(_Y), header.number(_Z)
    direction = None if x is None or y is None or z is None else unit((x, y, z))
    return Gradient(b_value, direction, collapse == _AVERAGE)


def stated(header: Elements) -> Stated:
    """Locations in acquisition (0021,xx4F) and images in acquisition (0020,1002)."""
    images, locations = header.number(_IMAGES_IN_ACQUISITION), header.number(_LOCATIONS)
    return Stated(images=int(images) if images else None, slices=int(locations) if locations else None, numbered=True)


VENDOR = Vendor(
    name="GE",
    manufacturers=("GE",),
    gradient=gradient,
    private={
        (0x0019, _ACQUISITION): {0xBB: "DS", 0xBC: "DS", 0xBD: "DS"},
        (0x0021, _RELATION): {0x4F: "SS"},
        (0x0043, _PARAMETERS): {0x30: "SS", 0x39: "IS"},
    },
    stated=stated,
)
