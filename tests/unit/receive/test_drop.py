"""REC-12: what lies in a watched folder is taken only when it is whole, and hostile archives are refused."""

import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.receive import drop
from appliance.receive.section import DropFolder
from appliance.receive.unpack import ArchiveBroken, ArchiveLocked, ArchiveTooLarge, UnpackAnswer, UnpackRequest, run

DICOM = b"\0" * 128 + b"DICM" + b"\2\0" * 40


@pytest.fixture
def section(tmp_path: Path) -> DropFolder:
    for name in (drop.INCOMING, drop.OUTGOING):
        (tmp_path / "site" / name).mkdir(parents=True)
    return DropFolder(name="site", folder=str(tmp_path / "site"), sender="SITE")


def incoming(section: DropFolder, name: str) -> Path:
    return Path(section.folder) / drop.INCOMING / name


def names(section: DropFolder) -> list[str]:
    return [one.path.name for one in drop.entries(section)]


def test_unfinished_and_hidden_names_are_not_looked_at(section: DropFolder) -> None:
    for name in ("a.zip", "b.zip.part", "c.filepart", ".d.zip", "e.done"):
        incoming(section, name).write_bytes(b"x")
    assert names(section) == ["a.zip"]


def test_with_markers_only_what_is_marked_is_looked_at(section: DropFolder, tmp_path: Path) -> None:
    marked = DropFolder(name="site", folder=section.folder, sender="SITE", whole="marker")
    for name in ("a.zip", "a.zip.done", "b.zip"):
        incoming(section, name).write_bytes(b"x")
    assert names(marked) == ["a.zip"]


@pytest.mark.parametrize("change", ["grow", "add", "replace"])
def test_an_entry_that_changes_deep_inside_is_seen_to_change(section: DropFolder, change: str) -> None:
    deep = incoming(section, "study") / "one" / "two"
    deep.mkdir(parents=True)
    (deep / "1.dcm").write_bytes(b"1")
    (before,) = drop.entries(section)
    assert drop.entries(section) == [before]
    if change == "grow":
        (deep / "1.dcm").write_bytes(b"12")
    elif change == "add":
        (deep / "2.dcm").write_bytes(b"")
    else:
        (deep / "other").write_bytes(b"1")
        os.utime(deep / "other", ns=(0, (deep / "1.dcm").stat().st_mtime_ns))
        (deep / "other").replace(deep / "1.dcm")
    assert drop.entries(section) != [before]


def test_a_file_that_somebody_still_writes_is_known(section: DropFolder) -> None:
    path = incoming(section, "a.dcm")
    with path.open("wb") as file:
        file.write(DICOM)
        file.flush()
        assert drop.being_written(path)
    assert not drop.being_written(path)


def test_a_zip_without_its_end_is_not_whole(section: DropFolder) -> None:
    path = incoming(section, "a.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.dcm", DICOM)
    assert drop.ends_as_a_zip(path)
    path.write_bytes(path.read_bytes()[:-30])
    assert not drop.ends_as_a_zip(path)


def test_links_and_devices_are_never_followed(section: DropFolder, tmp_path: Path) -> None:
    """A link to a secret, a link to a folder, a FIFO: they are moved away, and nothing is read through them."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.dcm").write_bytes(DICOM)
    study = incoming(section, "study")
    study.mkdir()
    (study / "link.dcm").symlink_to(secret / "key.dcm")
    (study / "folder").symlink_to(secret)
    os.mkfifo(study / "pipe.dcm")
    (study / "real.dcm").write_bytes(DICOM)
    incoming(section, "whole").symlink_to(secret)
    with drop.held(section) as ours:
        assert ours
        for one in drop.entries(section):
            drop.claim(section, one.path, one.path.name)
    assert [one.name for one in drop.files_of(drop.place_of(section, "study"))] == ["real.dcm"]
    assert drop.files_of(drop.place_of(section, "whole")) == []
    assert (secret / "key.dcm").read_bytes() == DICOM


def test_a_folder_is_held_by_one_process_at_a_time(section: DropFolder) -> None:
    with drop.held(section) as first, drop.held(section) as second:
        assert (first, second) == (True, False)
    with drop.held(section) as again:
        assert again


def unpacked(archive: Path, out: Path, *, files: int = 10, size: int = 1 << 20) -> UnpackAnswer:
    out.mkdir()
    request = UnpackRequest(archive=str(archive), out_folder=str(out), most_files=files, most_bytes=size)
    return run(request, lambda _fraction, _step: None)


def test_only_dicom_comes_out_of_an_archive_and_under_names_of_our_own(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../../etc/MUELLER^ANNE.dcm", DICOM)
        archive.writestr("/viewer.exe", b"MZ")
        archive.writestr("DICOM/1.dcm", DICOM)
    answer = unpacked(tmp_path / "a.zip", tmp_path / "out")
    assert (answer.unpacked, answer.left_out) == (2, 1)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["000001", "000003"]
    assert not (tmp_path / "etc").exists()


def locked(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.dcm", DICOM)
    raw = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", raw, raw.index(mark) + place, 1)
    path.write_bytes(raw)


def torn(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.dcm", DICOM * 50)
    raw = bytearray(path.read_bytes())
    raw[200:900] = bytes(700)
    path.write_bytes(raw)


def a_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.dcm", DICOM + bytes(2 << 20))


def a_liar(path: Path) -> None:
    """Says that it is small, and is not."""
    a_bomb(path)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, raw.index(b"PK\x01\x02") + 24, 300)
    path.write_bytes(raw)


def too_many(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(11):
            archive.writestr(f"{number}.dcm", DICOM)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (locked, ArchiveLocked),
        (torn, ArchiveBroken),
        (a_bomb, ArchiveTooLarge),
        (a_liar, ArchiveBroken),
        (too_many, ArchiveTooLarge),
        (lambda path: path.write_bytes(b"PK\x03\x04 and nothing else"), ArchiveBroken),
    ],
)
def test_hostile_archives_are_refused(made: Callable[[Path], None], error: type[Exception], tmp_path: Path) -> None:
    made(tmp_path / "a.zip")
    with pytest.raises(error):
        unpacked(tmp_path / "a.zip", tmp_path / "out")
    assert sum(one.stat().st_size for one in (tmp_path / "out").iterdir()) <= 1 << 20
