"""United Imaging: b-value (0065,xx09) and direction (0065,xx37); a volume a file as a grid of slices, or a slice a file.

In a grid, (0065,xx50) counts the slices and (0065,xx51) has an item with the position of each. (0054,0081) counts the images
of the series. b=0 reads about 1 s/mm2.
"""

from appliance.qc.elements import Elements, Wanted
from appliance.qc.study import Frame, Gradient, Stated
from appliance.qc.vendors import standard
from appliance.qc.vendors.vendor import Vendor, unit

_CREATOR = "Image Private Header"
_B_VALUE, _DIRECTION = (0x0065, _CREATOR, 0x09), (0x0065, _CREATOR, 0x37)
_COUNT, _GRID = (0x0065, _CREATOR, 0x50), (0x0065, _CREATOR, 0x51)
_IMAGES, _POSITION, _ORIENTATION = 0x00540081, 0x00200032, 0x00200037


def gradient(header: Elements) -> Gradient:
    """b-value and direction; the standard's own elements where the private ones are missing."""
    b_value = header.number(_B_VALUE)
    if b_value is None:
        return standard.gradient(header)
    return Gradient(b_value, unit(header.numbers(_DIRECTION)))


def frames(header: Elements) -> tuple[Frame, ...]:
    """The slices of a grid; empty for a file of one slice."""
    items = header.items(_GRID)
    weighting = gradient(header)
    orientation = header.numbers(_ORIENTATION)
    if not items:
        count = int(header.number(_COUNT) or 0)
        return (Frame(weighting, None, count),) if count > 1 else ()
    return tuple(Frame(weighting, along(item, orientation)) for item in items)


def along(item: Elements, orientation: tuple[float, ...]) -> float | None:
    """Where one slice of a grid lies along the normal."""
    return standard.along_normal(item.numbers(_POSITION), orientation)


def stated(header: Elements) -> Stated:
    """Slices of a grid and images of the series."""
    images, slices = header.number(_IMAGES), header.number(_COUNT)
    return Stated(images=int(images) if images else None, slices=int(slices) if slices else None, numbered=True)


VENDOR = Vendor(
    name="UIH",
    manufacturers=("UIH", "UNITED IMAGING", "SHANGHAI UNITED IMAGING"),
    gradient=gradient,
    private={(0x0065, _CREATOR): {0x09: "FD", 0x37: "FD", 0x50: "DS", 0x51: Wanted({_POSITION: "DS"})}},
    frames=frames,
    stated=stated,
)
