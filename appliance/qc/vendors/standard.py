"""The standard's own diffusion elements: classic images, and the functional groups of enhanced ones (PS3.3 section C.8.13.5.9).

b-value (0018,9087), direction (0018,9089), directionality (0018,9075), b-matrix (0018,9601).
"""

from appliance.qc.elements import Elements, Wanted
from appliance.qc.study import Frame, Gradient
from appliance.qc.vendors.vendor import Vendor, unit

B_VALUE, DIRECTION, DIRECTIONALITY = 0x00189087, 0x00189089, 0x00189075
_DIFFUSION, _DIRECTIONS, _MATRIX = 0x00189117, 0x00189076, 0x00189601
_FRAME_TYPE_SEQUENCE, _FRAME_TYPE, _IMAGE_TYPE = 0x00189226, 0x00089007, 0x00080008
_PLANE_POSITION, _POSITION = 0x00209113, 0x00200032
_PLANE_ORIENTATION, _ORIENTATION = 0x00209116, 0x00200037
SHARED, PER_FRAME = 0x52009229, 0x52009230
_MATRIX_ELEMENTS = {0x00189602: "FD", 0x00189603: "FD", 0x00189604: "FD", 0x00189605: "FD", 0x00189606: "FD", 0x00189607: "FD"}

_MAPS = frozenset(
    {"ADC", "EADC", "FA", "COLFA", "CFA", "MD", "TRACE", "TRACEW", "ISOTROPIC", "TENSOR", "TENSOR_B0", "EXP"}
    | {"CALC_BVALUE", "CALCULATED", "COMBINED", "PROJECTION IMAGE", "MPR", "DIFFUSION_MAP"}
)
"""Words of (0008,0008) that name a map even where its first word says ORIGINAL."""

FUNCTIONAL_GROUPS = Wanted(
    {
        _DIFFUSION: Wanted(
            {
                DIRECTIONALITY: "CS",
                B_VALUE: "FD",
                _DIRECTIONS: Wanted({DIRECTION: "FD"}),
                _MATRIX: Wanted(_MATRIX_ELEMENTS),
            }
        ),
        _FRAME_TYPE_SEQUENCE: Wanted({_FRAME_TYPE: "CS"}),
        _PLANE_POSITION: Wanted({_POSITION: "DS"}),
        _PLANE_ORIENTATION: Wanted({_ORIENTATION: "DS"}),
    }
)


def is_derived(image_type: tuple[str, ...]) -> bool:
    """Whether (0008,0008) or (0008,9007) names something that the scanner computed from the acquired images."""
    return bool(image_type) and (image_type[0] == "DERIVED" or not _MAPS.isdisjoint(image_type))


def along_normal(position: tuple[float, ...], orientation: tuple[float, ...]) -> float | None:
    """Where a slice lies along its own normal, in mm; None where the header does not say."""
    if len(position) != 3 or len(orientation) != 6:
        return None
    a, b, c, d, e, f = orientation
    return position[0] * (b * f - c * e) + position[1] * (c * d - a * f) + position[2] * (a * e - b * d)


def gradient(header: Elements) -> Gradient:
    """The standard's elements at the top level of a classic image."""
    b_value = header.number(B_VALUE)
    direction = unit(header.numbers(DIRECTION))
    isotropic = "ISOTROPIC" in header.words(DIRECTIONALITY)
    return Gradient(b_value, None if isotropic else direction, isotropic)


def enhanced_frames(header: Elements) -> tuple[Frame, ...]:
    """Every frame of an enhanced image; a group missing per frame is taken from the shared ones (PS3.3 section C.7.6.16)."""
    shared = header.first(SHARED)
    image_type = header.words(_IMAGE_TYPE)
    return tuple(_frame(one, shared, image_type) for one in header.items(PER_FRAME))


def _frame(own: Elements, shared: Elements, image_type: tuple[str, ...]) -> Frame:
    diffusion = own.first(_DIFFUSION) if own.items(_DIFFUSION) else shared.first(_DIFFUSION)
    plane = own.first(_PLANE_POSITION) if own.items(_PLANE_POSITION) else shared.first(_PLANE_POSITION)
    turned = own.first(_PLANE_ORIENTATION) if own.items(_PLANE_ORIENTATION) else shared.first(_PLANE_ORIENTATION)
    kind = own.first(_FRAME_TYPE_SEQUENCE) if own.items(_FRAME_TYPE_SEQUENCE) else shared.first(_FRAME_TYPE_SEQUENCE)
    return Frame(
        gradient=_enhanced_gradient(diffusion),
        position=along_normal(plane.numbers(_POSITION), turned.numbers(_ORIENTATION)),
        derived=is_derived(kind.words(_FRAME_TYPE) or image_type),
    )


def _enhanced_gradient(diffusion: Elements) -> Gradient:
    if "ISOTROPIC" in diffusion.words(DIRECTIONALITY):
        return Gradient(diffusion.number(B_VALUE), None, True)
    direction = unit(diffusion.first(_DIRECTIONS).numbers(DIRECTION)) or _from_matrix(diffusion.first(_MATRIX))
    return Gradient(diffusion.number(B_VALUE), direction)


def _from_matrix(matrix: Elements) -> tuple[float, float, float] | None:
    """The direction of a b-matrix of rank one: any of its rows, the longest being the most exact; its sign is free."""
    xx, xy, xz, yy, yz, zz = (matrix.number(key) or 0.0 for key in _MATRIX_ELEMENTS)
    rows = ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))
    return unit(max(rows, key=lambda row: sum(one * one for one in row)))


VENDOR = Vendor(name="standard", manufacturers=("",), gradient=gradient)
