"""Every check of the header side, in the order in which a report shows them.

To add one: a file with `NAME`, `TITLE`, a docstring that is its documentation, and `check` (one answer for the study) or
`judge` (one answer a series); then one entry here. Toggle, report row, console, API and documentation follow from it.
"""

import inspect

from appliance.qc import (
    acquisition,
    age,
    completeness,
    descriptions,
    diffusion,
    gradients,
    lossless,
    mr_series,
    nifti_files,
    readable,
    sex,
    volumes,
)
from appliance.qc.check import Check, Concern


def _documentation(docstring: str | None) -> str:
    return inspect.cleandoc(docstring or "")


CHECKS: tuple[Check, ...] = (
    Check(completeness.NAME, completeness.TITLE, _documentation(completeness.__doc__), study=completeness.check),
    Check(mr_series.NAME, mr_series.TITLE, _documentation(mr_series.__doc__), study=mr_series.check),
    Check(nifti_files.NAME, nifti_files.TITLE, _documentation(nifti_files.__doc__), study=nifti_files.check),
    Check(
        readable.NAME,
        readable.TITLE,
        _documentation(readable.__doc__),
        series=readable.judge,
        concern=Concern.INTEGRITY,
        every_series=True,
    ),
    Check(
        lossless.NAME,
        lossless.TITLE,
        _documentation(lossless.__doc__),
        series=lossless.judge,
        concern=Concern.INTEGRITY,
        every_series=True,
    ),
    Check(diffusion.NAME, diffusion.TITLE, _documentation(diffusion.__doc__), study=diffusion.check),
    Check(age.NAME, age.TITLE, _documentation(age.__doc__), study=age.check),
    Check(sex.NAME, sex.TITLE, _documentation(sex.__doc__), study=sex.check),
    Check(descriptions.NAME, descriptions.TITLE, _documentation(descriptions.__doc__), series=descriptions.judge),
    Check(volumes.NAME, volumes.TITLE, _documentation(volumes.__doc__), series=volumes.judge, concern=Concern.INTEGRITY),
    Check(gradients.NAME, gradients.TITLE, _documentation(gradients.__doc__), series=gradients.judge),
    Check(acquisition.NAME, acquisition.TITLE, _documentation(acquisition.__doc__), series=acquisition.judge),
)
