"""The page: sizes, embedded fonts, paragraph styles, and what stands on the edge of every page."""

import functools
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import pagesizes
from reportlab.lib.colors import Color, HexColor, black, white
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from appliance.reports import words
from appliance.reports.content import RenderRequest
from appliance.reports.script import MISSING, drawable
from appliance.reports.tagged import Said

PLAIN, BOLD = "Ranvier-Plain", "Ranvier-Bold"
MARGIN = 17 * mm
TOP, BOTTOM = 26 * mm, 21 * mm
SIZES = {"A4": pagesizes.A4, "Letter": pagesizes.LETTER}

INK = black
GREY = HexColor("#555555")
RULE = HexColor("#9a9a9a")
SHADE = HexColor("#efefef")
"""All shades differ in lightness, not in hue alone: a grey print says the same."""


@functools.cache
def glyphs() -> frozenset[int]:
    """The characters that the report's font can draw; registers both faces."""
    folder = Path(__file__).parent / "fonts"
    plain = TTFont(PLAIN, str(folder / "DejaVuSansCondensed.ttf"))
    pdfmetrics.registerFont(plain)
    pdfmetrics.registerFont(TTFont(BOLD, str(folder / "DejaVuSansCondensed-Bold.ttf")))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    return frozenset(plain.face.charToGlyph)


def size(request: RenderRequest) -> tuple[float, float]:
    """Width and height of the paper in points."""
    width, height = SIZES[request.paper]
    return float(width), float(height)


def text_width(request: RenderRequest) -> float:
    """Width between the margins in points."""
    return float(size(request)[0] - 2 * MARGIN)


def drawn(text: str) -> str:
    """Text as the page draws it."""
    return drawable(text, glyphs())


def style(
    points: float = 9, *, bold: bool = False, color: Color = INK, align: str = "left", before: float = 0, after: float = 0
) -> ParagraphStyle:
    """A paragraph style of the report's font."""
    return ParagraphStyle(
        "plain",
        fontName=BOLD if bold else PLAIN,
        fontSize=points,
        leading=points * 1.32,
        textColor=color,
        alignment={"left": 0, "center": TA_CENTER, "right": TA_RIGHT}[align],
        spaceBefore=before,
        spaceAfter=after,
        splitLongWords=1,
    )


def said(text: str, points: float = 9, *, role: str = "P", **how: Any) -> Said:
    """A paragraph of text that comes from anywhere: its markup is escaped, never obeyed."""
    made = Said(escape(drawn(text)) or "&nbsp;", style(points, **how))
    made.role = role
    return made


def labelled(label: str, text: str, points: float = 9, **how: Any) -> Said:
    """A label in grey and its value."""
    return Said(f'<font color="#555555">{escape(drawn(label))}</font> {escape(drawn(text))}', style(points, **how))


def edge(canvas: Any, request: RenderRequest, page: int, pages: int) -> None:
    """Draws the head and foot of one page: notice, order, identity where asked for, page n of m."""
    glyphs()
    content = request.content
    width, height = size(request)
    canvas.saveState()
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 9)
    canvas.drawString(MARGIN, height - 14 * mm, drawn(words.title(content)))
    canvas.setFont(PLAIN, 8)
    shown = drawn(_identity(request, width - 2 * MARGIN))
    canvas.drawString(MARGIN, height - 20 * mm, shown)
    stamp(canvas, width - MARGIN, height - 16 * mm)
    rules(canvas, width, height)
    canvas.drawString(MARGIN, 12 * mm, f"Order {content.order}")
    canvas.drawCentredString(width / 2 + 14 * mm, 12 * mm, f"Version {content.version} · {words.moment(content.made_at)}")
    canvas.drawRightString(width - MARGIN, 12 * mm, f"Page {page} of {pages}")
    if MISSING in shown:
        canvas.drawString(
            MARGIN, 8.5 * mm, f"{MISSING} stands for a character that this report's font lacks; the DICOM header has it."
        )
    canvas.restoreState()


def rules(canvas: Any, width: float, height: float) -> None:
    """The lines below the head and above the foot; what is written next is the foot."""
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.6)
    canvas.line(MARGIN, height - 22 * mm, width - MARGIN, height - 22 * mm)
    canvas.line(MARGIN, 16 * mm, width - MARGIN, 16 * mm)
    canvas.setFont(PLAIN, 7.5)
    canvas.setFillColor(GREY)


def stamp(canvas: Any, right: float, base: float) -> None:
    """The notice that no page is without."""
    text = words.NOTICE.upper()
    wide = pdfmetrics.stringWidth(text, BOLD, 9.5) + 5 * mm
    canvas.setStrokeColor(INK)
    canvas.setFillColor(white)
    canvas.setLineWidth(1.2)
    canvas.rect(right - wide, base, wide, 6.4 * mm, fill=1)
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 9.5)
    canvas.drawCentredString(right - wide / 2, base + 2 * mm, text)


def _identity(request: RenderRequest, width: float) -> str:
    """One line of identity; a name too long for the paper is cut with a mark, ID and birth date never."""
    lines = words.identity_lines(request.page_identity)
    if not lines:
        return request.content.site
    (name_label, name), *others = lines
    tail = "".join(f"   {label}: {value or 'not given'}" for label, value in others)
    room = width - pdfmetrics.stringWidth(f"{name_label}: {tail}", PLAIN, 8)
    return f"{name_label}: {_cut(name or 'not given', room, 8)}{tail}"


def _cut(text: str, width: float, points: float) -> str:
    if pdfmetrics.stringWidth(text, PLAIN, points) <= width:
        return text
    while text and pdfmetrics.stringWidth(text + " …", PLAIN, points) > width:
        text = text[:-1]
    return text + " …"
