"""A study's tabs as text: summary, quality control, timeline. Only text is made here; nothing is asked and nothing is drawn."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import RenderableType
from rich.text import Text

from tui.clock import age, clock_time, full_time, moment
from tui.contract import DeliveryView, Identity, OrderView, QcReport, StudyDetail, StudyRow, TimelineEntry, tail
from tui.inert import fit, inert
from tui.widgets.cells import hidden, state_text
from tui.widgets.halves import drawn
from tui.widgets.lines import Field, sheet

if TYPE_CHECKING:
    from tui.app import Console

_VERDICTS = {"passed": "*", "warning": "!", "bypassed": "!", "failed": "X"}
_ORIGINS = {"dicom": "DICOM"}
_NARROWEST_PICTURE = 30
_GLYPHS = {"*": "●", "!": "▲", "X": "✖"}


def _state(console: "Console", glyph: str, plain_glyph: str, word: str) -> Text:
    return state_text(console.look, glyph, plain_glyph, word, dark=console.current_theme.dark)


def _when(console: "Console", text: str | None) -> str:
    at, now = moment(text), console.clock.now()
    if at is None:
        return "-"
    today = at.astimezone(console.place).date() == now.astimezone(console.place).date()
    return f"{(clock_time if today else full_time)(at, console.place)}, {age(at, now)} ago".replace("now ago", "now")


def progress(console: "Console", percent: float | None, step: str | None, width: int = 24) -> list[Text]:
    """A bar with percent and step; nothing where there is no number."""
    bar = Text(console.look.bar(percent, width), console.colour("^")).append(f" {percent:.0f} %", "") if percent else None
    return [*([bar] if bar else []), *([Text(inert(step), "dim")] if step else [])]


def patient(console: "Console", identity: Identity | None, row: StudyRow) -> list[Text | Field]:
    """Who the study belongs to, hidden or shown."""
    names = (
        ("Patient", "patient_name"),
        ("Patient ID", "patient_id"),
        ("Birth date", "birth_date"),
        ("Accession", "accession"),
        ("Study date", "study_date"),
        ("Descript.", "study_description"),
    )
    lines: list[Text | Field] = []
    for title, name in names:
        if identity is None:
            absent = name == "accession" and not row.has_accession
            lines.append(Field(title, Text("None", "dim italic") if absent else hidden(console.look)))
        else:
            value = inert(str(getattr(identity, name) or ""))
            lines.append(Field(title, Text(value, "bold") if value else Text("None", "dim italic")))
    return lines


def metadata_line(metadata: Mapping[str, Any] | None) -> Text:
    """Age and sex with where each came from."""
    parts: list[str] = []
    for name in ("age", "sex"):
        entry = (metadata or {}).get(name)
        value, origin = (entry.get("value"), entry.get("origin")) if isinstance(entry, dict) else (entry, "")
        shown = _age(str(value)) if name == "age" and value else str(value or "unknown")
        parts.append(f"{shown} (from {_ORIGINS.get(origin, origin)})" if value and origin else shown)
    return Text(inert(" / ".join(parts)))


def _age(text: str) -> str:
    """`068Y` (PS3.5 section 6.2, VR AS) as `68 Y`."""
    return f"{int(text[:3])} {text[3]}" if len(text) == 4 and text[:3].isdigit() else text


def row_state(console: "Console", row: StudyRow) -> Text:
    """Where a study of a list stands, in one cell."""
    dark = console.current_theme.dark
    if row.delivery_failed and not row.state.startswith("DELIVERED"):
        return state_text(console.look, "▲", "!", "Delivery failed", dark=dark)
    word = row.word
    if row.percent and row.state in {"UPLOADING", "PROCESSING"}:
        word = f"{word} {row.percent:.0f}%"
    if row.priority and row.order and not row.terminal:
        word = f"{word} urgent" if len(word) < 9 else f"{word} !"
    return state_text(console.look, row.glyph, row.plain_glyph, word, dark=dark)


def delivery_line(console: "Console", delivery: DeliveryView) -> Text:
    """Where a report goes and how far it is."""
    plain = delivery.plain_glyph or {"FAILED": "!", "SENT": "*", "SENT_WITH_WARNING": "*", "SENDING": "^"}.get(
        delivery.state, "."
    )
    line = Text(f"{inert(delivery.destination)}  ").append_text(_state(console, delivery.glyph, plain, delivery.word))
    if delivery.attempt > 1 or delivery.state == "FAILED":
        line.append(f"  try {delivery.attempt}", "dim")
    if delivery.answer:
        line.append(f"  {inert(delivery.answer)}", "dim")
    return line


def order_lines(console: "Console", order: OrderView) -> list[Text | Field]:
    """Where one order stands, why, and what to do."""
    lines: list[Text | Field] = [Field("Order", Text(tail(order.order)).append("  ").append_text(_order_state(console, order)))]
    if not order.terminal:
        lines += [Field("", bar) for bar in progress(console, order.percent, order.step)]
    if order.priority and not order.terminal:
        lines.append(Field("Priority", Text("urgent", console.colour("!"))))
    if order.attempt > 1:
        lines.append(Field("Attempt", str(order.attempt)))
    if order.detail:
        lines.append(Field("Why", Text(inert(order.detail))))
    if order.advice:
        lines.append(Field("Next", Text(inert(order.advice), "bold")))
    for run in order.runs:
        said = f"{inert(run.product).upper()} {inert(str(run.version or ''))}  {inert(run.state).capitalize()}"
        if run.code or run.detail:
            said += f"  {inert(run.detail or run.code or '')}"
        lines.append(Field("Product", said))
    if order.bypass_by:
        reason = f"by {inert(order.bypass_by)}: {inert(order.bypass_reason or '')}"
        lines.append(Field("Bypassed", Text(reason, console.colour("!"))))
    for report in order.reports:
        formats = " ".join(report.formats)
        lines.append(Field("Report", f"{tail(report.report)} v{report.version} {inert(report.kind)}  {inert(formats)}"))
    lines += [Field("Delivery", delivery_line(console, one)) for one in order.deliveries]
    lines.append(Field("Opened", _when(console, order.created_at)))
    if order.updated_at != order.created_at:
        lines.append(Field("Changed", _when(console, order.updated_at)))
    return lines


def _order_state(console: "Console", order: OrderView) -> Text:
    return _state(console, order.glyph, order.plain_glyph, order.word)


def summary(console: "Console", study: StudyDetail, identity: Identity | None) -> RenderableType:
    """The first tab: where it stands and what to do, then whose it is, then what it is made of."""
    orders = study.orders[:3]
    version = f"  version {study.version}" if study.version > 1 else ""
    lines: list[Text | Field] = []
    if orders:
        lines += [*order_lines(console, orders[0]), Text()]
    else:
        state = _state(console, study.glyph, study.plain_glyph, study.word)
        lines.append(Field("Status", state.append(version, "dim")))
        if study.detail:
            lines.append(Field("Why", Text(inert(study.detail))))
        lines += [Text("No order yet; it is opened when the study is stable.", "dim"), Text()]
    if study.quarantine:
        lines += [Field("Quarantine", Text(inert(study.quarantine), console.colour("!")))]
    if study.conflicts:
        said = f"{study.conflicts} instances came again with other content; both are kept, the first is used"
        lines += [Field("Conflicts", Text(said, console.colour("!")))]
    lines += [
        Field("QC", inert(study.qc or "-")),
        Field("Age/sex", metadata_line(study.metadata)),
        *patient(console, identity, study),
        Text(),
        Field("Received", _when(console, study.received_at) + (f" from {inert(study.sender)}" if study.sender else "")),
        Field("Content", f"{study.series} series, {study.instances:,} instances{version}"),
        Field("Group", inert(study.group or "-")),
    ]
    for order in orders[1:]:
        lines += [Text(), *order_lines(console, order)]
    return sheet(lines)


def qc_text(console: "Console", report: QcReport, pictures: Mapping[str, bytes], room: int) -> RenderableType:
    """The second tab: each check with its verdict, what was found, what was expected and what to do.

    Pictures (PNG by their address) stand below their finding where there is `room`, in cells.
    """
    if not report.findings:
        return Text("No QC yet: it runs when the study is stable.", "dim")
    asked = [one for one in report.findings if one.verdict != "not-applicable"]
    passed = sum(one.verdict == "passed" for one in asked)
    lines: list[Text | Field] = [Text(f"{passed} of {len(asked)} checks passed", "bold"), *_repairs(console, report)]
    # What does not apply is of no interest to who looks for what is wrong.
    for finding in sorted(report.findings, key=lambda one: one.verdict == "not-applicable"):
        mark = _VERDICTS.get(finding.verdict, "-")
        line = Text("\n")
        glyph = console.look.glyph(_GLYPHS.get(mark, "○"), mark)
        line.append(f"{glyph} {inert(finding.title or finding.check)}", console.colour(mark))
        lines.append(line.append(f"  {inert(finding.verdict).replace('-', ' ')}", "dim"))
        for title, value in (("  Found", finding.found), ("  Expected", finding.expected), ("  To do", finding.action)):
            if value and not (mark == "*" and value is finding.action):
                lines.append(Field(title, inert(str(value))))
        if finding.picture:
            lines += _picture(pictures.get(finding.picture), finding.caption, room)
    return sheet(lines, 12)


def _repairs(console: "Console", report: QcReport) -> list[Text | Field]:
    lines: list[Text | Field] = []
    for one in report.repairs:
        said = f"repaired for the analysis, agreed by {one.consent}" if one.consent else "can be repaired (D)"
        text = f"Gradient table of series {one.number}: {one.words}; {said} (coherence {one.before:g} to {one.after:g})"
        lines.append(Text(inert(text), console.colour("!")))
    return lines


def _picture(png: bytes | None, caption: str, room: int) -> list[Text | Field]:
    """Half blocks where there is colour and room for them, else the key that saves it."""
    shown = drawn(png, room) if png and room >= _NARROWEST_PICTURE else None
    if shown is None:
        return [Field("  Picture", Text("v saves it", "dim"))]
    return [Text(), shown, Text(inert(caption), "dim")]


def timeline(console: "Console", entries: Sequence[TimelineEntry]) -> RenderableType:
    """The third tab: what happened, oldest first, with a line for each new day."""
    if not entries:
        return Text("Nothing happened yet.", "dim")
    lines: list[Text | Field] = []
    day = ""
    for entry in _gathered(sorted(entries, key=lambda one: one.at or "")):
        at = moment(entry.at)
        local: datetime | None = at.astimezone(console.place) if at else None
        if local and f"{local:%Y-%m-%d}" != day:
            day = f"{local:%Y-%m-%d}"
            lines.append(Text(day, "bold"))
        mark = {"warning": "!", "error": "X"}.get(entry.severity, "")
        text = Text(inert(entry.text or entry.title), console.colour(mark))
        lines.append(Field(f"{local:%H:%M:%S}" if local else "-", text))
    return sheet(lines, 10)


def _gathered(entries: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    """Batches that were filed one after the other as one line with their sum."""
    found: list[TimelineEntry] = []
    for entry in entries:
        count, _, rest = entry.text.partition(" ")
        before, _, rest_before = found[-1].text.partition(" ") if found else ("", "", "")
        if entry.name == "instances-arrived" and rest == rest_before and count.isdigit() and before.isdigit():
            found[-1] = msgspec.structs.replace(found[-1], text=f"{int(before) + int(count)} {rest}")
        else:
            found.append(entry)
    return found


def order_status(console: "Console", order: OrderView) -> RenderableType:
    """The status window of an order."""
    lines = order_lines(console, order)
    if order.stage and not order.terminal:
        lines.insert(1, Field("Stage", fit(order.stage, 40).rstrip()))
    return sheet(lines)


def study_status(console: "Console", row: StudyRow) -> RenderableType:
    """The status window of a study that has no order."""
    return sheet(
        [
            Field("Status", _state(console, row.glyph, row.plain_glyph, row.word)),
            Field("Content", f"{row.series} series, {row.instances:,} instances"),
            Field("Received", _when(console, row.received_at)),
            Field("Changed", _when(console, row.updated_at)),
            Text(),
            Text("No order yet; it is opened when the study is stable."),
        ]
    )
