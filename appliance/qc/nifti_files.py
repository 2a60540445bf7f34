"""Each NIfTI series is whole: image, b-values, directions and sidecar, all for the same number of volumes.

For studies that come as NIfTI. Fails when one of the four files (`.nii` or `.nii.gz`, `.bval`, `.bvec`, `.json`) is missing or
there twice, cannot be read, or speaks of another number of volumes than the image. Age and sex are taken from the sidecar in
each of its three spellings.
"""

from appliance.qc.bundle import PARTS, Bundle
from appliance.qc.check import Given, counted
from appliance.qc.finding import Finding, Verdict
from appliance.qc.protocol import Protocols
from appliance.qc.study import HeaderStudy

NAME, TITLE = "nifti-files", "NIfTI files complete"
_EXPECTED = "an image with .bval, .bvec and .json of the same name, all for the same number of volumes"


def problems(bundle: Bundle) -> list[str]:
    """What is wrong with one series; empty when nothing is."""
    missing = [part for part in PARTS if part not in bundle.parts]
    found = [f"{', '.join(missing)} missing"] if missing else []
    found += [f"{part} there more than once" for part in PARTS if part in bundle.repeated]
    unreadable = [
        part
        for part, read in zip(PARTS, (bundle.volumes, bundle.bvalues, bundle.directions, bundle.sidecar), strict=True)
        if part in bundle.parts and read is None
    ]
    found += [f"{', '.join(unreadable)} not readable"] if unreadable else []
    counts = ((".bval", len(bundle.bvalues or ()), bundle.bvalues), (".bvec", bundle.directions, bundle.directions))
    if bundle.volumes is not None:
        wrong = [f"{part} has {many}" for part, many, read in counts if read is not None and many != bundle.volumes]
        found += [f"{counted(bundle.volumes, 'volume')}, but {' and '.join(wrong)}"] if wrong else []
    return found


def check(study: HeaderStudy, _protocols: Protocols, _given: Given) -> Finding:
    """All NIfTI series of the study."""
    if not study.bundles:
        found, verdict, action = "the study came as DICOM", Verdict.NOT_APPLICABLE, ""
    else:
        faults = {number: problems(bundle) for number, bundle in enumerate(study.bundles, 1)}
        told = [f"image {number}: {', '.join(one)}" for number, one in faults.items() if one]
        whole = f"{counted(len(study.bundles), 'image')} with all files"
        verdict, found = (Verdict.FAILED, "; ".join(told)) if told else (Verdict.PASSED, whole)
        action = "Send the four files of the conversion together and unchanged, under one name." if told else ""
    return Finding(check=NAME, title=TITLE, verdict=verdict, found=found, expected=_EXPECTED, action=action)
