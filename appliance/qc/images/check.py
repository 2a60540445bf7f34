"""What an image check is: one judgement on one converted series, with a picture where one says more than words."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.qc.check import SEVERITY
from appliance.qc.finding import Verdict
from appliance.qc.images.scan import Scan
from appliance.qc.images.thresholds import Thresholds
from appliance.qc.study import Series

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Look:
    """One series as the image checks see it."""

    series: Series
    scan: Scan
    sidecar: dict[str, Any] = field(default_factory=dict)
    """What the converter wrote beside the image."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One image check on one series."""

    verdict: Verdict
    found: str
    expected: str
    action: str = ""
    figure: float | None = None
    unit: str = ""
    picture: "NDArray[np.uint8] | None" = None
    """(rows, columns), or (rows, columns, 3)."""
    change: tuple[tuple[int, int, int], ...] = ()
    """The change of the gradient axes that would put them right."""
    before: float | None = None
    after: float | None = None
    """The figure of the table as it is, and after that change."""


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """One check."""

    name: str
    title: str
    documentation: str
    judge: Callable[[Look, Thresholds], Seen]
    picture: str
    """What its picture shows, in a sentence."""


def not_judged(why: str, expected: str) -> Seen:
    """A series that this check cannot say anything about."""
    return Seen(Verdict.NOT_APPLICABLE, why, expected)


def gravest(*verdicts: Verdict) -> Verdict:
    """The gravest of several."""
    return max(verdicts, key=SEVERITY.index)


def numbered(indices: "list[int]", most: int = 6) -> str:
    """`3, 7, 9 and 4 more`, counted from 1 as people do."""
    shown = ", ".join(str(index + 1) for index in indices[:most])
    return f"{shown} and {len(indices) - most} more" if len(indices) > most else shown
