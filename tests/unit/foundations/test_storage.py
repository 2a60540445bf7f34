"""Bytes are whole and on disk under their name, or not there at all."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import storage as module
from appliance.errors import Misconfigured
from appliance.moments import new_id
from appliance.storage import (
    OutOfSpace,
    Storage,
    StorageTooNew,
    publish_folder,
    remove_folder,
    write_durable,
)

WRITE_FOR_EVER = """
import sys
from pathlib import Path
from appliance.storage import write_durable

target = Path(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    number += 1
    write_durable(target, (bytes([number % 256]) * 65536 for _ in range(16)))
"""


def test_a_file_is_whole_however_its_writer_dies(tmp_path: Path) -> None:
    """REC-04: kill -9 at random moments leaves the old content or the new, never a part."""
    target = tmp_path / "instance.dcm"
    seed = random.Random(20261122)
    sizes = set()
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(target)], stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline() == b"ready\n"
        threading.Event().wait(seed.uniform(0.005, 0.08))
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        process.stdout.close()
        if target.exists():
            content = target.read_bytes()
            sizes.add(len(content))
            assert len(set(content)) == 1
    assert sizes == {16 * 65536}


def test_a_file_is_for_its_owner_only_and_leaves_no_draft(tmp_path: Path) -> None:
    write_durable(tmp_path / "below" / "file", b"content")
    assert (tmp_path / "below" / "file").read_bytes() == b"content"
    assert (tmp_path / "below" / "file").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["file"]


def test_a_file_and_its_folder_are_synced_before_the_writer_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """REC-04: what was written survives a power cut."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        fsync(handle)

    def noted_replace(source: Path, target: Path) -> None:
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_durable(tmp_path / "file", b"content")
    assert done == ["file", "rename", "folder"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    """REC-04: what cannot be kept is refused."""
    write_durable(tmp_path / "file", b"old")

    def full(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OutOfSpace):
        write_durable(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_another_fault_of_the_disk_is_passed_on_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="input/output"):
        write_durable(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"the first part"
        raise LookupError

    with pytest.raises(LookupError):
        write_durable(tmp_path / "file", chunks())
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_takes_only_a_part_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    write_durable(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_folder_appears_whole_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    final = tmp_path / "reports" / "order"
    for text in ("first", "second"):
        draft = tmp_path / "scratch"
        (draft / "maps").mkdir(parents=True)
        (draft / "maps" / "fa.png").write_text(text)
        publish_folder(draft, final)
        assert not draft.exists()
        assert (final / "maps" / "fa.png").read_text() == text
    assert [path.name for path in final.rglob("*")] == ["maps", "fa.png"]


def test_removing_a_folder_that_is_not_there_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    remove_folder(tmp_path / "a")
    remove_folder(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(module, "RESERVE_BYTES", 4096)
    made = Storage(tmp_path)
    made.prepare()
    return made


def test_preparing_again_changes_nothing(storage: Storage) -> None:
    before = sorted(storage.home.rglob("*"))
    storage.prepare()
    assert sorted(storage.home.rglob("*")) == before


def test_a_layout_of_a_later_version_is_left_alone(storage: Storage) -> None:
    (storage.root / "layout").write_text("99\n")
    with pytest.raises(StorageTooNew, match="layout 99"):
        storage.prepare()


def test_every_place_of_a_study_lies_below_its_version(storage: Storage) -> None:
    study, order = new_id(), new_id()
    folder = storage.study(study, 2)
    assert folder == storage.root / "studies" / study / "v2"
    places = [storage.original(study, 2), storage.deidentified(study, 2, order), storage.reports(study, 2, order)]
    assert all(folder in place.parents for place in places)
    assert storage.absolute(storage.relative(places[0])) == places[0]


@pytest.mark.parametrize("name", ["..", "../../etc", "1.2.840.10008.1", "DOE^JANE", "", "a" * 8 + "/b"])
def test_only_our_own_identifiers_become_paths(storage: Storage, name: str) -> None:
    for place in (storage.study, storage.original):
        with pytest.raises(Misconfigured):
            place(name, 1)
    for make in (storage.quarantine, storage.scratch):
        with pytest.raises(Misconfigured):
            make(name)


def test_the_reserve_is_given_back_once_and_taken_again(storage: Storage) -> None:
    reserve = storage.root / "reserve"
    storage.keep_reserve(size=8192)
    assert reserve.stat().st_blocks * 512 >= 8192
    assert storage.free_reserve()
    assert not reserve.exists()
    assert not storage.free_reserve()
    storage.keep_reserve(size=8192)
    assert reserve.exists()


def test_more_than_the_disk_has_is_refused_before_it_is_tried(storage: Storage) -> None:
    storage.require_space(1)
    with pytest.raises(OutOfSpace):
        storage.require_space(storage.free_bytes() + 1)
