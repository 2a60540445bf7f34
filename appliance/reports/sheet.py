"""One page of labelled lines as PDF: the passport of a de-identified study, for people who file paper."""

import io
from collections.abc import Callable

from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepInFrame, Spacer, Table, TableStyle

from appliance.reports import paper
from appliance.reports.content import Sheet, SheetRequest

_LABEL = 42 * mm


def run(request: SheetRequest, progress: Callable[[float, str], None]) -> Sheet:
    """The stage `sheet`."""
    made = Sheet(pdf=page(request))
    progress(1.0, "page")
    return made


def page(request: SheetRequest) -> bytes:
    """The page; lines that are too many are made smaller until they fit on it."""
    paper.glyphs()
    width, height = (float(side) for side in paper.SIZES[request.paper])
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(width, height), invariant=1, pageCompression=1, lang="en")
    canvas.setTitle(paper.drawn(request.title))
    canvas.setCreator("Ranvier")
    room = width - 2 * paper.MARGIN
    rows = [[paper.said(label, 8, bold=True), paper.said(text, 8)] for label, text in request.rows]
    table = Table(rows, colWidths=[_LABEL, room - _LABEL])
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, paper.RULE),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
            ]
        )
    )
    story = [
        paper.said(request.site, 8, color=paper.GREY),
        paper.said(request.title, 15, bold=True),
        Spacer(1, 3 * mm),
        paper.said(request.headline, 11, bold=True),
        Spacer(1, 4 * mm),
        table,
    ]
    high = height - 2 * paper.MARGIN
    frame = KeepInFrame(room, high, story, mode="shrink")
    _, used = frame.wrapOn(canvas, room, high)
    frame.drawOn(canvas, paper.MARGIN, height - paper.MARGIN - used)
    canvas.showPage()
    canvas.save()
    return target.getvalue()
