"""The image stage: converts the input series, looks at them, and puts what it finds behind the headers' findings."""

import importlib
import shutil
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.qc.check import SEVERITY, Check, Concern, Judged, Judgement, finding_of, graver
from appliance.qc.finding import Finding, GradientRepair, QcImagesRequest, QcReport, SeriesFile, Verdict
from appliance.qc.headers import read_study
from appliance.qc.images import conversion, gradient_table
from appliance.qc.images.check import Look, Seen, not_judged
from appliance.qc.images.checks import IMAGE_CHECKS
from appliance.qc.images.coherence import words
from appliance.qc.images.convert import convert
from appliance.qc.images.nifti import Volumes
from appliance.qc.images.picture import write
from appliance.qc.images.scan import read_scan, read_table
from appliance.qc.images.thresholds import thresholds
from appliance.qc.study import Series

CONVERSION_TIMEOUT_S = 1800.0
ALL_CHECKS: tuple[tuple[str, str], ...] = (
    (conversion.NAME, conversion.TITLE),
    *((check.name, check.title) for check in IMAGE_CHECKS),
)
"""Name and title of every image check, in order."""

_CAPTIONS = {check.name: check.picture for check in IMAGE_CHECKS}

Progress = Callable[[float, str], None]
_NO_PICTURE_OF_A_PASS = frozenset({"image-interleave", "image-slices", "gradient-tags"})


class _Looked(NamedTuple):
    series: Series
    seen: dict[str, Seen]


def run(request: QcImagesRequest, progress: Progress) -> QcReport:
    """The report of the headers, with a finding for each image check behind it.

    What is wrong with the images is a finding, never an error; raises `ConversionTimedOut`.
    """
    off = frozenset(request.switched_off)
    work = Path(request.out_folder).with_name("work")
    by_series: dict[str, list[SeriesFile]] = {}
    for file in request.files:
        by_series.setdefault(file.series, []).append(file)
    looked: list[_Looked] = []
    if not off.issuperset(name for name, _ in ALL_CHECKS):
        for number, files in enumerate(by_series.values()):
            begin, share = number / len(by_series), 1 / len(by_series)
            try:
                looked.append(_look(files, work, off, _part(progress, begin, share)))
            finally:
                shutil.rmtree(work, ignore_errors=True)
    repairs = _repairs(looked, request.consent)
    looked = [_agreed(one, repairs) for one in looked]
    inputs = {product: _inputs(series, looked) for product, series in request.report.inputs.items()}
    findings = [*request.report.findings, *_findings(looked, request.report.inputs, inputs, off, Path(request.out_folder))]
    worse_than_passed = [one.verdict for one in findings if SEVERITY.index(one.verdict) > SEVERITY.index(Verdict.PASSED)]
    progress(1.0, "images checked")
    return msgspec.structs.replace(
        request.report,
        verdict=graver([Verdict.PASSED, *worse_than_passed]),
        findings=findings,
        inputs=inputs,
        repairs=repairs,
        thresholds=thresholds().version if looked else "",
    )


def _part(progress: Progress, begin: float, share: float) -> Progress:
    return lambda inner, step: progress(begin + share * inner, step)


def _look(files: list[SeriesFile], work: Path, off: frozenset[str], progress: Progress) -> _Looked:
    """One series through all checks that are not switched off."""
    progress(0.0, "converting images")
    with ThreadPoolExecutor(1) as beside:
        # The converter is a process of its own: while it works, this one reads the headers and loads what it will need.
        converting = beside.submit(convert, files, work, CONVERSION_TIMEOUT_S)
        series = next(iter(read_study(files, lambda _share: None).series), Series(id=files[0].series))
        importlib.import_module("scipy.ndimage")
    try:
        converted = converting.result()
        table = read_table(converted.bvalues, converted.bvectors) if converted else None
        if converted is None or table is None:
            return _Looked(series, _only(conversion.nothing()))
        volumes = Volumes(converted.image).count
        if volumes != len(table[0]):
            return _Looked(series, _only(conversion.uneven(volumes, len(table[0]))))
        progress(0.3, "reading images")
        look = Look(series, read_scan(converted.image, *table), converted.sidecar)
    except (OSError, EOFError, ValueError, zlib.error):
        # An image that came as NIfTI can end anywhere; what the converter makes is whole.
        return _Looked(series, _only(conversion.nothing()))
    seen = {conversion.NAME: conversion.judge(series, volumes)}
    for number, check in enumerate(IMAGE_CHECKS):
        progress(0.5 + 0.5 * number / len(IMAGE_CHECKS), check.title)
        if check.name not in off:
            seen[check.name] = check.judge(look, thresholds())
    return _Looked(series, seen)


def _only(failed: Seen) -> dict[str, Seen]:
    others = {check.name: not_judged("not converted", "-") for check in IMAGE_CHECKS}
    return {conversion.NAME: failed, **others}


def _repairs(looked: Iterable[_Looked], consent: dict[str, str]) -> list[GradientRepair]:
    found = []
    for series, seen in looked:
        table = seen.get(gradient_table.NAME)
        if table is None or not table.change:
            continue
        found.append(
            GradientRepair(
                series=series.id,
                number=series.number,
                change=table.change,
                words=words(gradient_table.as_change(table.change)),
                before=table.before or 0.0,
                after=table.after or 0.0,
                consent=consent.get(series.id, "") or (consent.get("*", "") if table.verdict is Verdict.FAILED else ""),
            )
        )
    return found


def _agreed(looked: _Looked, repairs: list[GradientRepair]) -> _Looked:
    """A table that is repaired with consent is worth a warning, not a stop."""
    repair = next((one for one in repairs if one.series == looked.series.id and one.consent), None)
    if repair is None:
        return looked
    table = looked.seen[gradient_table.NAME]
    found = f"{table.found}; repaired for the analysis, agreed by {repair.consent}"
    return looked._replace(seen=looked.seen | {gradient_table.NAME: _as_warning(table, found)})


def _as_warning(seen: Seen, found: str) -> Seen:
    action = "Find out what changed the table: a converter, an archive, or images turned after the scan."
    return Seen(Verdict.WARNING, found, seen.expected, action, seen.figure, seen.unit, seen.picture)


def _failed(one: _Looked) -> bool:
    return any(seen.verdict is Verdict.FAILED for seen in one.seen.values())


def _inputs(series: list[str], looked: list[_Looked]) -> list[str]:
    """The series that no image check fails; where there is none, all, for the person who bypasses the finding."""
    bad = {one.series.id for one in looked if _failed(one)}
    return [one for one in series if one not in bad] or series


def _findings(
    looked: list[_Looked], asked: dict[str, list[str]], inputs: dict[str, list[str]], off: frozenset[str], folder: Path
) -> Iterable[Finding]:
    for name, title in ALL_CHECKS:
        if name in off:
            found, expected = "not looked at: an administrator switched this check off", "-"
            yield Finding(check=name, title=title, verdict=Verdict.BYPASSED, found=found, expected=expected)
            continue
        judged = [
            Judged(product, one.series, _plain(one.seen[name]), _role(one, inputs[product], looked, product, asked))
            for product in asked
            for one in looked
            if one.series.id in asked[product]
        ]
        finding = finding_of(Check(name, title, "", concern=Concern.INTEGRITY), judged)
        picture = _pictured(name, finding.verdict, looked, folder)
        yield msgspec.structs.replace(finding, picture=picture, caption=_CAPTIONS[name] if picture else "")


def _role(one: _Looked, inputs: list[str], looked: list[_Looked], product: str, asked: dict[str, list[str]]) -> str:
    if not _failed(one):
        return "input"
    others_fit = any(not _failed(other) and other.series.id in asked[product] for other in looked)
    return "left-out" if others_fit and one.series.id not in inputs else "candidate"


def _plain(seen: Seen) -> Judgement:
    return Judgement(seen.verdict, seen.found, seen.expected, seen.action, seen.figure, seen.unit)


def _pictured(name: str, verdict: Verdict, looked: list[_Looked], folder: Path) -> str:
    """Writes the picture of the gravest series and gives its name; empty where there is none."""
    if verdict is Verdict.PASSED and name in _NO_PICTURE_OF_A_PASS:
        return ""
    ranked = sorted(looked, key=lambda one: -SEVERITY.index(one.seen[name].verdict))
    for one in ranked:
        picture = one.seen[name].picture
        if picture is not None:
            file = f"{name}.png"
            write(folder / file, picture)
            return file
    return ""
