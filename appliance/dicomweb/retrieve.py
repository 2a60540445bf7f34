"""WADO-RS (PS3.18 section 10.4): instances as they are held, their metadata, frames, and pictures of them."""

import io
from pathlib import Path
from typing import Any, Literal

from appliance.dicomweb.answers import Answer
from appliance.dicomweb.search import World
from appliance.errors import Rejected, Unknown
from appliance.records import web
from appliance.records.web import Held

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
MOST_INSTANCES = 100_000
MOST_FRAME_BYTES = 128 << 20
THUMBNAIL = 128
_PIXELS = ("7FE00008", "7FE00009", "7FE00010")
_INLINE_BYTES = 1_024
_FOREIGN_FAULTS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What readers and decoders are known to raise on what is no good image."""


class NoSuchForm(Rejected):
    """What is held cannot be given in a form that was asked for."""

    code = "no-such-form"
    next_step = "Ask with transfer-syntax=*, or for application/octet-stream frames, or for image/png."


class NoPicture(Rejected):
    """This instance has no image that can be shown."""

    code = "no-picture"
    next_step = "Fetch the instance itself."


class NoSuchFrame(Rejected):
    """This instance has no frame of that number."""

    code = "no-such-frame"
    next_step = "Frames are counted from 1; Number of Frames stands in the metadata."


async def held(world: World, study_uid: str, series_uid: str = "", sop_uid: str = "") -> list[Held]:
    """The instances that an address names, in order of arrival; raises `Unknown` when none is held."""
    study = await web.study_of(world.keys.digest("study-uid", study_uid))
    series = ""
    if study and series_uid:
        series = await web.series_of(study, world.keys.digest("series-uid", series_uid))
    if not study or (series_uid and not series):
        raise Unknown(kind="study or series")
    sop_key = world.keys.digest("sop-uid", sop_uid) if sop_uid else ""
    found = await web.instances(study=study, series=series, sop_key=sop_key, limit=MOST_INSTANCES)
    if not found:
        raise Unknown(kind="instance")
    return found


def part10(root: Path, one: Held, syntax: str) -> bytes:
    """The Part 10 file: as it is held (`*` or its own syntax), or in Explicit VR Little Endian; raises `NoSuchForm`."""
    if syntax in ("*", one.transfer_syntax):
        return (root / one.path).read_bytes()
    if syntax not in ("", EXPLICIT_LITTLE):
        raise NoSuchForm()
    from pydicom import dcmread

    try:
        dataset = dcmread(root / one.path)
        if dataset.file_meta.TransferSyntaxUID.is_compressed and "PixelData" in dataset:
            dataset.decompress(generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE  # type: ignore[assignment]
        written = io.BytesIO()
        dataset.save_as(written, implicit_vr=False, little_endian=True, enforce_file_format=True)
    except _FOREIGN_FAULTS:
        raise NoSuchForm() from None
    return written.getvalue()


def metadata(root: Path, one: Held, address: str) -> Answer:
    """All attributes but bulk data, which is named by its address (PS3.18 section F.2.6)."""
    from pydicom import dcmread
    from pydicom.dataelem import DataElement

    def elsewhere(element: DataElement) -> str:
        return f"{address}/bulkdata/{int(element.tag):08X}"

    dataset = dcmread(root / one.path, defer_size=None, stop_before_pixels=True)
    found: Answer = dataset.to_json_dict(
        bulk_data_threshold=_INLINE_BYTES, bulk_data_element_handler=elsewhere, suppress_invalid_tags=True
    )
    if "00280010" in found:
        found["7FE00010"] = {"vr": "OW", "BulkDataURI": f"{address}/frames/1"}
    return found


def frames(root: Path, one: Held, numbers: list[int]) -> list[bytes]:
    """Frames by number from 1, uncompressed, little endian; raises `NoSuchFrame`, `NoPicture`."""
    dataset = _opened(root, one)
    most = int(dataset.get("NumberOfFrames") or 1)
    if not numbers or any(not 1 <= number <= most for number in numbers):
        raise NoSuchFrame()
    return [_pixels(dataset, number - 1, raw=True).tobytes() for number in numbers]


def picture(root: Path, one: Held, *, frame: int = 0, edge: int = 0, form: Literal["JPEG", "PNG"] = "JPEG") -> bytes:
    """A picture of one frame (0: the middle one), no larger than `edge`; raises `NoSuchFrame`, `NoPicture`."""
    import numpy as np
    from PIL import Image
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    dataset = _opened(root, one)
    most = int(dataset.get("NumberOfFrames") or 1)
    if frame > most:
        raise NoSuchFrame()
    array = _pixels(dataset, (frame or most // 2 + 1) - 1, raw=False)
    try:
        if array.ndim == 2:
            array = apply_voi_lut(apply_modality_lut(array, dataset), dataset).astype(np.float64)
            low, high = np.percentile(array, (0.5, 99.5))
            array = np.clip((array - low) / max(high - low, 1e-9), 0, 1) * 255
            if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
                array = 255 - array
        image = Image.fromarray(array.astype(np.uint8))
        if edge:
            image.thumbnail((edge, edge))
        written = io.BytesIO()
        image.save(written, format=form)
    except _FOREIGN_FAULTS:
        raise NoPicture() from None
    return written.getvalue()


def _opened(root: Path, one: Held) -> Any:
    from pydicom import dcmread

    try:
        dataset: Any = dcmread(root / one.path, defer_size=1 << 20)
        size = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
        size *= max(1, int(dataset.BitsAllocated) // 8)
    except _FOREIGN_FAULTS:
        raise NoPicture() from None
    if not 0 < size <= MOST_FRAME_BYTES:
        raise NoPicture()
    return dataset


def _pixels(dataset: Any, index: int, *, raw: bool) -> Any:
    from pydicom.pixels.utils import pixel_array

    try:
        return pixel_array(dataset, index=index, raw=raw)
    except _FOREIGN_FAULTS:
        raise NoPicture() from None
