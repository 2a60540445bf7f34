"""The shallow reader says what pydicom says, and survives everything."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.misc import is_dicom
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from appliance.qc.elements import Elements, Unreadable, Wanted, read_header
from appliance.qc.finding import SeriesFile, Verdict
from appliance.qc.headers import WANTED, read_study
from tests.unit.qc.scans import MAKERS, a_scan, finding, report_of


def pydicom_says(dataset: Dataset, wanted: Wanted) -> dict[object, object]:
    """The wanted elements of a data set as pydicom reads them; sequences as lists of the same."""
    found: dict[object, object] = {}
    for element in dataset:
        rule = wanted.public.get(int(element.tag))
        key: object = int(element.tag)
        if rule is None and element.tag.is_private and not element.tag.is_private_creator:
            block = dataset.get((element.tag.group, element.tag.element >> 8))
            creator = "" if block is None else str(block.value)
            low = element.tag.element & 0xFF
            rule = wanted.private.get((element.tag.group, creator), {}).get(low)
            key = (element.tag.group, creator, low)
        if rule is not None and element.VR == "UN":
            found[key] = ANYTHING  # pydicom's dictionary does not know this private element
        elif isinstance(rule, Wanted):
            found[key] = [pydicom_says(item, rule) for item in element.value]
        elif rule is not None:
            found[key] = _plain(element)
    return found


class _Anything:
    def __eq__(self, _other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANYTHING = _Anything()


def we_say(elements: Elements) -> dict[object, object]:
    plain: dict[object, object] = {}
    for key, (vr, raw) in elements.values.items():
        numeric = vr in ("DS", "IS", "FD", "FL", "US", "SS", "UL", "SL")
        plain[key] = list(elements.numbers(key)) if numeric else raw if vr == "OB" else elements.text(key)
    return plain | {key: [we_say(item) for item in items] for key, items in elements.sequences.items()}


def _plain(element: DataElement) -> object:
    if element.VR in ("DS", "IS", "FD", "FL", "US", "SS", "UL", "SL"):
        if element.value is None or element.value == "":
            return []
        many = element.value if element.VM > 1 else [element.value]
        return [float(one) for one in many]
    if element.VR == "OB":
        return element.value
    return "\\".join(element.value) if element.VM > 1 else str(element.value or "").strip("\0 ")


def _agree(path: Path) -> None:
    dataset = pydicom.dcmread(path, defer_size=1 << 20)
    header, _ = read_header(path, WANTED)
    assert header.transfer_syntax == dataset.file_meta.TransferSyntaxUID
    assert we_say(header.elements) == pydicom_says(dataset, WANTED)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_it_reads_what_pydicom_reads(maker: str, syntax: UID, tmp_path: Path) -> None:
    for file in a_scan(tmp_path, maker, directions=1, slices=2, syntax=syntax):
        _agree(Path(file.path))


def test_sequences_of_undefined_length_are_stepped_over(tmp_path: Path) -> None:
    """PS3.5 section 7.5: nested sequences of undefined length before the wanted elements, private ones included."""

    def wrap(dataset: Dataset, _volume: int, _place: int) -> None:
        for _ in range(6):
            outer, inner = Dataset(), Dataset()
            inner.CodeValue = "x"
            outer.AnatomicRegionSequence = [inner, Dataset()]
            outer["AnatomicRegionSequence"].is_undefined_length = True
            outer.is_undefined_length_sequence_item = True
            dataset.ProcedureCodeSequence = [outer, outer]
            dataset["ProcedureCodeSequence"].is_undefined_length = True

    for file in a_scan(tmp_path, "enhanced", directions=1, change=wrap):
        _agree(Path(file.path))


def test_a_private_element_of_unknown_vr_is_read_by_its_rule(tmp_path: Path) -> None:
    """PS3.5 section 6.2.2: archives that convert from implicit VR write private elements as UN."""

    def forget(dataset: Dataset, _volume: int, _place: int) -> None:
        value = float(dataset[0x0065, 0x1009].value)
        dataset[0x0065, 0x1009] = DataElement(0x00651009, "UN", struct.pack("<d", value))

    assert report_of(a_scan(tmp_path, "uih", change=forget)).verdict is Verdict.PASSED


@pytest.mark.needs_data
def test_it_reads_what_pydicom_reads_of_the_real_studies(real_data: Path) -> None:
    """The first, a middle and the last file of every real series."""
    for folder in sorted({path.parent for path in _dicom_files(real_data)}):
        files = sorted(path for path in folder.iterdir() if path.is_file() and is_dicom(path))
        for path in {files[0], files[len(files) // 2], files[-1]} if files else ():
            _agree(path)


def _dicom_files(real_data: Path) -> Iterator[Path]:
    names = ("siemens_*", "philips_*", "canon_*", "uih_*", "ge_*", "transfer_syntaxes")
    return (path for name in names for folder in real_data.glob(name) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def good_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("good")
    explicit = ExplicitVRLittleEndian
    makers = [("uih", explicit), ("enhanced", explicit), ("siemens-csa", explicit), ("canon", DeflatedExplicitVRLittleEndian)]
    found = []
    for maker, syntax in makers:
        files = a_scan(folder / maker, maker, directions=1, slices=2, syntax=syntax)
        found.append(Path(files[-1].path).read_bytes())
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_makes_it_crash(good_files: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    """Bits flipped, bytes cut: a file is read, or it is a finding; nothing else happens."""
    content = bytearray(data.draw(st.sampled_from(good_files)))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.dcm"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    study = read_study([SeriesFile(instance="i", series="s", path=str(path))], lambda _share: None)
    (series,) = study.series
    assert len(series.images) + series.others + len(series.unreadable) == 1
    report = report_of([SeriesFile(instance="i", series="s", path=str(path))], given={})
    assert report.findings


def part_10(body: bytes, syntax: bytes = b"1.2.840.10008.1.2.1\0") -> bytes:
    return bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax + body


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"no dicom at all", "no DICOM"),
        (bytes(128) + b"DICM", "transfer syntax"),
        (part_10(b"\x08\0\x08\0CS\xff\0short"), "cut off"),
        (part_10(b"\x08\0\x08\0??\x02\0xx"), "damaged"),
        (part_10((b"\x08\0\x32\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * 100), "nested"),
        (part_10(b"\x08\0\x32\x10SQ\0\0\xff\xff\xff\xff" + b"\x01\0\x02\0\x04\0\0\0abcd"), "damaged"),
        (part_10(b"garbage that was never deflated", b"1.2.840.10008.1.2.1.99"), "damaged"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        read_header(path, WANTED)


def test_a_file_that_inflates_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deflated data set cannot fill the memory."""
    monkeypatch.setattr("appliance.qc.elements._LARGEST_INFLATED", 1 << 20)
    squeezed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    path = tmp_path / "bomb.dcm"
    path.write_bytes(part_10(squeezed.compress(bytes(4 << 20)) + squeezed.flush(), b"1.2.840.10008.1.2.1.99"))
    with pytest.raises(Unreadable, match="inflates"):
        read_header(path, WANTED)


def test_a_file_that_is_gone_is_a_finding(tmp_path: Path) -> None:
    report = report_of([SeriesFile(instance="i", series="s", path=str(tmp_path / "gone.dcm"))])
    assert finding(report, "readable").verdict is Verdict.FAILED
    assert str(tmp_path) not in repr(report)
