"""MR images are there at all.

Fails when the study holds no readable MR, enhanced MR or legacy converted enhanced MR image. Reports, presentation states,
screen shots and images of other modalities do not count.
"""

from appliance.qc.check import Given, counted
from appliance.qc.finding import Finding, Verdict
from appliance.qc.protocol import Protocols
from appliance.qc.study import HeaderStudy

NAME, TITLE = "mr-series", "MR series present"


def check(study: HeaderStudy, _protocols: Protocols, _given: Given) -> Finding:
    """At least one series with MR images."""
    if study.bundles and not study.series:
        came = f"{counted(len(study.bundles), 'NIfTI image')} instead of DICOM"
        return Finding(check=NAME, title=TITLE, verdict=Verdict.NOT_APPLICABLE, found=came, expected="at least one MR series")
    images = sum(len(series.images) for series in study.mr_series)
    rest = len(study.series) - len(study.mr_series)
    without = f", {rest} other series without MR images" if rest else ""
    return Finding(
        check=NAME,
        title=TITLE,
        verdict=Verdict.PASSED if images else Verdict.FAILED,
        found=f"{len(study.mr_series)} MR series with {counted(images, 'image')}{without}",
        expected="at least one MR series",
        action="" if images else "Send the MR examination itself, not its reports or images of another modality.",
        figure=float(len(study.mr_series)),
        unit="series",
    )
