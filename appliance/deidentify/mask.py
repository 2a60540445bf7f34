"""Blackens regions of the pixels in files that the engine has written (PS3.15, E.3.1: Clean Pixel Data Option)."""

import os
from collections.abc import Sequence
from pathlib import Path

from appliance.deidentify.errors import NotMaskable
from appliance.deidentify.passport import MaskedRegion

NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
"""Transfer syntaxes whose pixels can be changed in place."""


def blacken(path: Path, regions: Sequence[MaskedRegion]) -> None:
    """Writes zeros over some regions of one file, in place; raises `NotMaskable` for compressed pixels."""
    import numpy as np
    import pydicom

    with path.open("rb") as stream:
        dataset = pydicom.dcmread(stream)
    if dataset.file_meta.TransferSyntaxUID not in NATIVE or "PixelData" not in dataset:
        raise NotMaskable(instance=regions[0].instance)
    start = int(getattr(dataset.get_item("PixelData"), "value_tell", 0) or 0)
    samples, bits = int(dataset.get("SamplesPerPixel", 1)), int(dataset.BitsAllocated)
    frames, rows, columns = int(dataset.get("NumberOfFrames", 1) or 1), int(dataset.Rows), int(dataset.Columns)
    if bits % 8 or not start:
        raise NotMaskable(instance=regions[0].instance)
    size = bits // 8
    planes = samples > 1 and int(dataset.get("PlanarConfiguration", 0)) == 1
    shape = (frames, samples, rows, columns, size) if planes else (frames, 1, rows, columns, samples * size)
    with open(os.open(path, os.O_RDWR | os.O_CLOEXEC), "r+b") as stream:
        pixels = np.memmap(stream, dtype=np.uint8, mode="r+", offset=start, shape=shape)
        for one in regions:
            pixels[one.frame, :, one.top : one.bottom, one.left : one.right] = 0
        pixels.flush()
