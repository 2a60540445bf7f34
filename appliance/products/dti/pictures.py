"""Pictures for the report: three planes through the middle of the brain, as a radiologist expects them.

The patient's right is on the viewer's left, anterior on the left of the sagittal plane, up is up; every plane carries its
letters. All planes of a picture have one scale in millimetres.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from appliance.products.dti.nifti import ras_voxel_mm, to_ras
from appliance.products.dti.series import DiffusionSeries
from appliance.products.dti.tensor import TensorMaps, to_world
from appliance.products.manifest import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXELS_PER_MM = 2.0
MARGIN_MM = 8.0
OUTLINE = (255, 221, 0)
"""Yellow: as bright as white in a grey-scale print, so that the outline stays visible there."""
FA_RANGE = (0.0, 1.0)
MD_RANGE = (0.0, 2.5)
"""10^-3 mm2/s."""
_GAP, _FOOT, _BAR = 14, 34, 96
_LETTERS = (("R", "L", "A", "P"), ("R", "L", "S", "I"), ("A", "P", "S", "I"))
"""Left, right, top, bottom of the axial, coronal and sagittal plane."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the planes lie, on the grid turned to RAS, and how large its voxels are."""

    box: tuple[slice, slice, slice]
    middle: tuple[int, int, int]
    voxel_mm: tuple[float, float, float]


def draw(
    series: DiffusionSeries,
    b0: "NDArray[np.float32]",
    maps: TensorMaps,
    mask: "NDArray[np.bool_]",
    affine: "NDArray[np.float64]",
    folder: Path,
) -> list[Picture]:
    """Writes the pictures of one series and returns them with their captions."""
    b0, mask = to_ras(b0, affine), to_ras(mask, affine)
    frame = _frame(mask, ras_voxel_mm(affine))
    bright = max(float(np.percentile(b0[mask], 99)), 1e-12)
    fa, md = to_ras(maps.fa, affine), to_ras(maps.md, affine)
    colours = np.abs(to_world(to_ras(maps.direction, affine), affine)) * np.clip(fa, 0, 1)[..., None]
    name = f"series {series.name[1:]}"
    drawn = {
        "b0": (f"b=0 with the outline of the brain mask, {name}", _grey(b0, 0.0, bright * 1.15), mask, "", None),
        "fa": (f"Fractional anisotropy, {name}", _grey(fa, *FA_RANGE), None, "FA", FA_RANGE),
        "md": (f"Mean diffusivity, {name}", _grey(md * 1e3, *MD_RANGE), None, "MD 10^-3 mm2/s", MD_RANGE),
        "colour_fa": (
            f"Main direction weighted by FA, {name} (red left-right, green front-back, blue up-down)",
            _bytes(colours),
            None,
            "red L-R, green A-P, blue S-I",
            None,
        ),
    }
    pictures = []
    for kind, (title, image, outlined, legend, scale) in drawn.items():
        file = f"{series.name}_{kind}.png"
        _compose(image, frame, outlined, legend, scale).save(folder / file, compress_level=6)
        pictures.append(Picture(file=file, title=title))
    return pictures


def draw_map(
    image: "NDArray[np.float32]",
    mask: "NDArray[np.bool_]",
    affine: "NDArray[np.float64]",
    legend: str,
    scale: tuple[float, float],
    path: Path,
) -> None:
    """Writes one map in grey with a bar for its scale."""
    frame = _frame(to_ras(mask, affine), ras_voxel_mm(affine))
    _compose(_grey(to_ras(image, affine), *scale), frame, None, legend, scale).save(path, compress_level=6)


def _frame(mask: "NDArray[np.bool_]", voxel_mm: tuple[float, float, float]) -> Frame:
    """The planes through the centre of a mask in RAS, cut to its box with a margin."""
    box, middle = [], []
    for axis in range(3):
        voxels = mask.sum(axis=tuple(other for other in range(3) if other != axis))
        present = np.flatnonzero(voxels)
        margin = int(np.ceil(MARGIN_MM / voxel_mm[axis]))
        box.append(slice(max(0, int(present[0]) - margin), int(present[-1]) + margin + 1))
        middle.append(round(float(np.average(np.arange(len(voxels)), weights=voxels))))
    return Frame((box[0], box[1], box[2]), (middle[0], middle[1], middle[2]), voxel_mm)


def _grey(image: "NDArray[Any]", low: float, high: float) -> "NDArray[np.uint8]":
    return _bytes((image - low) / (high - low))


def _bytes(share: "NDArray[Any]") -> "NDArray[np.uint8]":
    found: NDArray[np.uint8] = (np.clip(np.nan_to_num(share), 0, 1) * 255).astype(np.uint8)
    return found


def _planes(image: "NDArray[Any]", frame: Frame, resample: Image.Resampling) -> list[Image.Image]:
    """Axial, coronal, sagittal plane of an image in RAS, each in millimetres times `PIXELS_PER_MM`."""
    x, y, z = frame.middle
    columns, rows, heights = frame.box
    # A RAS grid grows to the right, the front and the top; an image grows to the right and down. Flipping both axes puts
    # the patient's right on the left, and front or top at the top.
    cuts = (
        (image[columns, rows, z], frame.voxel_mm[0], frame.voxel_mm[1]),
        (image[columns, y, heights], frame.voxel_mm[0], frame.voxel_mm[2]),
        (image[x, rows, heights], frame.voxel_mm[1], frame.voxel_mm[2]),
    )
    found = []
    for cut, across_mm, down_mm in cuts:
        upright = np.swapaxes(cut, 0, 1)[::-1, ::-1]
        size = (
            max(1, round(upright.shape[1] * across_mm * PIXELS_PER_MM)),
            max(1, round(upright.shape[0] * down_mm * PIXELS_PER_MM)),
        )
        found.append(Image.fromarray(np.ascontiguousarray(upright)).resize(size, resample))
    return found


def _outline(mask: Image.Image) -> Image.Image:
    """The rim of a smoothed mask, two pixels wide, as a stencil."""
    inside = np.asarray(mask) > 127
    core = inside.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            core &= np.roll(inside, step, axis)
    return Image.fromarray(((inside & ~core) * 255).astype(np.uint8))


def _compose(
    image: "NDArray[np.uint8]",
    frame: Frame,
    outlined: "NDArray[np.bool_] | None",
    legend: str,
    scale: tuple[float, float] | None,
) -> Image.Image:
    panels = [plane.convert("RGB") for plane in _planes(image, frame, Image.Resampling.BICUBIC)]
    if outlined is not None:
        stencils = _planes(outlined.astype(np.uint8) * 255, frame, Image.Resampling.BILINEAR)
        for panel, stencil in zip(panels, stencils, strict=True):
            panel.paste(OUTLINE, (0, 0), _outline(stencil))
    height = max(panel.height for panel in panels)
    width = sum(panel.width for panel in panels) + _GAP * 4 + (_BAR if scale else 0)
    sheet = Image.new("RGB", (width, height + _GAP + _FOOT), "black")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=18)
    left = _GAP
    for panel, letters in zip(panels, _LETTERS, strict=True):
        top = _GAP + (height - panel.height) // 2
        sheet.paste(panel, (left, top))
        _letter(pen, font, (left, top, panel.width, panel.height), letters)
        left += panel.width + _GAP
    if scale:
        _bar(pen, font, (left, _GAP, height), scale)
    pen.text((_GAP, height + _GAP + 6), legend, fill="white", font=font)
    return sheet


def _letter(pen: ImageDraw.ImageDraw, font: Any, panel: tuple[int, int, int, int], letters: tuple[str, str, str, str]) -> None:
    left, top, width, height = panel
    places: tuple[tuple[tuple[int, int], str], ...] = (
        ((left + 2, top + height // 2), "lm"),
        ((left + width - 2, top + height // 2), "rm"),
        ((left + width // 2, top + 1), "ma"),
        ((left + width // 2, top + height - 1), "md"),
    )
    for letter, (place, anchor) in zip(letters, places, strict=True):
        pen.text(place, letter, fill="white", font=font, anchor=anchor, stroke_width=2, stroke_fill="black")


def _bar(pen: ImageDraw.ImageDraw, font: Any, place: tuple[int, int, int], scale: tuple[float, float]) -> None:
    left, top, height = place
    for line in range(height):
        level = 255 - round(255 * line / max(height - 1, 1))
        pen.line([(left, top + line), (left + 18, top + line)], fill=(level, level, level))
    pen.rectangle((left, top, left + 18, top + height - 1), outline="white")
    low, high = scale
    for value in (low, (low + high) / 2, high):
        anchor = {low: "ld", high: "la"}.get(value, "lm")
        pen.text(
            (left + 26, top + round((height - 1) * (high - value) / (high - low))),
            f"{value:g}",
            fill="white",
            font=font,
            anchor=anchor,
        )
