"""A tagged PDF of flowables: embedded fonts, page n of m, and the same bytes for the same content."""

import io
from collections.abc import Callable
from typing import Any, NamedTuple

from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

from appliance.reports import paper
from appliance.reports.tagged import TaggedCanvas

CREATOR = "Ranvier"


class Facts(NamedTuple):
    """What the document says of itself."""

    title: str
    author: str
    subject: str


def pdf(
    story: Callable[[], list[Any]], edge: Callable[[Any, int, int], None], size: tuple[float, float], facts: Facts
) -> bytes:
    """PDF 1.4; `story` is asked twice, `edge` draws head and foot of a page from canvas, page and number of pages."""
    paper.glyphs()
    # The number of pages is known only when they are laid out: the first pass counts, the second prints.
    _, pages = _laid_out(story(), lambda canvas, page: None, size, facts)
    made, _ = _laid_out(story(), lambda canvas, page: edge(canvas, page, pages), size, facts)
    return made


def _laid_out(story: list[Any], edge: Callable[[Any, int], None], size: tuple[float, float], facts: Facts) -> tuple[bytes, int]:
    target = io.BytesIO()
    pages = [0]

    def on_page(canvas: Any, document: Any) -> None:
        pages[0] = document.page
        with canvas.artifact():
            edge(canvas, document.page)

    document = BaseDocTemplate(
        target,
        pagesize=size,
        title=facts.title,
        author=facts.author or CREATOR,
        subject=facts.subject,
        creator=CREATOR,
        lang="en",
        invariant=1,
        pageCompression=1,
    )
    width, height = size
    frame = Frame(
        paper.MARGIN, paper.BOTTOM, width - 2 * paper.MARGIN, height - paper.TOP - paper.BOTTOM, 0, 0, 0, 0, id="text"
    )
    document.addPageTemplates([PageTemplate(id="page", frames=[frame], onPage=on_page, pagesize=size)])
    document.build(story, canvasmaker=TaggedCanvas)
    return target.getvalue(), pages[0]
