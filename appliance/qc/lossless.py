"""No image was ever compressed with loss.

Two things are looked at, and neither is enough by itself: the transfer syntax must be one without loss, and Lossy Image
Compression (0028,2110) must not say that the pixels were compressed with loss earlier. Where a syntax allows both (JPEG 2000,
HTJ2K), the code stream's own wavelet decides.
"""

from collections import Counter

from appliance.qc.check import Judgement, counted
from appliance.qc.finding import Verdict
from appliance.qc.protocol import Protocol
from appliance.qc.study import Image, Series

NAME, TITLE = "lossless", "Lossless images"
_EXPECTED = "no lossy compression, now or earlier"

_BASE = "1.2.840.10008.1.2"
WITHOUT_LOSS = frozenset(
    {_BASE, f"{_BASE}.1", f"{_BASE}.2", f"{_BASE}.1.99", f"{_BASE}.5", f"{_BASE}.1.98"}
    | {f"{_BASE}.4.{end}" for end in ("57", "70", "80", "90", "92", "110", "201", "202")}
)
"""Uncompressed, deflated, RLE, and the lossless ones of JPEG, JPEG-LS, JPEG 2000, JPEG XL and HTJ2K (PS3.5 section 10)."""

EITHER = frozenset({f"{_BASE}.4.91", f"{_BASE}.4.93", f"{_BASE}.4.203"})
"""JPEG 2000 and HTJ2K, with or without loss."""

_KINDS = {
    f"{_BASE}.4.50": "JPEG baseline",
    f"{_BASE}.4.51": "JPEG extended",
    f"{_BASE}.4.81": "JPEG-LS near-lossless",
    f"{_BASE}.4.91": "JPEG 2000 lossy",
    f"{_BASE}.4.93": "JPEG 2000 lossy",
    f"{_BASE}.4.203": "HTJ2K lossy",
}


def loss(image: Image) -> str:
    """Why an image has lost something; empty when it has not."""
    if image.transfer_syntax not in WITHOUT_LOSS | EITHER:
        return _KINDS.get(image.transfer_syntax, "a transfer syntax that is not known to be lossless")
    if image.irreversible:
        return _KINDS.get(image.transfer_syntax, "an irreversible wavelet")
    return "lossy compression earlier (0028,2110)" if image.lossy_history else ""


def judge(series: Series, _protocol: Protocol) -> Judgement:
    """All images of one series."""
    losses = Counter(reason for reason in map(loss, series.images) if reason)
    if not losses:
        return Judgement(
            Verdict.PASSED, f"{counted(len(series.images), 'image')} without loss", _EXPECTED, figure=0.0, unit="images"
        )
    return Judgement(
        Verdict.FAILED,
        f"{losses.total()} of {counted(len(series.images), 'image')} compressed with loss: {', '.join(sorted(losses))}",
        _EXPECTED,
        "Send the images uncompressed from the scanner; on the archive, choose none or lossless compression for this route.",
        float(losses.total()),
        "images",
    )
