"""The page on quality control: the checks in their own words, the images' limits, the protocol's editions; see `tables`."""

import inspect
from collections.abc import Iterable
from pathlib import Path

from appliance.qc.checks import CHECKS
from appliance.qc.edition import editions
from appliance.qc.images import conversion, thresholds
from appliance.qc.images.checks import IMAGE_CHECKS
from appliance.qc.protocol import LIMITED

INTRODUCTION = """# Quality control

Each check says what it found, what was expected and what to do. A check can be switched off in Settings (its name
goes to `qc.switched_off`): it then shows as bypassed and counts as passed. An administrator can let one study
through with a reason: `b` in the console, `ranvier orders bypass ORDER --reason TEXT`, or the API. The report names who did,
and why, on its first page.

The findings stand in the console (`e`), in `ranvier orders qc ORDER`, at `/api/orders/ORDER/qc`, and in every report. Checks of
images have pictures: below the finding in the console (`v` saves them), in the PDF, by
`ranvier orders qc ORDER --pictures FOLDER`, and at the address that the finding names.
"""

GRADIENTS = """## A wrong gradient table

A table whose axes are flipped or exchanged gives wrong fibres and maps that look right. The check tries all 24 changes and
proposes the one under which fibres run on best. Where the gain is clear the study stops; where it is small it goes on with a
warning. An administrator agrees to the repair: `D` in the console, `ranvier orders repair ORDER`, or
`POST /api/orders/ORDER/repair-gradients`; the setting `qc.repair_gradients` agrees to clear ones beforehand. The images stay as
they were received. The report says what was changed, who agreed, and the coherence of the fibres before and after. An order
that has its report already keeps it; the repair then goes with a new order on the same study.
"""

LIMITS = """## Limits of the image checks

The limits stand between what good scans show and what planted defects show, and are data.
The good scans are of Siemens (E11 and XA30), Philips, Canon and UIH; the other one is of Philips, with 32 directions.

| figure | five good scans | a scan with a restless patient | warns at |
|---|---|---|---|
| interleave, ratio | 1.01 to 1.13 | 1.03 | 1.25 |
| darkest slice lacks | 10 to 35 % | 20 % | 42 % |
| translation | 0.2 to 0.7 mm | 3.8 mm (a true warning) | 2 mm |
| rotation | 0.4 to 0.9 degrees | 2.4 degrees (a true warning) | 2 degrees |
| along phase encoding | 0.2 to 3.6 mm | 2.9 mm | 5 mm |
| signal to noise | 41 to 68 | 19 | 8 |
| contrast to noise | 3.5 to 5.5 | 2.0 | 1 |
| cut at an end | 29 to 47 %; UIH 93 % (20 slices, a true warning) | 39 % | 60 % |
| gain of another gradient table | 1.00 | 1.00 | 1.03 |

They were chosen on these six scans, which is few, and no radiologist has judged the scans. What they were not fitted to raises
no false alarm either: a synthetic series of four weightings (only its cut-off top, which is true), and phantoms of other
noise, size and directions. A phantom scan of GE, whose volumes are copies of each other, is refused as such. A site that knows
its scanners should watch the figures in its reports for a while before it relies on a limit.
"""


def page() -> str:
    """The whole page."""
    images = [(conversion.NAME, conversion.TITLE, inspect.cleandoc(conversion.__doc__ or ""))]
    images += [(check.name, check.title, check.documentation) for check in IMAGE_CHECKS]
    every = [*((check.name, check.title, check.documentation) for check in CHECKS), *images]
    numbers = Path(thresholds.__file__).with_suffix(".toml").read_text().strip()
    return "\n".join(
        [
            INTRODUCTION,
            _table(("check", "name"), ([title, f"`{name}`"] for name, title, _ in every)),
            *(f"## {title} (`{name}`)\n\n{documentation}\n" for name, title, documentation in every),
            GRADIENTS,
            LIMITS,
            f"```toml\n{numbers}\n```\n",
            "## Editions of the acquisition protocol\n",
            "`qc.protocol_edition` holds every product to a published edition: outside the first range is a warning, outside",
            "the second a failure; units as in DICOM (T, ms, mm, degrees, s/mm2). What a product's manifest limits goes before",
            "it. `qc.study_description` and `qc.series_description` ask for descriptions where a product asks for none.\n",
            _table(("parameter", *editions()), _edition_rows()),
        ]
    )


def _edition_rows() -> Iterable[list[str]]:
    for name in LIMITED:
        limits = [edition.limits[name] for edition in editions().values()]
        yield [name, *(f"{_range(one.warn_low, one.warn_high)}; {_range(one.fail_low, one.fail_high)}" for one in limits)]
    every = editions().values()
    yield ["b=0 images", *(f"{one.recommended_b0} or more; {one.minimum_b0} or more" for one in every)]
    yield ["directions", *(f"{one.recommended_directions} or more; {one.minimum_directions} or more" for one in every)]


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at most {high:g}" if high is not None else f"{low or 0:g} or more"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
