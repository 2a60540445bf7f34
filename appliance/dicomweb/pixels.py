"""The stage that decodes: frames, pictures and uncompressed copies of one instance, made in a process of its own.

Decoders are given what strangers sent. One that crashes, hangs or asks for all memory ends its own process and no other.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from appliance.dicomweb.heads import DEFLATED
from appliance.dicomweb.retrieve import (
    MOST_FRAME_BYTES,
    NoPicture,
    NoSuchForm,
    NoSuchFrame,
    Unreadable,
    asked_frames,
    rewritten,
)
from appliance.foreign import FAULTS

ERRORS = {kind.code: kind for kind in (NoPicture, NoSuchForm, NoSuchFrame, Unreadable)}
"""What this stage may say, for whoever started it."""


class PixelsRequest(msgspec.Struct, kw_only=True, frozen=True):
    """What is to be made of one instance."""

    path: str
    kind: Literal["frames", "picture", "part10"]
    out_folder: str
    transfer_syntax: str = ""
    """As the records have it."""
    frames: list[int] = []
    """Counted from 1; none is the one in the middle, for a picture."""
    edge: int = 0
    """The longest edge of a picture; 0 leaves it as large as it is."""
    form: Literal["JPEG", "PNG"] = "JPEG"


class PixelsAnswer(msgspec.Struct, kw_only=True, frozen=True):
    """Files in the out-folder, in the order that was asked for."""

    files: list[str]


def run(request: PixelsRequest, progress: Callable[[float, str], None]) -> PixelsAnswer:
    """Makes what is asked for; raises one of `ERRORS`."""
    path, folder = Path(request.path), Path(request.out_folder)
    if request.kind == "part10":
        found = [rewritten(path)]
    else:
        dataset = _opened(path)
        most = int(dataset.get("NumberOfFrames") or 1)
        source = dataset if request.transfer_syntax == DEFLATED else path
        if request.kind == "picture":
            wanted = asked_frames(request.frames or [most // 2 + 1], most)
            found = [_picture(dataset, _decoded(source, one, raw=False), request) for one in wanted[:1]]
        else:
            found = [_decoded(source, one, raw=True).tobytes() for one in asked_frames(request.frames, most)]
    names = []
    for number, content in enumerate(found):
        names.append(f"{number:05d}")
        (folder / names[-1]).write_bytes(content)
    progress(1.0, request.kind)
    return PixelsAnswer(files=names)


def _picture(dataset: Any, array: Any, request: PixelsRequest) -> bytes:
    """One frame as JPEG or PNG with the window of its own grey values, unless the instance has one."""
    import numpy as np
    from PIL import Image
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    try:
        if array.ndim == 2:
            array = apply_voi_lut(apply_modality_lut(array, dataset), dataset).astype(np.float64)
            low, high = np.percentile(array, (0.5, 99.5))
            array = np.clip((array - low) / max(high - low, 1e-9), 0, 1) * 255
            if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
                array = 255 - array
        image = Image.fromarray(array.astype(np.uint8))
        if request.edge:
            image.thumbnail((request.edge, request.edge))
        written = io.BytesIO()
        image.save(written, format=request.form)
    except FAULTS:
        raise NoPicture() from None
    return written.getvalue()


def _opened(path: Path) -> Any:
    from pydicom import dcmread

    try:
        dataset: Any = dcmread(path, defer_size=1 << 20)
        size = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
        size *= max(1, int(dataset.BitsAllocated) // 8)
    except FAULTS:
        raise NoPicture() from None
    if not 0 < size <= MOST_FRAME_BYTES:
        raise NoPicture()
    return dataset


def _decoded(source: Any, number: int, *, raw: bool) -> Any:
    """One frame; read alone from a path, so that a long instance needs no more memory than a short one."""
    from pydicom.pixels.utils import pixel_array

    try:
        return pixel_array(source, index=number - 1, raw=raw)
    except MemoryError:
        raise
    except FAULTS:
        raise NoPicture() from None
