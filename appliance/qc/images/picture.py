"""Grey pictures of slices and simple charts, as arrays; one module knows how they are written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RULE, _WARN, _FAIL = 205, (210, 140, 0), (190, 30, 30)
_MOST_PIXELS = 1100


def square(plane: "NDArray[Any]", across_mm: float, up_mm: float) -> "NDArray[Any]":
    """A plane (across, up, ...) whose pixels are as wide as they are high, by repeating some of them."""
    least = min(across_mm, up_mm)
    places = [
        np.minimum((np.arange(round(size * mm / least)) * least / mm).astype(int), size - 1)
        for size, mm in zip(plane.shape, (across_mm, up_mm), strict=False)
    ]
    found: NDArray[Any] = plane[places[0]][:, places[1]]
    return found


def colours_beside(images: "list[NDArray[np.float64]]", *, scale: int = 4) -> "NDArray[np.uint8]":
    """Planes (across, up, 3) with values of 0 to 1 side by side."""
    shown = [np.flipud(np.clip(image, 0, 1).transpose(1, 0, 2) * 255) for image in images]
    gap = np.full((shown[0].shape[0], 2, 3), 255.0)
    row = np.hstack([part for image in shown for part in (image, gap)][:-1])
    scale = max(1, min(scale, _MOST_PIXELS // row.shape[1]))
    return np.kron(row, np.ones((scale, scale, 1))).astype(np.uint8)


def slices_beside(images: "list[NDArray[np.float32]]", *, scale: int = 3) -> "NDArray[np.uint8]":
    """Planes side by side in one brightness; each is (across, up) as the converted image has it."""
    top = max(float(np.percentile(image, 99.5)) for image in images)
    shown = [_upright(image, top) for image in images]
    gap = np.full((shown[0].shape[0], 2), 255, np.uint8)
    row = np.hstack([part for image in shown for part in (image, gap)][:-1])
    scale = max(1, min(scale, _MOST_PIXELS // row.shape[1]))
    return np.kron(row, np.ones((scale, scale), np.uint8)).astype(np.uint8)


def _upright(image: "NDArray[np.float32]", top: float) -> "NDArray[np.uint8]":
    grey = np.clip(image / top if top > 0 else image, 0, 1) * 255
    found: NDArray[np.uint8] = np.flipud(grey.T).astype(np.uint8)
    return found


def outlined(image: "NDArray[np.float32]", mask: "NDArray[np.bool_]", *, scale: int = 3) -> "NDArray[np.uint8]":
    """A plane with the edge of a mask in colour."""
    from scipy import ndimage

    grey = slices_beside([image], scale=scale)
    factor = grey.shape[1] // image.shape[0]
    large = np.kron(np.flipud(mask.T), np.ones((factor, factor), bool)).astype(bool)
    edge = large & ~ndimage.binary_erosion(large)
    coloured = np.stack([grey] * 3, axis=-1)
    coloured[edge] = (255, 170, 0)
    return coloured


def table_of(values: "NDArray[np.float64]", limit: float, *, cell: int = 8) -> "NDArray[np.uint8]":
    """Slices upwards, volumes across; white is as expected, the darker the more is missing, red beyond the limit."""
    across, up = values.shape
    cell = max(2, min(cell, _MOST_PIXELS // max(across, 1), _MOST_PIXELS // max(up, 1)))
    missing = np.clip(np.nan_to_num(values), 0, 1)
    grey = 255 - np.clip(missing / max(limit, 1e-6), 0, 1) * 150
    cells = np.stack([grey] * 3, axis=-1)
    cells[missing >= limit] = _FAIL
    cells[~np.isfinite(values)] = (235, 235, 235)
    large = np.kron(np.flipud(cells.transpose(1, 0, 2)), np.ones((cell, cell, 1)))
    return _framed(large.astype(np.uint8))


def bars(rows: "list[NDArray[np.float64]]", limits: "list[tuple[float, float]]", *, height: int = 90) -> "NDArray[np.uint8]":
    """A chart for each row of figures, one bar a volume, with the limits that warn and fail as lines."""
    width = max(3, min(14, _MOST_PIXELS // max(1, len(rows[0]))))
    panels = [_panel(row, warn, fail, width, height) for row, (warn, fail) in zip(rows, limits, strict=True)]
    across = max(panel.shape[1] for panel in panels)
    gap = np.full((6, across, 3), 255, np.uint8)
    return np.vstack([part for panel in panels for part in (panel, gap)][:-1])


def _panel(row: "NDArray[np.float64]", warn: float, fail: float, width: int, height: int) -> "NDArray[np.uint8]":
    figures = np.nan_to_num(row)
    top = max(float(figures.max(initial=0.0)), fail) * 1.08
    panel = np.full((height, width * len(figures), 3), 255, np.uint8)
    for index, figure in enumerate(figures):
        tall = min(height, round(height * figure / top))
        colour = _FAIL if figure >= fail else _WARN if figure >= warn else (90, 90, 90)
        panel[height - tall :, index * width : (index + 1) * width - 1] = colour
    for limit, colour in ((warn, _WARN), (fail, _FAIL)):
        at = height - 1 - min(height - 1, round(height * limit / top))
        panel[at, ::2] = colour
    return _framed(panel)


def _framed(picture: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    return np.pad(picture, ((2, 2), (2, 2), (0, 0)), constant_values=_RULE)


def write(path: Path, picture: "NDArray[np.uint8]") -> None:
    """Writes a PNG without anything but pixels in it."""
    from PIL import Image

    Image.fromarray(picture).save(path, "PNG", optimize=True)
