"""Text that came from outside, made harmless for a terminal.

Descriptions, sender names, error answers and revealed patient values may hold terminal escapes, bidirectional overrides or
endless combining marks. What is left here is only what shows; it is never read as markup because it goes into `Text` objects.
"""

import unicodedata

from rich.cells import cell_len, set_cell_size

_MARKS_KEPT = 2
"""Combining marks kept after one letter: enough for any script's names, too few to paint over the lines around."""


def inert(text: str, *, lines: bool = False) -> str:
    """The text without control, format (bidirectional, zero-width), private and surrogate characters.

    Line ends and tabs become blanks, or stay as line ends and four blanks with `lines`.
    """
    text = unicodedata.normalize("NFC", text).replace("\t", "    " if lines else " ")
    kept: list[str] = []
    marks = 0
    for letter in text:
        kind = unicodedata.category(letter)
        if letter in "\n\r\x85\u2028\u2029":
            kept.append("\n" if lines and letter == "\n" else "" if lines else " ")
            continue
        marks = marks + 1 if kind[0] == "M" else 0
        if kind[0] == "C" or marks > _MARKS_KEPT:
            continue
        kept.append(letter)
    return "".join(kept)


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """The harmless text in exactly `width` cells: padded, or cut with an ellipsis; wide characters count as two."""
    clean = inert(text)
    if cell_len(clean) <= width:
        return set_cell_size(clean, width)
    if width <= len(ellipsis):
        return set_cell_size(clean, width)
    return set_cell_size(clean, width - len(ellipsis)) + ellipsis


def short(text: str, width: int, ellipsis: str = "…") -> str:
    """The harmless text in at most `width` cells."""
    return fit(text, width, ellipsis).rstrip()
