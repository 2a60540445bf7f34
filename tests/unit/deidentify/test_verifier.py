import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pydicom
import pytest

from appliance.deidentify.errors import NotAsVerified, NotClean
from appliance.deidentify.passport import DeidAnswer, Released, Residue
from appliance.deidentify.profile import Profile
from appliance.deidentify.splice import Element
from appliance.deidentify.verifier import Verdict, release, verify
from tests.unit.deidentify.planted import a_request, an_instance, deidentified, left_in, quiet, written

Edit = Callable[[pydicom.Dataset], object]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [an_instance(tmp_path / "in" / f"{number}.dcm", number=number) for number in (1, 2)]


@pytest.fixture
def answer(files: list[Path], tmp_path: Path) -> DeidAnswer:
    found = deidentified(files, tmp_path / "out")
    assert found.passport.residues == []
    return found


def verified(files: list[Path], out: Path) -> Verdict:
    return verify(a_request(files, out), Profile.of({}), out, quiet)


def edited(path: Path, edit: Edit) -> None:
    dataset = pydicom.dcmread(path)
    edit(dataset)
    dataset.save_as(path, enforce_file_format=True)


def _in_private(dataset: pydicom.Dataset) -> None:
    dataset.private_block(0x0051, "SIEMENS MR HEADER")[0x0F].value = "HEA;Wolkenstein"


def _in_new_private(dataset: pydicom.Dataset) -> None:
    dataset.private_block(0x0011, "SOMEBODY", create=True).add_new(1, "OB", b"Wolkenstein ")


def _in_item(dataset: pydicom.Dataset) -> None:
    dataset.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeMeaning = "asked by Feldspat"


def _in_new_item(dataset: pydicom.Dataset) -> None:
    dataset.ReferencedImageSequence[0].PatientName = "Wolkenstein^Cassiopeia"


def _in_coded_value(dataset: pydicom.Dataset) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "WOLKENSTEIN"]


def _in_meta(dataset: pydicom.Dataset) -> None:
    dataset.file_meta.SourceApplicationEntityTitle = "ROUTER_AE"


def _in_overlay(dataset: pydicom.Dataset) -> None:
    dataset.add_new(0x60000022, "LO", "nothing to see")


def _in_uid(dataset: pydicom.Dataset) -> None:
    dataset.FrameOfReferenceUID = "1.2.3.4.5.6.8"


def _in_preamble(dataset: pydicom.Dataset) -> None:
    dataset.preamble = b"x".ljust(128, b"\0")


def _swapped(dataset: pydicom.Dataset) -> None:
    dataset.PatientID = "anonymous"


LEAKS: dict[str, tuple[Edit, str]] = {
    "description": (lambda d: setattr(d, "SeriesDescription", "dti_WOLKENSTEIN"), "(0008,103E)"),
    "identifier without separators": (lambda d: setattr(d, "StudyDescription", "px884417"), "(0008,1030)"),
    "date in a comment": (lambda d: setattr(d, "ImageComments", "of 11.03.2024"), "(0020,4000)"),
    "date of the source": (lambda d: setattr(d, "StudyDate", "20240311"), "(0008,0020)"),
    "other date": (lambda d: setattr(d, "SeriesDate", "20240601"), "(0008,0021)"),
    "kept private text": (_in_private, "(0051,100F)"),
    "new private bytes": (_in_new_private, "(0011,1001)"),
    "text of an item": (_in_item, "(0008,1140)[0](0040,A170)[0](0008,0104)"),
    "name in an item": (_in_new_item, "(0008,1140)[0](0010,0010)"),
    "coded value": (_in_coded_value, "(0008,0008)"),
    "file meta": (_in_meta, "(0002,0016)"),
    "overlay": (_in_overlay, "(6000,0022)"),
    "uid": (_in_uid, "(0020,0052)"),
    "preamble": (_in_preamble, "preamble"),
    "identifier": (_swapped, "(0010,0020)"),
    "base64": (lambda d: setattr(d, "ProtocolName", "V29sa2Vuc3RlaW4="), "(0018,1030)"),
    "hexadecimal": (lambda d: setattr(d, "ProtocolName", b"Wolkenstein".hex()), "(0018,1030)"),
    "birth date": (lambda d: setattr(d, "PatientBirthDate", "19440229"), "(0010,0030)"),
    "number that changed": (lambda d: setattr(d, "DiffusionBValue", 999.0), "(0018,9087)"),
    "age": (lambda d: setattr(d, "PatientAge", "095Y"), "(0010,1010)"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_single_planted_leak_is_found_and_named_by_its_place(
    leak: str, files: list[Path], answer: DeidAnswer, tmp_path: Path
) -> None:
    """DEID-09: each leak alone; the residue names the tag and never the value."""
    edit, place = LEAKS[leak]
    edited(written(tmp_path / "out")[1], edit)
    residues = verified(files, tmp_path / "out").residues
    assert place in {residue.place for residue in residues}
    assert {residue.instance for residue in residues} == {"instance-0001"}
    said = str(residues).lower()
    assert not [word for word in ("wolkenstein", "feldspat", "20240311", "884417", "1.2.3.4") if word in said]


def test_bytes_outside_elements_are_found(files: list[Path], answer: DeidAnswer, tmp_path: Path) -> None:
    path = written(tmp_path / "out")[0]
    path.write_bytes(path.read_bytes() + b"Wolkenstein")
    assert [residue.rule for residue in verified(files, tmp_path / "out").residues]


def test_one_changed_pixel_is_found(files: list[Path], answer: DeidAnswer, tmp_path: Path) -> None:
    path = written(tmp_path / "out")[0]
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    assert [residue.place for residue in verified(files, tmp_path / "out").residues] == ["(7FE0,0010)"]


def test_missing_and_unexpected_files_are_found(files: list[Path], answer: DeidAnswer, tmp_path: Path) -> None:
    """DEID-08: the output is validated against the source."""
    written(tmp_path / "out")[0].unlink()
    (tmp_path / "out" / "series-01" / "notes.txt").write_text("x")
    rules = {residue.rule for residue in verified(files, tmp_path / "out").residues}
    assert rules == {"file is missing", "file is not expected"}


def test_dates_that_move_by_two_offsets_are_found(files: list[Path], answer: DeidAnswer, tmp_path: Path) -> None:
    for path in written(tmp_path / "out"):
        edited(path, lambda d: setattr(d, "ContentDate", "20240312"))
    assert {residue.place for residue in verified(files, tmp_path / "out").residues} == {"(0008,0023)"}


def test_a_uid_that_becomes_two_is_found(files: list[Path], answer: DeidAnswer, tmp_path: Path) -> None:
    """DEID-06: the verifier sees a reference that no longer resolves."""
    edited(written(tmp_path / "out")[1], lambda d: setattr(d, "StudyInstanceUID", "2.25.12345"))
    assert {residue.rule for residue in verified(files, tmp_path / "out").residues} == {"UID is replaced in two ways"}


def test_residues_stop_the_study_and_leave_no_folder(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEID-09: the answer carries the residues, nothing is published, and nothing can be released."""
    monkeypatch.setattr("appliance.deidentify.scrub.Scrubber.free_text", lambda _self, text: text)
    found = deidentified(files, tmp_path / "out")
    assert not found.passport.clean
    assert {"(0008,1030)", "(0008,103E)", "(0018,1030)", "(0020,4000)"} <= {one.place for one in found.passport.residues}
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.part").exists()
    with pytest.raises(NotClean):
        release(tmp_path / "out", found.passport)


def _spliced_with_a_tail(source: int, output: int, layout: list[bytes | Element]) -> None:
    parts = [os.pread(source, one.end - one.start, one.start) if isinstance(one, Element) else one for one in layout]
    os.write(output, b"".join(parts) + b"Wolkenstein ")


BREAKAGES: dict[str, tuple[str, object]] = {
    "names stay in technical text": ("scrub.Scrubber.technical_text", lambda _self, text: text),
    "UIDs stay": ("rewrite.Rewriter.uid", lambda _self, _tag, uid: uid),
    "UIDs are random": ("rewrite.Rewriter.uid", lambda _self, _tag, _uid: b"2.25." + str(id(object())).encode()),
    "dates stay": ("rewrite.shifted_date", lambda text, _offset: text.strip()),
    "date-times stay": ("rewrite.shifted_datetime", lambda text, _offset: text.strip()),
    "all private attributes stay": ("rewrite._Pass._private", lambda _self, _one, _creators, _charset: None),
    "sequences are copied": ("rewrite._Pass._sequence", lambda _self, _one, _items, _charset: None),
    "the meta header is copied": ("rewrite.Rewriter._meta", lambda _self, part: part.meta_bytes[132:]),
    "removed attributes stay": ("rewrite._Pass._standard", lambda _self, _one, _charset: None),
    "the preamble is copied": ("rewrite._PREFIX", b"Wolkenstein".ljust(128) + b"DICM"),
    "ages over 89 stay": ("rewrite.capped_age", lambda text, *, over: text),
    "nothing is stated": ("rewrite.Rewriter._own_elements", lambda _self, _coding: []),
    "pixels are taken from elsewhere": ("engine._range", lambda _source, start, end: bytes(end - start)),
    "bytes follow the data set": ("engine._splice", _spliced_with_a_tail),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_engine_is_caught(breakage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEID-09: engine and verifier have no code in common; whatever the engine stops doing, the verifier sees."""
    target, replacement = BREAKAGES[breakage]
    files = [an_instance(tmp_path / "in.dcm", ImageType=["ORIGINAL", "PRIMARY", "KORUND"], PatientAge="094Y")]
    monkeypatch.setattr(f"appliance.deidentify.{target}", replacement)
    assert not deidentified(files, tmp_path / "out").passport.clean


def test_only_the_verifier_makes_a_release(answer: DeidAnswer, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Released()
    released = release(tmp_path / "out", answer.passport)
    assert released.folder == tmp_path / "out" and released.passport is answer.passport


@pytest.mark.parametrize("change", ["content", "missing", "extra", "link", "folder"])
def test_a_folder_that_changed_since_is_not_released(change: str, answer: DeidAnswer, tmp_path: Path) -> None:
    first = written(tmp_path / "out")[0]
    if change == "content":
        first.write_bytes(first.read_bytes()[:-1] + b"\1")
    elif change == "missing":
        first.unlink()
    elif change == "extra":
        (tmp_path / "out" / "more.dcm").write_bytes(b"")
    elif change == "link":
        first.rename(tmp_path / "moved")
        first.symlink_to(tmp_path / "moved")
    else:
        (tmp_path / "out").rename(tmp_path / "away")
    with pytest.raises(NotAsVerified):
        release(tmp_path / "out", answer.passport)


def test_an_unclean_passport_releases_nothing(answer: DeidAnswer, tmp_path: Path) -> None:
    residue = Residue(instance="i", place="(0008,0080)", rule="attribute must not be there")
    with pytest.raises(NotClean):
        release(tmp_path / "out", msgspec.structs.replace(answer.passport, residues=[residue]))


def test_release_needs_no_dicom_library(answer: DeidAnswer, tmp_path: Path) -> None:
    """The worker process releases; it loads neither pydicom nor numpy for it."""
    (tmp_path / "p.json").write_bytes(msgspec.json.encode(answer.passport))
    program = (
        "import sys, msgspec; from pathlib import Path; from appliance.deidentify.passport import Passport\n"
        "from appliance.deidentify.verifier import release\n"
        "release(Path(sys.argv[1]), msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Passport))\n"
        "print({'pydicom', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out"), str(tmp_path / "p.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


def test_the_passport_of_a_leaking_study_names_no_value(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.deidentify.scrub.Scrubber.free_text", lambda _self, text: text)
    deidentified(files, tmp_path / "out")
    assert left_in(tmp_path / "out.passport.json", ["Wolkenstein", "Eulenklinik", "884417", "20240311"]) == []
