"""From a processed or failed order to its report: content from rows, files from a stage, rows with the move."""

import asyncio
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import msgspec

from appliance import history, outgoing, sought
from appliance.events import ReportMade, StudyStable
from appliance.moments import iso, new_id
from appliance.products import catalogue
from appliance.products.manifest import ProductResult
from appliance.qc.finding import COMPLETENESS, Finding, Origin, QcReport, Verdict
from appliance.records import deliveries, events, orders, reports, studies
from appliance.records.orders import OrderRow, RunRow
from appliance.reports.content import (
    FAILURE_FORMATS,
    REPORT_FORMATS,
    Failure,
    PictureFile,
    ProductSection,
    QcRow,
    ReportContent,
    Row,
)
from appliance.searched import Searched, SearchedReport
from appliance.states import OrderState, RunState
from appliance.steps import LIGHT, Move, Work
from appliance.storage import publish_folder, remove_folder


async def report(work: Work) -> Move:
    """Every format of the report, its row and one row for each destination; to REPORTED."""
    content = await _content(work, "report")
    names = await outgoing.names(work.house.records, work.settings, work.row.study, "report")
    return await _made(work, content, REPORT_FORMATS, names, OrderState.REPORTED, {"delivery_failed": False})


async def failure_report(work: Work) -> Move:
    """The failure report of an order that ended without a result; the order stays FAILED."""
    row = work.row
    content = await _content(work, "failure")
    failure = Failure(code=row.code, what=row.detail, advice=_advice(row.code), stage=row.step)
    content = msgspec.structs.replace(content, failure=failure)
    names = await outgoing.names(work.house.records, work.settings, row.study, "failure")
    kept = {"code": row.code, "detail": row.detail}
    return await _made(work, content, FAILURE_FORMATS, names, OrderState.FAILED, kept)


async def _made(
    work: Work,
    content: ReportContent,
    formats: tuple[str, ...],
    destinations: list[str],
    to: OrderState,
    changes: dict[str, Any],
) -> Move:
    row, storage = work.row, work.house.storage
    kind: reports.Kind = "failure" if content.kind == "failure" else "report"
    final = storage.reports(row.study, row.study_version, row.id) / f"{content.kind}_v{content.version}"
    scratch = storage.scratch(row.id)
    draft = scratch / "out"
    await asyncio.to_thread(remove_folder, scratch)
    draft.mkdir(parents=True)
    request = SearchedReport(
        content=content,
        out_folder=str(draft),
        formats=list(formats),
        paper=work.settings.reports.paper,
        sought=await sought.of_study(work.house, work.settings, row.study, work.now),
    )
    try:
        answer = await work.stage("report", request, LIGHT, Searched, out_folder=draft)
        await asyncio.to_thread(publish_folder, draft, final)
    finally:
        await asyncio.to_thread(remove_folder, scratch)
    number = reports.NextVersion(version=content.version, supersedes=content.supersedes)

    async def writes() -> None:
        await reports.add(
            content.report,
            row.id,
            kind,
            number,
            content=msgspec.json.encode(content).decode(),
            formats=list(answer.files),
            folder=storage.relative(final),
            now=work.now,
            searched=msgspec.json.encode(answer.searched).decode(),
        )
        await deliveries.create(content.report, row.id, destinations, work.now)

    event = ReportMade(study=row.study, order=row.id, report=content.report, version=content.version)
    return Move(to, [event], changes, writes)


async def _content(work: Work, kind: reports.Kind) -> ReportContent:
    row = work.row
    study = await studies.get(row.study)
    number = await reports.next_version(row.id, kind)
    qc = msgspec.json.decode(row.qc_report, type=QcReport) if row.qc_report else None
    metadata = msgspec.json.decode(row.metadata or "{}", type=dict[str, Origin])
    age, sex = metadata.get("age", Origin()), metadata.get("sex", Origin())
    sections = [_section(work, run) for run in await orders.runs(row.id)] if kind == "report" else []
    return ReportContent(
        order=row.id,
        report=new_id(),
        version=number.version,
        supersedes=number.supersedes,
        kind=kind,
        study=row.study,
        study_version=row.study_version,
        made_at=iso(work.now),
        site=work.settings.reports.institution or work.settings.site.name,
        instances=study.instances,
        age=age.value,
        age_origin=age.origin,
        sex=sex.value,
        sex_origin=sex.origin,
        qc_verdict="bypassed" if row.bypass_by else row.qc_verdict,
        qc_rows=_qc_rows(qc, work.house.storage.quality(row.study, row.study_version, row.id)),
        caveats=[*_caveats(row, qc, metadata, sections), *await _forced(row)],
        sections=sections,
        earlier=await history.earlier(work.house, study, sections),
        provenance={"ranvier": installed_version("ranvier"), "study version": str(row.study_version)},
    )


def _section(work: Work, run: RunRow) -> ProductSection:
    if run.state is not RunState.DONE:
        manifest = catalogue(work.house.home).get(run.product)
        title = manifest.title if manifest else run.product
        failure = run.detail or "The run did not finish."
        return ProductSection(product=run.product, version=run.product_version, title=title, failure=failure)
    result = msgspec.json.decode(run.result, type=ProductResult)
    folder = work.house.storage.products(work.row.study, work.row.study_version, work.row.id, run.product)
    return ProductSection(
        product=result.product,
        version=result.version,
        title=result.title,
        intended_use=result.intended_use,
        rows=[Row(name=one.name, label=one.label, value=one.value, unit=one.unit, note=one.note) for one in result.values],
        pictures=[PictureFile(path=str(folder / one.file), title=one.title) for one in result.pictures],
        notes=result.notes,
        provenance=result.provenance,
    )


def _qc_rows(qc: QcReport | None, pictures: Path) -> list[QcRow]:
    if qc is None:
        return []
    return [
        QcRow(
            title=one.title,
            verdict=str(one.verdict),
            found=one.found,
            expected=one.expected,
            action=one.action,
            picture=str(pictures / one.picture) if one.picture else "",
            caption=one.caption,
        )
        for one in qc.findings
    ]


def _caveats(row: OrderRow, qc: QcReport | None, metadata: dict[str, Origin], sections: list[ProductSection]) -> list[str]:
    """What the reader must know before the numbers (RES-01)."""
    found = []
    if row.bypass_by:
        failed = [one.title for one in qc.findings if one.verdict is Verdict.FAILED] if qc else []
        found.append(f"Quality control failed ({', '.join(failed)}) and was bypassed by {row.bypass_by}: {row.bypass_reason}")
    if qc:
        off = [one.title for one in qc.findings if one.verdict is Verdict.BYPASSED]
        found += [f"Checks switched off: {', '.join(off)}."] if off else []
        found += [_incomplete(one) for one in qc.findings if one.check == COMPLETENESS and _in_doubt(one)]
        found += [
            f"The gradient table of series {one.number} was wrong ({one.words}) and was repaired for this analysis, agreed by "
            f"{one.consent}; fibre coherence {one.before:g} before, {one.after:g} after. The images were not changed."
            for one in qc.repairs
            if one.consent
        ]
    for name, origin in metadata.items():
        if origin.origin in ("form", "sidecar"):
            how = "contradicts the image header" if origin.contradicts else "was given by hand, not by the image header"
            found.append(f"The patient's {name} {how} (from {origin.origin}).")
    found += [f"{one.title} did not finish: {one.failure}" for one in sections if one.failure]
    if row.study_version > 1:
        found.append(f"This is version {row.study_version} of the study: instances came after an earlier report.")
    return found


def _in_doubt(finding: Finding) -> bool:
    return finding.verdict in (Verdict.WARNING, Verdict.FAILED)


def _incomplete(finding: Finding) -> str:
    """What its source said of the study; a source that could not tell has no figure."""
    if finding.figure is None:
        return f"Whether the study is complete is not known: {finding.found}."
    return f"The study is incomplete: {finding.found}."


async def _forced(row: OrderRow) -> list[str]:
    """Whether a person ended the wait for this version of the study: then nobody knows that all of it came."""
    told = await events.named((StudyStable.name(),), study=row.study)
    ends = [one.event for one in told]
    if any(isinstance(one, StudyStable) and one.forced and one.version == row.study_version for one in ends):
        return ["A person said that the study is complete before its quiet time had passed: instances may be missing."]
    return []


_ADVICE = {
    "nothing-to-process": "Check in the QC report which series were found, send the diffusion series and run the order again.",
    "unknown-product": "Install the product, or run the order again with an installed one.",
    "out-of-memory": "Raise the memory per order in Settings, Processing, and retry.",
    "stage-timed-out": "Give the stage more cores in Settings, Processing, and retry.",
    "stage-died": "Retry; if it ends so again, send the support bundle.",
}


def _advice(code: str) -> str:
    return _ADVICE.get(code, "Open the order in the console: it shows the history and what to do; then retry.")
