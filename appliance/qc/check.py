"""What a check is, and how its judgements on single series become one finding.

A check of the whole study answers with a `Finding`. A check of one series answers with a `Judgement` for each series and
product; a series that does not fit is left out as long as another one fits, so that a repeated or a second kind of
diffusion scan does not stop a good study.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from appliance.qc.finding import Finding, Origin, Verdict
from appliance.qc.protocol import Protocol, Protocols
from appliance.qc.study import HeaderStudy, Series

Given = Mapping[str, Origin]

SEVERITY = (Verdict.NOT_APPLICABLE, Verdict.BYPASSED, Verdict.PASSED, Verdict.WARNING, Verdict.FAILED)
"""From the mildest to the gravest."""

_MOST_PARTS = 6


class Concern(Enum):
    """What it means when one series fails a check and another one of the study is used instead."""

    SUITABILITY = "suitability"
    """The series is another kind of scan; it is only mentioned."""
    INTEGRITY = "integrity"
    """The right kind of scan is damaged; that is worth a warning."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One check on one series."""

    verdict: Verdict
    found: str
    expected: str
    action: str = ""
    figure: float | None = None
    unit: str = ""


StudyCheck = Callable[[HeaderStudy, Protocols, Given], Finding]
SeriesCheck = Callable[[Series, Protocol], Judgement]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: either `study` or `series` is set."""

    name: str
    title: str
    documentation: str
    study: StudyCheck | None = None
    series: SeriesCheck | None = None
    concern: Concern = Concern.SUITABILITY
    every_series: bool = False
    """Also asked of the MR series that no product gets; what is wrong there is a warning at most."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement with whom it is about."""

    product: str
    series: Series
    judgement: Judgement
    role: str
    """`input` (the product gets it), `left-out` (another series is used), `candidate` (none fits), `bystander`."""


def graver(verdicts: Iterable[Verdict]) -> Verdict:
    """The gravest verdict; not applicable where there is none."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.NOT_APPLICABLE)


def finding_of(check: Check, judged: Sequence[Judged]) -> Finding:
    """One finding out of all judgements of a check."""
    weighed = [(_weight(check, one), one) for one in judged]
    if not weighed:
        return Finding(
            check=check.name,
            title=check.title,
            verdict=Verdict.NOT_APPLICABLE,
            found="There is no series to look at",
            expected="-",
        )
    verdict = graver(weight for weight, _ in weighed)
    decisive = next(one.judgement for weight, one in weighed if weight is verdict)
    return Finding(
        check=check.name,
        title=check.title,
        verdict=verdict,
        found=_sentence(weighed),
        expected=_told_apart([(one, one.judgement.expected) for _, one in weighed]),
        action=decisive.action if verdict in (Verdict.WARNING, Verdict.FAILED) else "",
        figure=decisive.figure,
        unit=decisive.unit,
    )


def _weight(check: Check, one: Judged) -> Verdict:
    """How much a judgement counts, given what becomes of the series."""
    verdict = one.judgement.verdict
    if one.role in ("input", "candidate"):
        return verdict
    if verdict is not Verdict.FAILED:
        return Verdict.PASSED if verdict is Verdict.WARNING else verdict
    if one.role == "left-out" and check.concern is Concern.SUITABILITY:
        return Verdict.PASSED
    return Verdict.WARNING


def _sentence(weighed: Sequence[tuple[Verdict, Judged]]) -> str:
    """What was found, the gravest first; series and product are named where more than one differs."""
    several = len({one.series.id for _, one in weighed}) > 1
    products = {one.product for _, one in weighed if one.product}
    told: dict[str, set[str]] = {}
    quiet: set[str] = set()
    for weight, one in sorted(weighed, key=lambda pair: -SEVERITY.index(pair[0])):
        if one.role == "bystander" and weight is Verdict.PASSED:
            quiet.add(one.series.id)
            continue
        left_out = one.role == "left-out" and one.judgement.verdict is Verdict.FAILED
        place = f"{_label(one.series)}: " if several else ""
        told.setdefault(f"{place}{one.judgement.found}{' (not used)' if left_out else ''}", set()).add(one.product)
    parts = [
        text if not asked - {""} or asked >= products else f"for {', '.join(sorted(asked))}: {text}"
        for text, asked in told.items()
    ]
    more = [f"and {len(parts) - _MOST_PARTS} more"] if len(parts) > _MOST_PARTS else []
    rest = [f"{counted(len(quiet), 'other series', 'other series')} without fault"] if quiet else []
    return "; ".join([*parts[:_MOST_PARTS], *more, *rest])


def _told_apart(texts: Sequence[tuple[Judged, str]]) -> str:
    """What each product expects, said once where they agree."""
    distinct = list(dict.fromkeys(text for _, text in texts))
    if len(distinct) == 1:
        return distinct[0]
    return "; ".join(dict.fromkeys(f"{one.product}: {text}" for one, text in texts if one.product))


def _label(series: Series) -> str:
    return f"series {series.number}" if series.number is not None else "a series without number"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 image`, `3 images`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
