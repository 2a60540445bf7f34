"""The report as one picture: all pages of the PDF, one below the other, for readers without a PDF viewer."""

import io

from PIL import Image, PngImagePlugin

from appliance.reports import as_pdf, words
from appliance.reports.content import RenderRequest

DOTS_PER_INCH = 120
_GAP = 14


def make(request: RenderRequest) -> bytes:
    """The report as PNG."""
    return picture(as_pdf.make(request), f"{words.title(request.content)}, order {request.content.order}")


def picture(pdf: bytes, title: str) -> bytes:
    """The pages of a PDF as one PNG, set apart by grey bands."""
    pages = page_pictures(pdf, DOTS_PER_INCH)
    width = max(page.width for page in pages)
    height = sum(page.height for page in pages) + _GAP * (len(pages) - 1)
    sheet = Image.new("RGB", (width, height), (150, 150, 150))
    down = 0
    for page in pages:
        sheet.paste(page, (0, down))
        down += page.height + _GAP
    facts = PngImagePlugin.PngInfo()
    facts.add_text("Title", title)
    facts.add_text("Disclaimer", words.NOTICE_LONG)
    target = io.BytesIO()
    sheet.save(target, "PNG", optimize=False, pnginfo=facts, dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    return target.getvalue()


def page_pictures(pdf: bytes, dots_per_inch: int) -> list[Image.Image]:
    """Each page of a PDF as an RGB picture."""
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.render(scale=dots_per_inch / 72).to_pil().convert("RGB") for page in document]
    finally:
        document.close()
