"""The page of a group: how many are done and failed, and how every number is distributed, with the studies that stand out."""

from collections.abc import Sequence
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Spacer

from appliance.reports import document, paper, words
from appliance.reports.as_png import picture as picture_of
from appliance.reports.body import ruled, titled
from appliance.reports.cohort import Distribution, counted
from appliance.reports.cohort_content import CohortRequest
from appliance.reports.tagged import TaggedCanvas

MOST_NAMED = 8
"""Outliers that are named for one number; the table has all."""
_LIMITS = (
    "An outlier is a study further than 1.5 interquartile ranges from the quartiles of its group (Tukey); it may be "
    "the patient, the scanner or the processing, and it means nothing by itself.",
    "Numbers of different scanners and protocols do not compare; the group does not correct for them.",
    "No normal range is part of this page.",
)


class BoxPlot(Flowable):  # type: ignore[misc]
    """Least and greatest, quartiles, median and outliers of one number on one line."""

    def __init__(self, shown: Distribution, width: float) -> None:
        super().__init__()
        self.shown, self.width, self.height = shown, width, 9 * mm

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """Its own size."""
        return self.width, self.height

    def draw(self) -> None:
        """Draws as marked content with the figures in words."""
        one = self.shown
        told = (
            f"{one.label}: median {words.number(one.middle, one.unit)}, quartiles {words.number(one.lower, one.unit)} "
            f"and {words.number(one.upper, one.unit)}, from {words.number(one.least, one.unit)} "
            f"to {words.number(one.most, one.unit)}"
        )
        if isinstance(self.canv, TaggedCanvas):
            with self.canv.marked("Figure", paper.drawn(told)):
                self._lines()
        else:
            self._lines()

    def _lines(self) -> None:
        canvas, one, middle = self.canv, self.shown, self.height / 2
        outside = {value for _, value in one.outliers}
        canvas.setStrokeColor(paper.INK)
        canvas.setFillColor(paper.SHADE)
        canvas.setLineWidth(0.7)
        spread = [value for value in (one.least, one.lower, one.upper, one.most) if value not in outside]
        canvas.line(self._at(min(spread)), middle, self._at(max(spread)), middle)
        left, right = self._at(one.lower), self._at(one.upper)
        canvas.rect(left, middle - 2.2 * mm, max(right - left, 0.5), 4.4 * mm, fill=1)
        canvas.setLineWidth(1.6)
        canvas.line(self._at(one.middle), middle - 2.2 * mm, self._at(one.middle), middle + 2.2 * mm)
        canvas.setLineWidth(0.8)
        for value in sorted(outside):
            canvas.circle(self._at(value), middle, 1.1 * mm, fill=0)

    def _at(self, value: float) -> float:
        one, room = self.shown, self.width - float(4 * mm)
        across = one.most - one.least
        return float(2 * mm) + (room * (value - one.least) / across if across else room / 2)


def make(request: CohortRequest, shown: Sequence[Distribution]) -> bytes:
    """The page, or pages, as tagged PDF."""
    facts = document.Facts(
        title=f"Group report, {request.group}",
        author=paper.drawn(request.site) if paper.glyphs() else "",
        subject=f"{words.NOTICE}. {_headline(request)}",
    )
    size = paper.SIZES[request.paper]
    width = float(size[0]) - 2 * paper.MARGIN
    return document.pdf(lambda: _story(request, shown, width), lambda *page: _edge(request, size, *page), size, facts)


def picture(request: CohortRequest, pages: bytes) -> bytes:
    """The pages as one PNG."""
    return picture_of(pages, f"Group report, {request.group}")


def _headline(request: CohortRequest) -> str:
    found = counted(request.members)
    return f"Group {request.group}: {found['done']} of {len(request.members)} studies have a result."


def _story(request: CohortRequest, shown: Sequence[Distribution], width: float) -> list[Any]:
    found = counted(request.members)
    heads = ["Studies", "Done", "Failed", "Cancelled", "Open"]
    counts = [str(len(request.members)), *(str(found[name]) for name in ("done", "failed", "cancelled", "open"))]
    products = ", ".join(f"{name} {version}" for name, version in request.products.items())
    facts = [["Products", products], ["Made", f"{words.moment(request.made_at)}, {request.reason}"], ["Report", request.report]]
    story: list[Any] = [
        paper.said(_headline(request), 15, role="H1", bold=True, after=4),
        ruled(heads, [counts], width, (0.2,) * 5, numbers=range(5)),
        Spacer(1, 3 * mm),
        ruled(["What", "Value"], facts, width, (0.2, 0.8)),
    ]
    if not shown:
        story.append(paper.said("No study has a number yet.", 10, before=8))
    for one in shown:
        story.append(KeepTogether(_distribution(one, width)))
    codes = _codes(request)
    if codes:
        story += [*titled("Without a result"), ruled(["Reason", "Studies", "Which"], codes, width, (0.3, 0.12, 0.58))]
    return [*story, *titled("What this page does not say"), *(paper.said(f"• {line}", 8.5) for line in _LIMITS)]


def _distribution(one: Distribution, width: float) -> list[Any]:
    unit = words.unit(one.unit)

    def figure(value: float) -> str:
        return words.number(value, one.unit)

    heads = ["n", "Mean", "SD", "Least", "Lower quartile", "Median", "Upper quartile", "Greatest"]
    row = [str(one.count), *map(figure, (one.mean, one.deviation, one.least, one.lower, one.middle, one.upper, one.most))]
    named = ", ".join(f"{study[-8:]} ({figure(value)})" for study, value in one.outliers[:MOST_NAMED])
    more = len(one.outliers) - MOST_NAMED
    told = f"Outliers: {named}{f' and {more} more' if more > 0 else ''}." if named else "No outlier."
    return [
        *titled(f"{one.label}{f' ({unit})' if unit else ''}"),
        BoxPlot(one, width),
        ruled(heads, [row], width, (0.08, 0.13, 0.12, 0.13, 0.14, 0.13, 0.14, 0.13), points=8, numbers=range(8)),
        paper.said(told, 8.5, before=2),
    ]


def _codes(request: CohortRequest) -> list[list[str]]:
    """Reason, number and studies of those that ended without a result, or wait."""
    found: dict[str, list[str]] = {}
    for member in request.members:
        if member.standing != "done":
            found.setdefault(f"{member.standing}: {member.code}" if member.code else member.standing, []).append(member.study)
    return [
        [
            reason,
            str(len(studies)),
            ", ".join(one[-8:] for one in studies[:MOST_NAMED]) + (" ..." if len(studies) > MOST_NAMED else ""),
        ]
        for reason, studies in sorted(found.items())
    ]


def _edge(request: CohortRequest, size: tuple[float, float], canvas: Any, page: int, pages: int) -> None:
    width, height = size
    canvas.saveState()
    canvas.setFillColor(paper.INK)
    canvas.setFont(paper.BOLD, 9)
    canvas.drawString(paper.MARGIN, height - 14 * mm, "Group report")
    canvas.setFont(paper.PLAIN, 8)
    canvas.drawString(paper.MARGIN, height - 20 * mm, paper.drawn(request.site))
    paper.stamp(canvas, width - paper.MARGIN, height - 16 * mm)
    paper.rules(canvas, width, height)
    canvas.drawString(paper.MARGIN, 12 * mm, paper.drawn(f"Group {request.group}"))
    canvas.drawCentredString(width / 2 + 14 * mm, 12 * mm, f"Version {request.version} · {words.moment(request.made_at)}")
    canvas.drawRightString(width - paper.MARGIN, 12 * mm, f"Page {page} of {pages}")
    canvas.restoreState()
