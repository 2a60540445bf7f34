"""The report as plain text of at most 78 columns, for terminals, mail and systems that read nothing else."""

import textwrap
from collections.abc import Iterable, Iterator

from appliance.reports import words
from appliance.reports.content import ProductSection, RenderRequest, ReportContent

WIDTH = 78
_LABEL = 16


def make(request: RenderRequest) -> bytes:
    """The report as UTF-8 text."""
    content = request.content
    lines = [*_top(request), *_caveats(content), *_reason(content)]
    for section in content.sections:
        lines += _product(content, section)
    lines += [*_quality(content), *_provenance(content), *_ending(content)]
    return ("\n".join(lines).rstrip() + "\n").encode()


def _top(request: RenderRequest) -> Iterator[str]:
    content = request.content
    yield from _wrapped(words.title(content).upper())
    yield words.NOTICE.upper()
    yield "=" * WIDTH
    yield from _wrapped(words.headline(content))
    yield from _wrapped(words.qc_line(content) + ".")
    yield ""
    for label, value in words.identity_lines(request.page_identity):
        yield from _pair(label, value)
    yield from _pair("Order", content.order)
    yield from _pair("Study", f"{content.study}, version {content.study_version}, {content.instances} instances")
    yield from _pair("Report", f"{content.report}, version {words.version_line(content)}")
    yield from _pair("Made", words.moment(content.made_at) + (f" at {content.site}" if content.site else ""))
    for label, value, origin in words.age_and_sex(content):
        yield from _pair(label, f"{value} ({origin})" if origin else value)
    yield ""


def _caveats(content: ReportContent) -> Iterator[str]:
    if content.caveats:
        yield from _heading("READ THIS FIRST")
        yield from _bullets(content.caveats, "!")


def _reason(content: ReportContent) -> Iterator[str]:
    if content.failure:
        yield from _heading("WHAT HAPPENED")
        yield from _wrapped(content.failure.what)
        yield ""
        yield from _heading("WHY")
        yield from _bullets(words.why(content), "-")
        yield from _heading("WHAT TO DO")
        yield from _bullets(words.to_do(content), "-")


def _product(content: ReportContent, section: ProductSection) -> Iterator[str]:
    yield from _heading(f"{section.title} {section.version}".strip())
    if section.failure:
        yield from _wrapped(f"FAILED, no result: {section.failure}")
        yield ""
        return
    if section.intended_use:
        yield from _wrapped(section.intended_use)
        yield ""
    widest = min(max((len(row.label) for row in section.rows), default=0), 44)
    for row in section.rows:
        note = f"  [{row.note}]" if row.note else ""
        yield from _wrapped(f"{row.label:<{widest}}  {words.measured(row)}{note}", indent=widest + 2)
        for one in words.beside(content, section, row):
            yield from _wrapped(f"{'':<{widest}}  {one}", indent=widest + 2)
    if section.rows:
        yield ""
    yield from _bullets(section.notes, "-")
    yield from _trend(content, section)


def _trend(content: ReportContent, section: ProductSection) -> Iterator[str]:
    head, rows = words.trend(content, section)
    if not rows:
        return
    yield from _heading("CHANGE SINCE EARLIER STUDIES OF THIS PATIENT")
    for label, now, *past in rows:
        yield from _wrapped(label)
        yield from _wrapped(f"  this study {now}")
        for column, value in zip(head[2:], past, strict=True):
            yield from _wrapped(f"  {column} {value}")
    yield ""


def _quality(content: ReportContent) -> Iterator[str]:
    if not content.qc_rows:
        return
    yield from _heading("QUALITY CONTROL")
    for row in content.qc_rows:
        yield from _wrapped(f"{words.mark(row.verdict)} {row.title}: {words.check_word(row.verdict)}", indent=2)
        yield from _wrapped(f"  found {row.found or 'nothing'}; expected {row.expected or 'nothing special'}", indent=2)
        if row.action:
            yield from _wrapped(f"  to do: {row.action}", indent=2)
    yield ""


def _provenance(content: ReportContent) -> Iterator[str]:
    yield from _heading("PROVENANCE")
    told = list(content.provenance.items())
    told += [(f"{one.product}: {name}", value) for one in content.sections for name, value in one.provenance.items()]
    widest = min(max((len(name) for name, _ in told), default=0), 40)
    for name, value in told:
        yield from _wrapped(f"{name:<{widest}}  {value}", indent=widest + 2)
    yield ""


def _ending(content: ReportContent) -> Iterator[str]:
    yield from _heading("WHAT THIS REPORT DOES NOT SAY")
    yield from _bullets(words.limits(content), "-")
    yield "=" * WIDTH
    yield from _wrapped(words.NOTICE_LONG)
    yield f"Order {content.order}, end of report."


def _heading(text: str) -> Iterator[str]:
    yield from _wrapped(text)
    yield "-" * WIDTH


def _pair(label: str, value: str) -> Iterator[str]:
    yield from _wrapped(f"{label:<{_LABEL}} {value}", indent=_LABEL + 1)


def _bullets(texts: Iterable[str], bullet: str) -> Iterator[str]:
    some = False
    for text in texts:
        some = True
        yield from _wrapped(f"{bullet} {text}", indent=2)
    if some:
        yield ""


def _wrapped(text: str, indent: int = 0) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, replace_whitespace=False) or [""]
