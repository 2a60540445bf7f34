"""Siemens: classic images (mosaic or one slice a file) and, from XA on, enhanced ones, which state what the standard says.

Classic: b-value (0019,xx0C), directionality (0019,xx0D), direction (0019,xx0E), slices in the mosaic (0019,xx0A), all of
`SIEMENS MR HEADER`; older releases have them only in the CSA header (0029,xx10). The protocol text of (0029,xx20) says how
many directions were prescribed, which shows when the last volumes of a series are missing.
"""

from appliance.qc.elements import Elements
from appliance.qc.study import Frame, Gradient, Stated
from appliance.qc.vendors import csa, standard
from appliance.qc.vendors.vendor import Vendor, unit

_HEADER, _CSA = "SIEMENS MR HEADER", "SIEMENS CSA HEADER"
_MOSAIC, _B_VALUE, _DIRECTIONALITY, _DIRECTION = ((0x0019, _HEADER, low) for low in (0x0A, 0x0C, 0x0D, 0x0E))
_IMAGE_HEADER, _SERIES_HEADER = (0x0029, _CSA, 0x10), (0x0029, _CSA, 0x20)
_IMAGE_TYPE, _POSITION, _ORIENTATION, _VOLUMES = 0x00080008, 0x00200032, 0x00200037, 0x00200105
_NAMES = frozenset({"B_value", "DiffusionGradientDirection", "NumberOfImagesInMosaic"})
_PRESCRIBED_DIRECTIONS = 0x100
"""`sDiffusion.ulMode` of the scanner's own direction sets; in free sets the count includes b=0 images."""


def gradient(header: Elements) -> Gradient:
    """b-value and direction from the private elements, else from the CSA header, else from the standard's."""
    b_value = header.number(_B_VALUE)
    direction = unit(header.numbers(_DIRECTION))
    if b_value is None and _IMAGE_HEADER in header.values:
        table = csa.values(header.values[_IMAGE_HEADER][1], _NAMES)
        b_value = next(iter(table.get("B_value", ())), None)
        direction = unit(table.get("DiffusionGradientDirection", ()))
    if b_value is None:
        return standard.gradient(header)
    isotropic = "ISOTROPIC" in header.words(_DIRECTIONALITY)
    return Gradient(b_value, None if isotropic else direction, isotropic)


def frames(header: Elements) -> tuple[Frame, ...]:
    """The one frame of a mosaic, with the number of its slices."""
    if "MOSAIC" not in header.words(_IMAGE_TYPE):
        return ()
    count = header.number(_MOSAIC)
    if count is None and _IMAGE_HEADER in header.values:
        count = next(iter(csa.values(header.values[_IMAGE_HEADER][1], _NAMES).get("NumberOfImagesInMosaic", ())), None)
    position = standard.along_normal(header.numbers(_POSITION), header.numbers(_ORIENTATION))
    return (Frame(gradient(header), position, max(1, int(count or 1))),)


def stated(header: Elements) -> Stated:
    """Prescribed directions times weightings (classic), or the number of volumes (0020,0105) of an enhanced series."""
    if header.items(standard.PER_FRAME):
        volumes = header.number(_VOLUMES)
        return Stated(volumes=int(volumes) if volumes else None, numbered=True)
    protocol = header.values[_SERIES_HEADER][1] if _SERIES_HEADER in header.values else b""
    directions = csa.protocol_number(protocol, "sDiffusion.lDiffDirections")
    weightings = csa.protocol_number(protocol, "sDiffusion.lDiffWeightings")
    if not directions or not weightings or csa.protocol_number(protocol, "sDiffusion.ulMode") != _PRESCRIBED_DIRECTIONS:
        return Stated(numbered=True)
    unweighted = 0 if csa.protocol_number(protocol, "sDiffusion.alBValue[0]") else 1
    return Stated(weighted=directions * (weightings - unweighted), numbered=True)


VENDOR = Vendor(
    name="Siemens",
    manufacturers=("SIEMENS",),
    gradient=gradient,
    private={
        (0x0019, _HEADER): {0x0A: "US", 0x0C: "IS", 0x0D: "CS", 0x0E: "FD"},
        (0x0029, _CSA): {0x10: "OB", 0x20: "OB"},
    },
    frames=frames,
    stated=stated,
)
