"""The report as PDF: what a neurologist reads. The first page alone carries verdict, caveats, key numbers and limits.

Fonts are embedded, text and pictures are tagged, nothing depends on colour, and the same request gives the same bytes.
"""

import io
from collections.abc import Callable
from typing import Any

from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

from appliance.reports import body, paper, words
from appliance.reports.content import RenderRequest
from appliance.reports.tagged import TaggedCanvas

CREATOR = "Ranvier"


def make(request: RenderRequest) -> bytes:
    """The report as PDF 1.4."""
    paper.glyphs()
    # The number of pages is known only when they are laid out: the first pass counts, the second prints.
    _, pages = _laid_out(request, lambda canvas, page: None)
    made, _ = _laid_out(request, lambda canvas, page: paper.edge(canvas, request, page, pages))
    return made


def _laid_out(request: RenderRequest, edge: Callable[[Any, int], None]) -> tuple[bytes, int]:
    target = io.BytesIO()
    pages = [0]

    def on_page(canvas: Any, document: Any) -> None:
        pages[0] = document.page
        with canvas.artifact():
            edge(canvas, document.page)

    document = BaseDocTemplate(
        target,
        pagesize=paper.size(request),
        title=f"{words.title(request.content)}, order {request.content.order}",
        author=paper.drawn(request.content.site) or CREATOR,
        subject=f"{words.NOTICE}. {words.headline(request.content)}",
        creator=CREATOR,
        lang="en",
        invariant=1,
        pageCompression=1,
    )
    width, height = paper.size(request)
    frame = Frame(
        paper.MARGIN, paper.BOTTOM, paper.text_width(request), height - paper.TOP - paper.BOTTOM, 0, 0, 0, 0, id="text"
    )
    document.addPageTemplates([PageTemplate(id="page", frames=[frame], onPage=on_page, pagesize=(width, height))])
    document.build(body.story(request), canvasmaker=TaggedCanvas)
    return target.getvalue(), pages[0]
