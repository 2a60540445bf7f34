"""The report as PDF: what a neurologist reads. The first page alone carries verdict, caveats, key numbers and limits.

Fonts are embedded, text and pictures are tagged, nothing depends on colour, and the same request gives the same bytes.
"""

from appliance.reports import body, document, paper, words
from appliance.reports.content import RenderRequest

_last: list[tuple[RenderRequest, bytes]] = []
"""PNG, FHIR and HL7 hold the same pages: one request is drawn once for all of them."""


def make(request: RenderRequest) -> bytes:
    """The report as PDF 1.4."""
    if not _last or _last[0][0] is not request:
        _last[:] = [(request, _drawn(request))]
    return _last[0][1]


def _drawn(request: RenderRequest) -> bytes:
    paper.glyphs()
    facts = document.Facts(
        title=f"{words.title(request.content)}, order {request.content.order}",
        author=paper.drawn(request.content.site),
        subject=f"{words.NOTICE}. {words.headline(request.content)}",
    )
    return document.pdf(
        lambda: body.story(request),
        lambda canvas, page, pages: paper.edge(canvas, request, page, pages),
        paper.size(request),
        facts,
    )
