"""Diffusion-weighted images are there.

A diffusion series holds original images with a b-value of 50 s/mm2 or more, wherever its vendor writes that (Siemens mosaic
and enhanced, GE, Philips, UIH, Canon, standard enhanced). Maps that the scanner made of them (ADC, FA, colour FA, trace) are no
diffusion series. Fails when there is none.
"""

from appliance.qc.check import Given, counted
from appliance.qc.finding import Finding, Verdict
from appliance.qc.protocol import Protocols
from appliance.qc.study import B0_LIMIT, HeaderStudy

NAME, TITLE = "diffusion", "Diffusion series present"


def check(study: HeaderStudy, protocols: Protocols, _given: Given) -> Finding:
    """At least one original diffusion series, where a product wants one."""
    wanted = [product for product, protocol in protocols.items() if protocol.series == "diffusion"]
    weighted = [one for one in study.bundles if any(b >= B0_LIMIT for b in one.bvalues or ())]
    found = len(study.diffusion_series) + len(weighted)
    maps = sum(1 for series in study.mr_series if series.derived_maps)
    beside = f" ({counted(maps, 'series', 'series')} of computed maps left out)" if maps else ""
    missing = Verdict.FAILED if wanted else Verdict.NOT_APPLICABLE
    verdict = Verdict.PASSED if found and wanted else missing
    return Finding(
        check=NAME,
        title=TITLE,
        verdict=verdict,
        found=f"{counted(found, 'diffusion series', 'diffusion series')}{beside}",
        expected="at least one series of original diffusion-weighted images",
        action="" if verdict is not Verdict.FAILED else _action(maps),
        figure=float(found),
        unit="series",
    )


def _action(maps: int) -> str:
    if maps:
        return "Send the original diffusion series as well: maps such as ADC, FA or trace cannot be analysed."
    return (
        "Send the diffusion (DTI or DWI) series of the examination. If it was sent, the scanner or the archive has removed the "
        "b-values from its header: send it from the scanner, without removal of private elements."
    )
