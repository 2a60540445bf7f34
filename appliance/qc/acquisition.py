"""The scan was made as the product's protocol asks.

Field strength (T), repetition and echo time (ms), in-plane pixel spacing, slice thickness and gap (mm), slices, flip angle
(degrees) and b-values (s/mm2), each against limits of the manifest that warn or fail. A parameter that the header does
not state is a warning.
"""

from appliance.qc.check import SEVERITY, Judgement, graver
from appliance.qc.finding import Verdict
from appliance.qc.grouping import Volumes, volumes_of
from appliance.qc.protocol import LIMITED, Limit, Protocol
from appliance.qc.study import Series

NAME, TITLE = "protocol", "Acquisition protocol"

_WORDS = {
    "MagneticFieldStrength": ("field strength", "T"),
    "RepetitionTime": ("repetition time", "ms"),
    "EchoTime": ("echo time", "ms"),
    "PixelSpacing": ("pixel spacing", "mm"),
    "SliceThickness": ("slice thickness", "mm"),
    "Slices": ("slices", ""),
    "SpacingGap": ("gap between slices", "mm"),
    "FlipAngle": ("flip angle", "degrees"),
    "BValue": ("b-value", "s/mm2"),
}
_ROUNDING = 1e-3
"""Headers write 2 mm as 1.9999999; a value this little beyond a limit, in the limit's own unit, is still inside."""


def judge(series: Series, protocol: Protocol) -> Judgement:
    """All limited parameters of one series."""
    if not protocol.limits:
        return Judgement(Verdict.NOT_APPLICABLE, "The product sets no limits", "any acquisition")
    values = parameters(series, volumes_of(series))
    rows = [(name, values[name], protocol.limits[name]) for name in LIMITED if name in protocol.limits]
    judged = [(_verdict(found, limit), name, found, limit) for name, found, limit in rows]
    verdict = graver(one[0] for one in judged)
    if verdict is Verdict.PASSED:
        return Judgement(verdict, ", ".join(_told(name, found) for _, name, found, _ in judged), _asked(rows))
    outside = sorted((one for one in judged if one[0] is not Verdict.PASSED), key=lambda one: -SEVERITY.index(one[0]))
    return Judgement(
        verdict,
        ", ".join(_told(name, found) for _, name, found, _ in outside),
        _asked([(name, found, limit) for _, name, found, limit in outside]),
        "Set these parameters on the scanner as the product's protocol asks, and keep them locked there.",
    )


def parameters(series: Series, volumes: Volumes) -> dict[str, tuple[float, ...]]:
    """The lowest and the highest value of each parameter; empty where the header states none."""
    found = {name: values for name, values in series.parameters.items() if name in _WORDS}
    found["Slices"] = (float(volumes.slices),) if volumes.slices else ()
    found["BValue"] = tuple(
        one.gradient.b_value for one in volumes.volumes if one.gradient.weighted and one.gradient.b_value is not None
    )
    thickness = series.parameters.get("SliceThickness", ())
    spacing = (volumes.distance,) if volumes.distance else series.parameters.get("SpacingBetweenSlices", ())
    found["SpacingGap"] = tuple(round(one - thickness[0], 2) for one in spacing) if thickness else ()
    return {name: (min(found[name]), max(found[name])) if found.get(name) else () for name in LIMITED}


def _verdict(found: tuple[float, ...], limit: Limit) -> Verdict:
    if not found:
        return Verdict.WARNING
    low, high = found[0], found[-1]
    if _beyond(low, high, limit.fail_low, limit.fail_high):
        return Verdict.FAILED
    return Verdict.WARNING if _beyond(low, high, limit.warn_low, limit.warn_high) else Verdict.PASSED


def _beyond(low: float, high: float, least: float | None, most: float | None) -> bool:
    under = least is not None and low < least - _ROUNDING
    over = most is not None and high > most + _ROUNDING
    return under or over


def _told(name: str, found: tuple[float, ...]) -> str:
    word, unit = _WORDS[name]
    if not found:
        return f"{word} not stated"
    low, high = f"{found[0]:.6g}", f"{found[-1]:.6g}"
    return f"{word} {low if low == high else f'{low} to {high}'} {unit}".strip()


def _asked(rows: list[tuple[str, tuple[float, ...], Limit]]) -> str:
    return ", ".join(f"{_WORDS[name][0]} {_range(limit)} {_WORDS[name][1]}".strip() for name, _, limit in rows)


def _range(limit: Limit) -> str:
    """The narrower pair of limits in words."""
    low = limit.warn_low if limit.warn_low is not None else limit.fail_low
    high = limit.warn_high if limit.warn_high is not None else limit.fail_high
    if low is not None and high is not None:
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"
    if low is None and high is None:
        return "stated"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"
