"""What stands between the edges of the pages, from first to last."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, KeepTogether, Spacer, Table

from appliance.reports import words
from appliance.reports.content import PictureFile, ProductSection, RenderRequest, ReportContent
from appliance.reports.paper import GREY, INK, RULE, SHADE, drawn, labelled, said, text_width
from appliance.reports.tagged import DataTable, Figure

_PICTURE_HEIGHT = 92 * mm
_PLAIN_TABLE = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LINEBELOW", (0, 0), (-1, 0), 0.8, INK),
    ("LINEBELOW", (0, 1), (-1, -1), 0.3, RULE),
    ("LEFTPADDING", (0, 0), (-1, -1), 2),
    ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ("TOPPADDING", (0, 0), (-1, -1), 2),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
]


def story(request: RenderRequest) -> list[Any]:
    """The flowables of the whole report."""
    content, width = request.content, text_width(request)
    first = [
        said(words.headline(content), 15, role="H1", bold=True, after=4),
        _verdict(content, width),
        *_caveats(content, width),
        *_failure(content, width),
        *_facts(content, width),
        *_key_numbers(content, width),
    ]
    pictures = [one for section in content.sections for one in section.pictures]
    limits = _limits(content, width)
    details = [*(part for section in content.sections for part in _section(content, section, width))]
    quality, origin = _quality(content, width), _provenance(content, width)
    if content.kind == "failure":
        return [*first, *limits, *details, *quality, *origin]
    return [*first, *_pictures(pictures[:1], width, 58 * mm), *limits, *details, *_pictures(pictures, width), *quality, *origin]


def _verdict(content: ReportContent, width: float) -> Table:
    line = f"{words.mark(content.qc_verdict)}  {words.qc_line(content)}"
    heavy = content.qc_verdict != "passed"
    table = Table([[said(line, 10, bold=True)]], colWidths=[width])
    table.setStyle(
        [
            ("BOX", (0, 0), (-1, -1), 1.6 if heavy else 0.6, INK),
            ("TOPPADDING", (0, 0), (-1, -1), 4),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
        ]
    )
    return table


def _boxed(heading: str, lines: Iterable[str], width: float, *, points: float = 9) -> Table:
    rows = [[said(heading, points + 1, bold=True)], *[[said(f"• {line}", points)] for line in lines]]
    table = Table(rows, colWidths=[width], spaceBefore=7)
    table.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), SHADE),
            ("LINEBEFORE", (0, 0), (0, -1), 3, INK),
            ("LEFTPADDING", (0, 0), (-1, -1), 9),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ]
    )
    return table


def _caveats(content: ReportContent, width: float) -> list[Any]:
    return [_boxed("Read this first", content.caveats, width)] if content.caveats else []


def _failure(content: ReportContent, width: float) -> list[Any]:
    failure = content.failure
    if failure is None:
        return []
    return [
        *titled("What happened"),
        said(failure.what, 10.5),
        *titled("Why"),
        *(said(line, 9.5, after=2) for line in words.why(content)),
        _boxed("What to do", words.to_do(content), width, points=9.5),
    ]


def _facts(content: ReportContent, width: float) -> list[Any]:
    told = [(label, f"{value} ({origin})" if origin else value) for label, value, origin in words.age_and_sex(content)]
    told += [
        ("Study", f"{content.study}, version {content.study_version}"),
        ("Instances", words.whole(content.instances)),
        ("Report", f"{content.report}, version {words.version_line(content)}"),
        ("Made", words.moment(content.made_at)),
    ]
    told += [("Site", content.site)] if content.site else []
    cells = [labelled(label, value, 8.5) for label, value in told] + [""] * (len(told) % 2)
    pairs = [cells[at : at + 2] for at in range(0, len(cells), 2)]
    table = Table(pairs, colWidths=[width * 0.62, width * 0.38], spaceBefore=7)
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 1),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
        ]
    )
    return [table]


def _key_numbers(content: ReportContent, width: float) -> list[Any]:
    result: list[Any] = []
    for section in content.sections:
        if section.failure:
            result.append(_boxed(f"{section.title}: no result", [section.failure], width))
            continue
        rows = words.key_rows(section)
        if not rows:
            continue
        tiles = [
            [
                said(row.label, 8, color=GREY),
                said(words.number(row.value, row.unit), 15, bold=True),
                said(words.unit(row.unit), 8),
                *(said(one, 7.5) for one in words.beside(content, section, row)),
            ]
            for row in rows
        ]
        table = Table([tiles], colWidths=[width / len(tiles)] * len(tiles), spaceBefore=4)
        table.setStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("BOX", (0, 0), (-1, -1), 0.6, RULE),
                ("INNERGRID", (0, 0), (-1, -1), 0.6, RULE),
            ]
        )
        result.append(KeepTogether([*titled(f"{section.title}: key numbers"), table]))
    return result


def _limits(content: ReportContent, width: float) -> list[Any]:
    heading = titled("What this report does not say")
    lines = [said(f"• {line}", 8.5, color=INK) for line in words.limits(content)]
    return [KeepTogether([*heading, *lines, said(words.NOTICE_LONG, 8.5, bold=True, before=3)])]


def _section(content: ReportContent, section: ProductSection, width: float) -> list[Any]:
    parts: list[Any] = [CondPageBreak(45 * mm), *titled(f"{section.title}, version {section.version}")]
    if section.failure:
        return [*parts, said(f"No result: {section.failure}", bold=True)]
    if section.intended_use:
        parts.append(said(section.intended_use, 8.5, color=GREY, after=3))
    if section.rows:
        rows = [[row.label, words.number(row.value, row.unit), words.unit(row.unit), row.note] for row in section.rows]
        parts.append(ruled(["Measure", "Value", "Unit", "Note"], rows, width, (0.42, 0.16, 0.12, 0.30), numbers=(1,)))
    parts += [said(f"• {note}", 8.5, before=3) for note in section.notes]
    return [*parts, *_trend(content, section, width)]


def _trend(content: ReportContent, section: ProductSection, width: float) -> list[Any]:
    head, rows = words.trend(content, section)
    if not rows:
        return []
    shares = [0.28, *([0.72 / (len(head) - 1)] * (len(head) - 1))]
    table = ruled(head, rows, width, shares, numbers=range(1, len(head)))
    return [KeepTogether([*titled("Change since earlier studies of this patient"), table])]


def _pictures(pictures: Sequence[PictureFile], width: float, height: float = _PICTURE_HEIGHT) -> list[Any]:
    parts: list[Any] = []
    for number, picture in enumerate(pictures, 1):
        caption = said(f"{picture.title}", 8.5, color=GREY, align="center", after=6)
        heading = titled("Maps") if number == 1 and height == _PICTURE_HEIGHT else [Spacer(1, 6)]
        drawing = _fitted(picture, width, height)
        parts.append(KeepTogether([*heading, drawing or said("This picture could not be read.", 8.5), caption]))
    return parts


def _fitted(picture: PictureFile, width: float, height: float) -> Figure | None:
    """The picture as large as fits, never enlarged beyond 110 dots an inch; None when the file is not a picture."""
    from PIL import Image as Pictures
    from PIL import UnidentifiedImageError

    try:
        with Pictures.open(Path(picture.path)) as found:
            across, down = found.size
    except (OSError, UnidentifiedImageError):
        return None
    scale = min(width / across, height / down, 72 / 110 * 2)
    figure = Figure(picture.path, width=across * scale, height=down * scale)
    figure.alternative = drawn(picture.title)
    return figure


def _quality(content: ReportContent, width: float) -> list[Any]:
    if not content.qc_rows:
        return []
    rows = [
        [f"{words.mark(row.verdict)} {row.title}", words.check_word(row.verdict), row.found, row.expected, row.action]
        for row in content.qc_rows
    ]
    columns = ["Check", "Verdict", "Found", "Expected", "What to do"]
    if any(row.action for row in content.qc_rows):
        table = ruled(columns, rows, width, (0.23, 0.13, 0.22, 0.20, 0.22), points=8)
    else:
        table = ruled(columns[:4], [row[:4] for row in rows], width, (0.25, 0.13, 0.31, 0.31), points=8)
    heavy = [
        ("BACKGROUND", (0, at), (-1, at), SHADE)
        for at, row in enumerate(content.qc_rows, 1)
        if row.verdict not in ("passed", "not-applicable")
    ]
    table.setStyle(heavy)
    pictures = [PictureFile(path=row.picture, title=f"{row.title}. {row.caption}") for row in content.qc_rows if row.picture]
    heading = [*titled("Quality control"), said(words.qc_line(content) + ".", after=3)]
    return [KeepTogether([*heading, table]), *_beside(pictures, width)]


def _beside(pictures: Sequence[PictureFile], width: float) -> list[Any]:
    """Small pictures with their titles, two in a row."""
    cells = [
        [_fitted(one, width * 0.46, 42 * mm) or said("This picture could not be read.", 8), said(one.title, 8, color=GREY)]
        for one in pictures
    ]
    if not cells:
        return []
    rows: list[list[Any]] = [[*cells[at : at + 2], *[""] * (2 - len(cells[at : at + 2]))] for at in range(0, len(cells), 2)]
    table = Table(rows, colWidths=[width / 2] * 2, spaceBefore=6)
    table.setStyle([("VALIGN", (0, 0), (-1, -1), "BOTTOM"), ("LEFTPADDING", (0, 0), (-1, -1), 2)])
    return [table]


def _provenance(content: ReportContent, width: float) -> list[Any]:
    rows = [["Report", name, value] for name, value in content.provenance.items()]
    rows += [[one.title, name, value] for one in content.sections for name, value in one.provenance.items()]
    rows.append(["Report", "Format", content.schema])
    heading = titled("Provenance")
    return [
        CondPageBreak(35 * mm),
        *heading,
        ruled(["Of", "What", "Version or value"], rows, width, (0.28, 0.26, 0.46), points=8),
    ]


def ruled(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: float,
    shares: Sequence[float],
    *,
    points: float = 8.5,
    numbers: Sequence[int] = (),
) -> Table:
    """A table whose head is repeated on each page; columns in `numbers` are right-aligned."""

    def cell(text: str, column: int, *, bold: bool = False) -> Any:
        align = "right" if column in numbers else "left"
        return said(text, points, role="TH" if bold else "TD", bold=bold, align=align)

    lines = [[cell(text, column, bold=True) for column, text in enumerate(head)]]
    lines += [[cell(text, column) for column, text in enumerate(row)] for row in rows]
    table = DataTable(lines, colWidths=[width * share for share in shares], repeatRows=1, splitInRow=1)
    table.setStyle(_PLAIN_TABLE)
    return table


def titled(text: str) -> list[Any]:
    """A heading of the second level."""
    return [said(text, 11.5, role="H2", bold=True, before=9, after=3)]
