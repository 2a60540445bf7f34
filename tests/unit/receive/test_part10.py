"""The Part 10 file around a data set."""

import io

import pydicom
import pytest

from appliance.receive.part10 import NotPart10, Origin, prefix, read_prefix

ORIGIN = Origin(
    sop_class="1.2.840.10008.5.1.4.1.1.4",
    sop_instance="1.2.3.4",
    transfer_syntax="1.2.840.10008.1.2.1",
    sender="MODALITY",
    receiver="RANVIER_SCP",
    address="192.0.2.17",
)


def test_pydicom_reads_what_is_written() -> None:
    """PS3.10 section 7.1."""
    meta = pydicom.dcmread(io.BytesIO(prefix(ORIGIN))).file_meta
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert meta.TransferSyntaxUID == ORIGIN.transfer_syntax
    assert (meta.SourceApplicationEntityTitle, meta.SourcePresentationAddress) == ("MODALITY", "dicom://192.0.2.17")


def test_what_is_written_is_read_again() -> None:
    data = prefix(ORIGIN) + b"data set"
    origin, start = read_prefix(data)
    assert origin == ORIGIN
    assert data[start:] == b"data set"


@pytest.mark.parametrize("data", [b"", b"\0" * 140, b"\0" * 128 + b"DICM", prefix(ORIGIN)[:180], b"<html>" * 100])
def test_other_files_are_no_part_10(data: bytes) -> None:
    with pytest.raises(NotPart10):
        read_prefix(data)
