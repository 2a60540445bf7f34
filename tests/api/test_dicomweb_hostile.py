"""Instances that were made to hurt whoever shows them: the process of the API neither decodes nor inflates them."""

import io
import resource
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from tests.api.conftest import Door
from tests.api.dicomweb import Web, a_web, multipart

MOST_GROWTH_MB = 150
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"


@pytest.fixture
async def web(door: Door, tmp_path: Path) -> AsyncIterator[Web]:
    async with a_web(door, tmp_path) as found:
        yield found


def _as(dataset: pydicom.Dataset, number: int, syntax: str) -> pydicom.Dataset:
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"{dataset.SOPInstanceUID}.{number}")
    return dataset


def _written(dataset: pydicom.Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _a_deflated_bomb(path: Path) -> bytes:
    """300 MB of zeros in a private attribute, in 300 kB."""
    dataset = _as(pydicom.dcmread(path), 1, DEFLATED)
    plain = _written(dataset)
    (length,) = struct.unpack_from("<I", plain, 140)
    packer = zlib.compressobj(1, wbits=-15)
    body = [packer.compress(zlib.decompress(plain[144 + length :], -15).partition(b"\xe0\x7f\x10\x00")[0])]
    zeros = bytes(1 << 20)
    body.append(packer.compress(struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"OB", 0, 300 << 20)))
    body += [packer.compress(zeros) for _ in range(300)]
    return plain[: 144 + length] + b"".join([*body, packer.flush()])


def _a_picture_larger_than_said(path: Path) -> bytes:
    """A JPEG 2000 stream that asks for 60,000 x 60,000 pixels in an instance that says 64 x 64."""
    size = struct.pack(">HHIIIIIIIIHBBB", 41, 0, 60000, 60000, 0, 0, 60000, 60000, 0, 0, 1, 15, 1, 1)
    style = struct.pack(">HHBBHBBBBBB", 0xFF52, 12, 0, 0, 1, 0, 5, 4, 4, 0, 1)
    steps = struct.pack(">HHB", 0xFF5C, 19, 0x40) + bytes(16)
    tile = struct.pack(">HHHIBB", 0xFF90, 10, 0, 0, 0, 1) + b"\xff\x93" + bytes(64)
    stream = b"\xff\x4f\xff\x51" + size + style + steps + tile + b"\xff\xd9"
    return _compressed(path, 2, JPEG_2000, stream, edge=64)


def _more_pixels_than_any_picture_has(path: Path) -> bytes:
    """RLE (PS3.5 Annex G) of 65,535 x 65,535 pixels."""
    stream = struct.pack("<16I", 1, 64, *([0] * 14)) + b"\x81\x00" * 1000
    return _compressed(path, 3, RLE, stream, edge=65535)


def _compressed(path: Path, number: int, syntax: str, stream: bytes, *, edge: int) -> bytes:
    dataset = _as(pydicom.dcmread(path), number, syntax)
    dataset.Rows = dataset.Columns = edge
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    return _written(dataset)


async def test_no_instance_makes_the_process_that_shows_it_large(web: Web) -> None:
    """REC-09, faults section 6 (data-set bombs): frames, pictures and metadata of bombs; the API goes on as before."""
    path = web.phantom.files[0]
    bombs = [_a_deflated_bomb(path), _a_picture_larger_than_said(path), _more_pixels_than_any_picture_has(path)]
    assert (await web.send(*multipart(bombs))).status_code == 200
    await web.filed(len(bombs))
    first = pydicom.dcmread(path, stop_before_pixels=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    series = f"/dicom-web/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}"
    for number in (1, 2, 3):
        here = f"{series}/instances/{first.SOPInstanceUID}.{number}"
        for what in ("/rendered",) if number > 1 else ("/frames/1", "/rendered"):
            answer = await web.door.call("user", "GET", here + what)
            assert (answer.status_code, answer.json()["code"]) == (400, "no-picture"), (number, what)
        told = await web.door.call("user", "GET", f"{here}/metadata")
        assert told.status_code == 200, (number, told.text)
        assert told.json()[0]["00100020"]["Value"] == [first.PatientID]
    found = await web.door.call("user", "GET", f"{series}/instances")
    assert len(found.json()) == len(bombs)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MOST_GROWTH_MB, f"the process grew by {grown:.0f} MB"


async def test_a_good_instance_of_each_kind_is_shown(web: Web) -> None:
    """The test above can fail: the same ways give frames and pictures where there are some."""
    files = []
    for number, syntax in ((1, DEFLATED), (2, RLE)):
        dataset = pydicom.dcmread(web.phantom.files[0])
        if syntax == RLE:
            dataset.compress(RLE, generate_instance_uid=False)
        files.append(_written(_as(dataset, number, syntax)))
    assert (await web.send(*multipart(files))).status_code == 200
    await web.filed(len(files))
    first = pydicom.dcmread(web.phantom.files[0])
    series = f"/dicom-web/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}"
    for number in (1, 2):
        here = f"{series}/instances/{first.SOPInstanceUID}.{number}"
        frame = await web.door.call("user", "GET", f"{here}/frames/1")
        assert first.pixel_array.tobytes() in frame.content
        assert (await web.door.call("user", "GET", f"{here}/rendered")).headers["content-type"] == "image/jpeg"
        plain = await web.door.call("user", "GET", here, headers={"Accept": "application/dicom"})
        assert pydicom.dcmread(io.BytesIO(plain.content)).pixel_array.tobytes() == first.pixel_array.tobytes()
