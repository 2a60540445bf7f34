"""A whole QC run: read the headers, ask every check, settle the metadata, choose each product's series."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from appliance.qc import age, nifti_files, sex
from appliance.qc.check import SEVERITY, Check, Given, Judged, Judgement, finding_of, graver
from appliance.qc.checks import CHECKS
from appliance.qc.edition import editions, with_edition
from appliance.qc.finding import Finding, Origin, QcReport, QcRequest, Verdict
from appliance.qc.headers import read_study
from appliance.qc.protocol import Protocol, Protocols, ProtocolUnknown, read_protocols
from appliance.qc.study import HeaderStudy, Series

_READING_SHARE = 0.9


def run(request: QcRequest, progress: Callable[[float, str], None]) -> QcReport:
    """Checks one study; raises `ProtocolUnknown` where a manifest asks what no check knows.

    What is wrong with a study is a finding, never an error. A switched-off check is bypassed and counts as passed.
    """
    protocols = {name: _whole(name, one) for name, one in read_protocols(request.protocols).items()}
    progress(0.0, "reading headers")
    study = read_study(request.files, lambda share: progress(share * _READING_SHARE, "reading headers"))
    study = replace(study, source=request.source)
    progress(_READING_SHARE, "checking")
    report = report_on(study, protocols, request.given, frozenset(request.switched_off))
    progress(1.0, "checked")
    return report


def _whole(product: str, protocol: Protocol) -> Protocol:
    if protocol.edition and protocol.edition not in editions():
        raise ProtocolUnknown(product=product, reason=f"there is no edition {protocol.edition!r}")
    return with_edition(protocol)


def report_on(study: HeaderStudy, protocols: Protocols, given: Given, switched_off: frozenset[str]) -> QcReport:
    """The report on headers that are already read."""
    given = _with_sidecar(study, given)
    judgements = _judgements(study, protocols, switched_off)
    accepted = {product: _accepted(study, product, judgements) for product in protocols}
    findings = [_finding(check, study, protocols, given, switched_off, judgements, accepted) for check in CHECKS]
    graver_than_passed = [one.verdict for one in findings if SEVERITY.index(one.verdict) > SEVERITY.index(Verdict.PASSED)]
    return QcReport(
        verdict=graver([Verdict.PASSED, *graver_than_passed]),
        findings=findings,
        inputs={product: _inputs(study, accepted[product]) for product in protocols},
        metadata={age.NAME: age.settle(study, given), sex.NAME: sex.settle(study, given)},
    )


def _with_sidecar(study: HeaderStudy, given: Given) -> Given:
    """What a person gave goes before a sidecar, and that before the header."""
    said = [one.sidecar for one in study.bundles if one.sidecar is not None]
    ages, sexes = [one.age for one in said if one.age], [one.sex for one in said if one.sex]
    offered = {
        name: Origin(value=values[0], origin="sidecar") for name, values in ((age.NAME, ages), (sex.NAME, sexes)) if values
    }
    return offered | {name: one for name, one in given.items() if one.value.strip()}


_Judgements = dict[tuple[str, str, str], Judgement]
"""By check, product and series."""


def _judgements(study: HeaderStudy, protocols: Protocols, switched_off: frozenset[str]) -> _Judgements:
    """What every active check of series says of every diffusion series, for every product."""
    return {
        (check.name, product, series.id): check.series(series, protocol)
        for check in CHECKS
        if check.series is not None and check.name not in switched_off
        for product, protocol in protocols.items()
        for series in study.diffusion_series
    }


def _accepted(study: HeaderStudy, product: str, judgements: _Judgements) -> frozenset[str]:
    """The diffusion series that no check fails for a product."""
    failed = {
        series
        for (_, judged_for, series), judgement in judgements.items()
        if judged_for == product and judgement.verdict is Verdict.FAILED
    }
    return frozenset(series.id for series in study.diffusion_series if series.id not in failed)


def _inputs(study: HeaderStudy, accepted: frozenset[str]) -> list[str]:
    """The series that a product gets: those that pass; where none does, all, for the person who bypasses the finding."""
    whole = [one.series for one in study.bundles if not nifti_files.problems(one)]
    return [series.id for series in study.diffusion_series if series.id in accepted or not accepted] + whole


def _finding(
    check: Check,
    study: HeaderStudy,
    protocols: Protocols,
    given: Given,
    switched_off: frozenset[str],
    judgements: _Judgements,
    accepted: dict[str, frozenset[str]],
) -> Finding:
    if check.name in switched_off:
        found, expected = "not looked at: an administrator switched this check off", "-"
        return Finding(check=check.name, title=check.title, verdict=Verdict.BYPASSED, found=found, expected=expected)
    if check.study is not None:
        return check.study(study, protocols, given)
    judged = [
        Judged(product, series, judgements[check.name, product, series.id], _role(series, accepted[product]))
        for product in protocols
        for series in study.diffusion_series
    ]
    if check.every_series:
        judged += _bystanders(check, study, protocols)
    return finding_of(check, judged)


def _role(series: Series, accepted: frozenset[str]) -> str:
    if series.id in accepted:
        return "input"
    return "left-out" if accepted else "candidate"


def _bystanders(check: Check, study: HeaderStudy, protocols: Protocols) -> Iterable[Judged]:
    """The other series; where there is no diffusion series they are all that a check of files can look at."""
    protocol = next(iter(protocols.values()), None)
    if protocol is None or check.series is None:
        return []
    role = "bystander" if study.diffusion_series else "candidate"
    return [
        Judged("", series, check.series(series, protocol), role)
        for series in study.series
        if series not in study.diffusion_series and (series.images or series.unreadable)
    ]
