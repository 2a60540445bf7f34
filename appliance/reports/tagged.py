"""Tagged PDF (ISO 32000-1 section 14.8): paragraphs, headings, tables and pictures, in reading order, for screen readers.

Each flowable that says something opens a marked content sequence while it draws; when the document is saved these become its
structure tree. What stands on the edge of every page is an artifact: no reader hears it again on each page.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from reportlab.pdfbase import pdfdoc
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Image, Paragraph, Table


@dataclass(slots=True)
class _Element:
    """One structure element: its role, what it holds, and where its own marks stand."""

    role: str
    kids: list["_Element"] = field(default_factory=list)
    page: int = -1
    mark: int = -1
    alternative: str = ""


class TaggedCanvas(Canvas):  # type: ignore[misc]
    """A canvas that writes down what stands where."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.setViewerPreference("DisplayDocTitle", "true")
        self._root = _Element("Document")
        self._open = [self._root]
        self._pages: list[list[_Element]] = [[]]

    @contextmanager
    def marked(self, role: str, alternative: str = "") -> Iterator[None]:
        """Content of one role; nothing may be marked within."""
        here = self._pages[-1]
        element = _Element(role, page=len(self._pages) - 1, mark=len(here), alternative=alternative)
        here.append(element)
        self._open[-1].kids.append(element)
        self._code.append(f"/{role} <</MCID {element.mark}>> BDC")
        yield
        self._code.append("EMC")

    @contextmanager
    def grouped(self, role: str) -> Iterator[None]:
        """An element that holds others, such as a table or a row."""
        self.begin(role)
        yield
        self.end()

    def begin(self, role: str) -> None:
        """Opens an element that holds others."""
        element = _Element(role)
        self._open[-1].kids.append(element)
        self._open.append(element)

    def end(self) -> None:
        """Closes the last one."""
        self._open.pop()

    @contextmanager
    def artifact(self) -> Iterator[None]:
        """Content that is none of the document's own."""
        self._code.append("/Artifact BMC")
        yield
        self._code.append("EMC")

    def showPage(self) -> None:
        """Ends a page, which knows its marks from then on."""
        super().showPage()
        self._pages.append([])

    def save(self) -> None:
        """Ends the document with its structure tree."""
        if self._code:
            self.showPage()
        self._write_structure()
        super().save()

    def _write_structure(self) -> None:
        document, sheets = self._doc, self._doc.Pages.pages
        tree = pdfdoc.PDFDictionary({"Type": pdfdoc.PDFName("StructTreeRoot")})
        root = document.Reference(tree)
        references: dict[int, Any] = {}
        tree.dict["K"] = self._written(self._root, root, references)
        numbers: list[Any] = []
        for number, (page, marks) in enumerate(zip(sheets, self._pages, strict=False)):
            page.__NoDefault__ = [*page.__NoDefault__, "StructParents", "Tabs"]
            page.StructParents, page.Tabs = number, pdfdoc.PDFName("S")
            numbers += [number, pdfdoc.PDFArray([references[id(one)] for one in marks])]
        tree.dict["ParentTree"] = pdfdoc.PDFDictionary({"Nums": pdfdoc.PDFArray(numbers)})
        document.Catalog.StructTreeRoot = tree
        document.Catalog.MarkInfo = pdfdoc.PDFDictionary({"Marked": "true"})

    def _written(self, element: _Element, parent: Any, references: dict[int, Any]) -> Any:
        document = self._doc
        made = pdfdoc.PDFDictionary({"Type": pdfdoc.PDFName("StructElem"), "S": pdfdoc.PDFName(element.role), "P": parent})
        references[id(element)] = reference = document.Reference(made)
        if element.mark >= 0:
            made.dict["Pg"] = document.Reference(document.Pages.pages[element.page])
            made.dict["K"] = element.mark
        else:
            made.dict["K"] = pdfdoc.PDFArray([self._written(one, reference, references) for one in element.kids])
        if element.alternative:
            made.dict["Alt"] = pdfdoc.PDFString(element.alternative)
        return reference


class Said(Paragraph):  # type: ignore[misc]
    """A paragraph with a role: `P`, `H1`, `H2`, `TH` or `TD`."""

    role = "P"

    def draw(self) -> None:
        """Draws its text as marked content."""
        if not isinstance(self.canv, TaggedCanvas):
            super().draw()
            return
        with self.canv.marked(self.role):
            super().draw()


class Figure(Image):  # type: ignore[misc]
    """A picture with the words for those who cannot see it."""

    alternative = ""

    def draw(self) -> None:
        """Draws the picture as marked content."""
        if not isinstance(self.canv, TaggedCanvas):
            super().draw()
            return
        with self.canv.marked("Figure", self.alternative):
            super().draw()


class DataTable(Table):  # type: ignore[misc]
    """A table of rows and cells, whose first row is its head."""

    def draw(self) -> None:
        """Draws the cells row by row."""
        canvas = self.canv
        if not isinstance(canvas, TaggedCanvas):
            super().draw()
            return
        self._row_at: Any = None
        with canvas.grouped("Table"):
            super().draw()
            if self._row_at is not None:
                canvas.end()

    def _drawCell(self, value: Any, style: Any, place: Any, size: Any) -> None:
        canvas = self.canv
        if isinstance(canvas, TaggedCanvas):
            if self._row_at != place[1]:
                if self._row_at is not None:
                    canvas.end()
                canvas.begin("TR")
            self._row_at = place[1]
        super()._drawCell(value, style, place, size)
