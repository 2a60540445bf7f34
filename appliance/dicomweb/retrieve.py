"""WADO-RS (PS3.18 section 10.4): instances as they are held, their metadata, and frames that need no decoder.

What must be decoded is not decoded here, in the process of the API, but in a stage of its own (`pixels`).
"""

import struct
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from appliance.dicomweb.answers import Answer
from appliance.dicomweb.heads import LONG_BYTES, head_of
from appliance.dicomweb.search import World
from appliance.errors import Rejected, Unknown
from appliance.foreign import FAULTS
from appliance.records import web
from appliance.records.web import Held

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_NATIVE = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, "1.2.840.10008.1.2.2")
MOST_INSTANCES = 100_000
MOST_FRAME_BYTES = 128 << 20
THUMBNAIL = 128
_INLINE_BYTES = 1_024


class NoSuchForm(Rejected):
    """What is held cannot be given in a form that was asked for."""

    code = "no-such-form"
    next_step = "Ask with transfer-syntax=*, or for application/octet-stream frames, or for image/png."


class NoPicture(Rejected):
    """This instance has no image that can be shown."""

    code = "no-picture"
    next_step = "Fetch the instance itself."


class Unreadable(Rejected):
    """This instance cannot be read."""

    code = "unreadable-instance"
    next_step = "Fetch the instance itself with transfer-syntax=*, as it came."


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


def part10(root: Path, one: Held, syntax: str) -> bytes | None:
    """The Part 10 file: as it is held (`*` or its own syntax) or in Explicit VR Little Endian; None when it must be decoded.

    Raises `NoSuchForm`.
    """
    if syntax in ("*", one.transfer_syntax):
        return (root / one.path).read_bytes()
    if syntax not in ("", EXPLICIT_LITTLE):
        raise NoSuchForm()
    return rewritten(root / one.path) if one.transfer_syntax in _NATIVE else None


def rewritten(path: Path) -> bytes:
    """The file in Explicit VR Little Endian, its pixels uncompressed; raises `NoSuchForm`."""
    from pydicom import dcmread

    try:
        dataset = dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_compressed and "PixelData" in dataset:
            dataset.decompress(generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE  # type: ignore[assignment]
        written = BytesIO()
        dataset.save_as(written, implicit_vr=False, little_endian=True, enforce_file_format=True)
    except FAULTS:
        raise NoSuchForm() from None
    return written.getvalue()


def metadata(root: Path, one: Held, address: str) -> Answer:
    """All attributes but bulk data, which is named by its address (PS3.18 section F.2.6); raises `Unreadable`."""
    from pydicom.dataelem import DataElement, RawDataElement

    def elsewhere(element: DataElement) -> str:
        return f"{address}/bulkdata/{int(element.tag):08X}"

    try:
        dataset = head_of(root / one.path, one.transfer_syntax)
        found: Answer = {}
        for tag in list(dataset.keys()):
            raw = dataset.get_item(tag)
            if isinstance(raw, RawDataElement) and raw.value is None and raw.length > LONG_BYTES:
                vr = raw.VR or "UN"
                found[f"{int(tag):08X}"] = {"vr": vr, "BulkDataURI": f"{address}/bulkdata/{int(tag):08X}"}
                del dataset[tag]
        found |= dataset.to_json_dict(
            bulk_data_threshold=_INLINE_BYTES, bulk_data_element_handler=elsewhere, suppress_invalid_tags=True
        )
    except FAULTS:
        raise Unreadable() from None
    if "00280010" in found:
        found["7FE00010"] = {"vr": "OW", "BulkDataURI": f"{address}/frames/1"}
    return found


def plain_frames(root: Path, one: Held, numbers: list[int]) -> list[bytes] | None:
    """Frames by number from 1 of an instance whose pixels are held as they are given; None when they must be decoded.

    Raises `NoSuchFrame`, `NoPicture`.
    """
    if one.transfer_syntax not in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        return None
    from pydicom import dcmread

    try:
        with (root / one.path).open("rb") as file:
            dataset: Any = dcmread(file, stop_before_pixels=True, defer_size=LONG_BYTES)
            place = _Place.of(dataset)
            if place is None:
                return None
            header = file.read(12)
            explicit = one.transfer_syntax == EXPLICIT_LITTLE
            group, number, length = *struct.unpack_from("<HH", header), *struct.unpack_from("<I", header, 8 if explicit else 4)
            if (group, number) != (0x7FE0, 0x0010) or length < place.size * place.frames:
                raise NoPicture()
            begin = file.tell() - (0 if explicit else 4)
            return [_slice(file, begin, place, one) for one in asked_frames(numbers, place.frames)]
    except FAULTS:
        raise NoPicture() from None


def asked_frames(numbers: list[int], most: int) -> list[int]:
    """The numbers, all of frames that are there; raises `NoSuchFrame`."""
    if not numbers or any(not 1 <= number <= most for number in numbers):
        raise NoSuchFrame()
    return numbers


class _Place(NamedTuple):
    """How the frames of an instance lie one after another."""

    size: int
    frames: int

    @classmethod
    def of(cls, dataset: Any) -> "_Place | None":
        """None where frames do not begin at whole bytes; raises `NoPicture` for what no picture can be."""
        bits = int(dataset.BitsAllocated)
        size = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1) * (bits // 8)
        if bits % 8:
            return None
        if not 0 < size <= MOST_FRAME_BYTES:
            raise NoPicture()
        return cls(size, int(dataset.get("NumberOfFrames") or 1))


def _slice(file: BinaryIO, begin: int, place: _Place, number: int) -> bytes:
    file.seek(begin + (number - 1) * place.size)
    found = file.read(place.size)
    if len(found) != place.size:
        raise NoPicture()
    return found
