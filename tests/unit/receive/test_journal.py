"""The journal: what is committed is found again, what is not does not exist, and damage is told from a torn end."""

import errno
import os
import random
from pathlib import Path

import pytest

from appliance.receive import journal
from appliance.receive.journal import Entry, Journal, read_segment
from appliance.receive.unfiled import Unfiled
from appliance.storage import OutOfSpace

PREFIX = b"\0" * 128 + b"DICM" + bytes(90)


def instance(number: int) -> str:
    return f"01a20000-0000-7000-8000-{number:012d}"


def write(folder: Path, data: list[bytes], *, parts: int = 1) -> tuple[Journal, list[Entry]]:
    writer = Journal(folder, "assoc", Unfiled())
    entries = []
    for number, one in enumerate(data):
        record = writer.begin(instance(number), 1_000 + number, PREFIX)
        step = -(-len(one) // parts) or 1
        pieces = [one[at : at + step] for at in range(0, len(one), step)]
        for piece in pieces[:-1]:
            record.add([piece])
        entries.append(record.commit(pieces[-1:]))
    return writer, entries


def segment_of(folder: Path) -> Path:
    (found,) = folder.glob("*.journal")
    return found


@pytest.mark.parametrize("parts", [1, 3])
def test_everything_committed_is_found_again(tmp_path: Path, parts: int) -> None:
    """REC-04: whole records in one call, and large ones whose header comes last."""
    chance = random.Random(parts)
    data = [chance.randbytes(chance.randrange(1, 5000)) for _ in range(20)]
    _, entries = write(tmp_path, data, parts=parts)
    scan = read_segment(segment_of(tmp_path), Unfiled())
    assert not scan.damaged
    assert [(one.instance, one.received_at, one.content_hash) for one in scan.entries] == [
        (one.instance, one.received_at, one.content_hash) for one in entries
    ]
    content = segment_of(tmp_path).read_bytes()
    for one, wanted in zip(scan.entries, data, strict=True):
        assert content[one.offset : one.offset + one.prefix_bytes + one.data_bytes] == PREFIX + wanted


def test_a_segment_that_is_cut_anywhere_gives_its_whole_records(tmp_path: Path) -> None:
    """Faults rows 1 and 3: nothing half is a record, and a torn end is no damage."""
    data = [bytes([number]) * 100 for number in range(4)]
    _, entries = write(tmp_path, data)
    content = segment_of(tmp_path).read_bytes()
    ends = [one.offset + -(-(one.prefix_bytes + one.data_bytes) // 8) * 8 + 40 for one in entries]
    for length in range(64, len(content), 7):
        cut = tmp_path / "cut"
        cut.write_bytes(content[:length])
        scan = read_segment(cut, Unfiled())
        assert len(scan.entries) == sum(end <= length for end in ends)
        assert not scan.damaged
        cut.write_bytes(content[:length] + bytes(len(content) - length))
        assert len(read_segment(cut, Unfiled()).entries) == sum(end <= length for end in ends)


def test_a_damaged_record_hides_none_behind_it(tmp_path: Path) -> None:
    """REC-04: one broken block of a disk costs one instance, is noticed, and the rest is filed."""
    data = [random.Random(number).randbytes(3000) for number in range(5)]
    _, entries = write(tmp_path, data)
    good = segment_of(tmp_path).read_bytes()
    for place in (entries[1].offset - 90, entries[1].offset + 5, entries[1].offset + 2000):
        bad = bytearray(good)
        bad[place] ^= 0x40
        (tmp_path / "bad").write_bytes(bad)
        scan = read_segment(tmp_path / "bad", Unfiled())
        assert [one.instance for one in scan.entries] == [instance(number) for number in (0, 2, 3, 4)]
        assert scan.damaged


def test_a_segment_with_a_broken_head_is_damaged(tmp_path: Path) -> None:
    write(tmp_path, [b"x"])
    path = segment_of(tmp_path)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    assert read_segment(path, Unfiled()).damaged


def test_a_data_set_that_looks_like_a_record_is_none(tmp_path: Path) -> None:
    """A sender cannot forge what it did not send: the mark of a segment is random."""
    other = tmp_path / "other"
    other.mkdir()
    write(other, [b"forged"])
    forged = segment_of(other).read_bytes()[64:]
    own = tmp_path / "own"
    own.mkdir()
    _, (entry,) = write(own, [forged])
    path = segment_of(own)
    content = bytearray(path.read_bytes())
    content[entry.offset + 3] ^= 1
    path.write_bytes(content)
    assert read_segment(path, Unfiled()).entries == []


@pytest.mark.parametrize(("number", "raised"), [(errno.ENOSPC, OutOfSpace), (errno.EDQUOT, OutOfSpace), (errno.EIO, OSError)])
@pytest.mark.parametrize("call", ["pwritev", "fdatasync"])
def test_a_failed_write_keeps_nothing_and_the_next_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: type[Exception], call: str
) -> None:
    """Faults row 6: never written behind a failed sync; what was committed before stays."""
    writer, (first,) = write(tmp_path, [b"first"])
    with monkeypatch.context() as patch:

        def fails(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        patch.setattr(os, call, fails)
        with pytest.raises(raised):
            writer.begin(instance(8), 0, PREFIX).commit([b"second"])
    third = writer.begin(instance(9), 0, PREFIX).commit([b"third"])
    assert third.segment is not first.segment
    found = [one.instance for path in sorted(tmp_path.glob("*.journal")) for one in read_segment(path, Unfiled()).entries]
    assert found == [first.instance, third.instance]


def test_a_short_write_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda handle, parts, at: original(handle, [memoryview(parts[0])[:7]], at))
    _, (entry,) = write(tmp_path, [b"x" * 500])
    assert [one.content_hash for one in read_segment(segment_of(tmp_path), Unfiled()).entries] == [entry.content_hash]


def test_a_segment_goes_when_it_is_closed_and_all_of_it_is_filed(tmp_path: Path) -> None:
    writer, entries = write(tmp_path, [b"a", b"b"])
    entries[0].segment.filed(entries[0].prefix_bytes + entries[0].data_bytes)
    writer.close()
    assert segment_of(tmp_path).exists()
    entries[1].segment.filed(entries[1].prefix_bytes + entries[1].data_bytes)
    assert not list(tmp_path.glob("*.journal"))


def test_segments_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long association does not keep what was filed on the disk."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 3000)
    _, entries = write(tmp_path, [bytes(1000)] * 9)
    assert len({one.segment.path for one in entries}) == 3 + (9 % 3 > 0)
    unfiled = entries[0].segment._unfiled
    assert unfiled.bytes == sum(one.prefix_bytes + one.data_bytes for one in entries)


def test_bytes_taken_back_leave_no_trace(tmp_path: Path) -> None:
    writer, _ = write(tmp_path, [b"a"])
    size = segment_of(tmp_path).stat().st_size
    record = writer.begin(instance(5), 0, PREFIX)
    record.add([bytes(10_000)])
    assert segment_of(tmp_path).stat().st_size > size
    record.abandon()
    assert segment_of(tmp_path).stat().st_size == size


def test_blocks_allocated_ahead_are_no_records_and_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_ROOM_FOR_AHEAD", 0)
    writer, entries = write(tmp_path, [bytes([number]) * 400_000 for number in range(8)])
    segment = entries[0].segment
    assert segment.path.stat().st_size > segment.end
    found = read_segment(segment.path, Unfiled())
    assert [one.content_hash for one in found.entries] == [one.content_hash for one in entries]
    assert not found.damaged
    record = writer.begin(instance(8), 1_008, PREFIX)
    record.add([b"x" * 100_000])
    record.abandon()
    assert segment.path.stat().st_size == segment.end
    writer.begin(instance(9), 1_009, PREFIX).commit([b"y" * 400_000])
    writer.close()
    assert segment.path.stat().st_size == segment.end
    assert len(read_segment(segment.path, Unfiled()).entries) == 9
