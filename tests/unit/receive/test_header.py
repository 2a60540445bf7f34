"""The shallow reader of data sets."""

import io
import random
import struct
import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from appliance.receive import header as tags
from appliance.receive.header import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, is_uid, read_header

SYNTAXES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)


def a_dataset() -> Dataset:
    inner = Dataset()
    inner.StudyInstanceUID = "9.9.9"
    inner.PatientID = "INNER"
    outer = Dataset()
    outer.ReferencedSOPInstanceUID = "8.8.8"
    outer.ReferencedSeriesSequence = Sequence([inner])
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4"
    dataset.Modality = "MR"
    dataset.SeriesDescription = "ep2d diff"
    dataset.ReferencedStudySequence = Sequence([outer, outer])
    dataset.PatientName, dataset.PatientID = "Müller^Jörg", "007"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    dataset.SeriesNumber = 12
    dataset.PixelData = bytes(5000)
    dataset["PixelData"].VR = "OW"
    return dataset


def encoded(dataset: Dataset, syntax: str, *, undefined: bool = False) -> bytes:
    if undefined:
        for element in dataset.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax == IMPLICIT_LITTLE, syntax != EXPLICIT_BIG
    write_dataset(stream, dataset)
    plain = stream.getvalue()
    if syntax != DEFLATED:
        return plain
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush()


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_native_encoding_is_read_without_looking_into_sequences(syntax: str, undefined: bool) -> None:
    found = read_header(encoded(a_dataset(), syntax, undefined=undefined), syntax)
    assert found.whole
    assert found.uid(tags.SOP_CLASS) == "1.2.840.10008.5.1.4.1.1.4"
    assert found.uid(tags.SOP_INSTANCE) == "1.2.3.4"
    assert (found.uid(tags.STUDY_INSTANCE), found.uid(tags.SERIES_INSTANCE)) == ("1.2.3", "1.2.3.1")
    assert (found.text(tags.PATIENT_NAME), found.text(tags.PATIENT_ID)) == ("Müller^Jörg", "007")
    assert (found.number(tags.SERIES_NUMBER), found.text(tags.MODALITY)) == (12, "MR")


def test_a_sequence_of_unknown_representation_holds_implicit_little_endian() -> None:
    """PS3.5 section 6.2.2: UN of undefined length."""
    item = struct.pack("<HHI", 0x0008, 0x1155, 6) + b"1.2.3\0"
    unknown = struct.pack("<HH2sHI", 0x0009, 0x1010, b"UN", 0, 0xFFFFFFFF)
    unknown += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + item + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    unknown += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    whole = encoded(a_dataset(), EXPLICIT_LITTLE)
    at = whole.index(struct.pack("<HH", 0x0010, 0x0010))
    found = read_header(whole[:at] + unknown + whole[at:], EXPLICIT_LITTLE)
    assert found.uid(tags.STUDY_INSTANCE) == "1.2.3"


def test_a_data_set_cut_behind_its_identifiers_gives_them() -> None:
    whole = encoded(a_dataset(), EXPLICIT_LITTLE)
    cut = whole[: whole.index(struct.pack("<HH", 0x0010, 0x0020)) + 3]
    found = read_header(cut, EXPLICIT_LITTLE)
    assert not found.whole
    assert found.uid(tags.SOP_INSTANCE) == "1.2.3.4"
    assert found.uid(tags.STUDY_INSTANCE) == ""


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_private_attribute_is_found_in_the_block_of_its_creator(syntax: str) -> None:
    """REC-07, PS3.5 section 7.8.1: another vendor's block with the same digits is not read."""
    dataset = a_dataset()
    dataset.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    dataset.add_new(0x00190011, "LO", "RANVIER")
    dataset.add_new(0x00191021, "LO", "another vendor's")
    dataset.add_new(0x00191121, "LO", "dti")
    data = encoded(dataset, syntax)
    assert tags.private_value(data, syntax, 0x19, 0x0021, "RANVIER") == "dti"
    assert tags.private_value(data, syntax, 0x19, 0x1021, "RANVIER") == "dti"
    assert tags.private_value(data, syntax, 0x19, 0x0021, "NOBODY") == ""
    assert tags.private_value(data, syntax, 0x19, 0x0021, "") == ""
    assert tags.private_value(data[:60], syntax, 0x19, 0x0021, "RANVIER") in (None, "")


def test_without_a_creator_an_attribute_that_reserves_a_block_names_no_product() -> None:
    """REC-07: (0019,0021) is a creator's place by the standard; where it reserves a block it is one."""
    dataset = a_dataset()
    dataset.add_new(0x00190021, "LO", "dti")
    assert tags.private_value(encoded(dataset, EXPLICIT_LITTLE), EXPLICIT_LITTLE, 0x19, 0x21, "") == "dti"
    dataset.add_new(0x00192105, "LO", "something")
    assert tags.private_value(encoded(dataset, EXPLICIT_LITTLE), EXPLICIT_LITTLE, 0x19, 0x21, "") == ""


def test_elements_out_of_order_are_left_to_pydicom() -> None:
    dataset = a_dataset()
    late = Dataset()
    late.StudyInstanceUID = dataset.StudyInstanceUID
    del dataset.StudyInstanceUID
    del dataset.PixelData
    found = read_header(
        encoded(late, EXPLICIT_LITTLE) + encoded(dataset, EXPLICIT_LITTLE),
        EXPLICIT_LITTLE,
    )
    assert (found.uid(tags.STUDY_INSTANCE), found.uid(tags.SOP_INSTANCE)) == ("1.2.3", "1.2.3.4")


def test_a_deflate_bomb_is_cut_off() -> None:
    """Faults section 6: a data set that inflates without end costs a bounded amount of memory."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = struct.pack("<HH2sHI", 0x0008, 0x0001, b"OB", 0, 0xFFFFFFF0)
    bomb = packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    assert read_header(bomb, DEFLATED).values == {}


def test_sequences_a_thousand_deep_end_the_reading() -> None:
    """Faults section 6: depth does not become recursion without end."""
    begin = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    assert not read_header(begin * 10_000, EXPLICIT_LITTLE).whole


@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_found_unreadable(data: bytes, syntax: str) -> None:
    """REC-04: the reader raises nothing, whatever comes."""
    found = read_header(data, syntax)
    for tag in (tags.SOP_INSTANCE, tags.STUDY_INSTANCE):
        assert found.uid(tag) == "" or is_uid(found.uid(tag))


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_data_set_is_read_or_found_unreadable(seed: int) -> None:
    """REC-04: bytes flipped, cut out and doubled in a real header."""
    chance = random.Random(seed)
    data = bytearray(encoded(a_dataset(), chance.choice((IMPLICIT_LITTLE, EXPLICIT_LITTLE))))
    for _ in range(chance.randint(1, 20)):
        at = chance.randrange(len(data))
        data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    for syntax in SYNTAXES:
        header = read_header(bytes(data), syntax)
        header.text(tags.PATIENT_NAME)
        header.number(tags.SERIES_NUMBER)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("1.2.840.10008.1.2", True),
        ("2.25.1", True),
        ("1.02.3", True),
        ("", False),
        ("1..2", False),
        ("1.2.", False),
        ("../../etc/passwd", False),
        ("1.2.3\n", False),
        ("1" * 65, False),
        ("1.2;rm", False),
    ],
)
def test_a_uid_is_digits_and_single_dots(text: str, valid: bool) -> None:
    assert is_uid(text) is valid


@pytest.mark.needs_data
def test_the_scanner_agrees_with_pydicom_on_real_files(real_data: Path) -> None:
    """REC-04: every file of the data folder that pydicom reads gives the same identifiers."""
    compared = 0
    for path in sorted(real_data.rglob("*"))[::7]:
        if not path.is_file() or path.stat().st_size > 20_000_000 or "malformed" in path.parts:
            continue
        content = path.read_bytes()
        if content[128:132] != b"DICM":
            continue
        dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        start = 132 + 12 + int.from_bytes(content[140:144], "little")
        found = read_header(content[start:], str(dataset.file_meta.TransferSyntaxUID))
        for tag, keyword in ((tags.STUDY_INSTANCE, "StudyInstanceUID"), (tags.SERIES_INSTANCE, "SeriesInstanceUID")):
            assert found.uid(tag) == str(dataset.get(keyword, ""))
        assert found.text(tags.PATIENT_ID) == str(dataset.get("PatientID", "") or "").strip()
        compared += 1
    assert compared > 50
