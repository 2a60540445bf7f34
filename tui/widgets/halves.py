"""A picture in a terminal: two pixels a cell, the upper one as the colour of a half block, the lower one behind it."""

import io
from functools import lru_cache

from rich.color import Color
from rich.style import Style
from rich.text import Text

HALF = "▀"
_MOST_PIXELS = 16_000_000


@lru_cache(maxsize=16)
def drawn(png: bytes, columns: int, rows: int = 24) -> Text | None:
    """A PNG as large as fits into so many cells, never enlarged beyond its pixels; None for what is no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as found:
            if found.width * found.height > _MOST_PIXELS:
                return None
            scale = min(1.0, columns / found.width, 2 * rows / found.height)
            across, down = max(1, round(found.width * scale)), max(2, round(found.height * scale) // 2 * 2)
            small = found.convert("RGB").resize((across, down), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
        return None
    content = small.tobytes()
    text = Text(no_wrap=True)
    for row in range(0, down, 2):
        for column in range(across):
            upper, lower = (3 * (line * across + column) for line in (row, row + 1))
            style = Style(color=_colour(content, upper), bgcolor=_colour(content, lower))
            text.append(HALF, style)
        if row + 2 < down:
            text.append("\n")
    return text


def _colour(content: bytes, at: int) -> Color:
    return Color.from_rgb(content[at], content[at + 1], content[at + 2])
