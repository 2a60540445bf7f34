"""Every file can be read, and its pixel data are as long as its header says.

Fails for files that are no DICOM, have a damaged or cut-off header, have no pixel data, or have pixel data shorter or longer
than rows, columns and frames say. Nothing is decoded.
"""

from collections import Counter

from appliance.qc.check import Judgement, counted
from appliance.qc.finding import Verdict
from appliance.qc.protocol import Protocol
from appliance.qc.study import Series

NAME, TITLE = "readable", "Files readable"
_EXPECTED = "every file complete and readable"


def judge(series: Series, _protocol: Protocol) -> Judgement:
    """All files of one series."""
    reasons = Counter([*series.unreadable, *(image.fault for image in series.images if image.fault)])
    files = len(series.images) + series.others + len(series.unreadable)
    broken = reasons.total()
    if not broken:
        return Judgement(Verdict.PASSED, f"{counted(files, 'file')} read", _EXPECTED, figure=0.0, unit="files")
    told = ", ".join(f"{many} because {reason}" for reason, many in reasons.most_common(3))
    return Judgement(
        Verdict.FAILED,
        f"{broken} of {counted(files, 'file')} not usable: {told}",
        _EXPECTED,
        "Send the study again from the scanner or the archive; if the same files fail again, they are damaged there.",
        float(broken),
        "files",
    )
