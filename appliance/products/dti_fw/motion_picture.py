"""How the head moved, as a chart: shift and turn of every volume against the first one."""

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZE, _LEFT, _TOP, _PANEL, _GAP = (900, 420), 76, 34, 140, 58
_INK, _FAR, _RULE = (30, 30, 30), (190, 30, 30), (205, 205, 205)


def draw_motion(
    translations_mm: "Sequence[float]", rotations_degrees: "Sequence[float]", far: tuple[float, float], path: Path
) -> None:
    """Writes two panels, one bar a volume; bars beyond `far` (mm, degrees) are red and hatched by a line on top."""
    sheet = Image.new("RGB", _SIZE, "white")
    pen = ImageDraw.Draw(sheet)
    _panel(pen, _TOP, translations_mm, far[0], "Shift, mm")
    _panel(pen, _TOP + _PANEL + _GAP, rotations_degrees, far[1], "Turn, degrees")
    pen.text((_LEFT, _SIZE[1] - 26), f"Volume 1 to {len(translations_mm)}", fill=_INK, font=ImageFont.load_default(size=16))
    sheet.save(path, compress_level=6)


def _panel(pen: ImageDraw.ImageDraw, top: int, values: "Sequence[float]", far: float, title: str) -> None:
    font = ImageFont.load_default(size=16)
    foot, width = top + _PANEL, _SIZE[0] - _LEFT - 20
    highest = max(*values, far) * 1.1
    pen.text((_LEFT, top - 22), title, fill=_INK, font=font)
    for mark in (0.0, far):
        height = foot - round(_PANEL * mark / highest)
        pen.line([(_LEFT, height), (_LEFT + width, height)], fill=_FAR if mark else _RULE)
        pen.text((_LEFT - 8, height), f"{mark:g}", fill=_INK, font=font, anchor="rm")
    step = width / max(len(values), 1)
    for number, value in enumerate(values):
        left, right = _LEFT + round(number * step), _LEFT + max(round((number + 1) * step) - 2, round(number * step))
        height = foot - round(_PANEL * value / highest)
        pen.rectangle((left, height, right, foot), fill=_FAR if value > far else (90, 90, 90))
        if value > far:
            pen.line([(left, height - 4), (right, height - 4)], fill=_INK, width=2)
