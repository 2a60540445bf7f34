"""Several processes for one study: the same output and the same proof as from one, all or nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import msgspec
import pydicom
import pytest

from appliance.deidentify import crew
from appliance.deidentify.checks import Moved, contradictions
from appliance.deidentify.errors import UnreadableInstance
from appliance.deidentify.profile import Profile
from appliance.deidentify.run import run
from appliance.deidentify.verifier import verify
from tests.servers import until
from tests.unit.deidentify.planted import a_request, an_instance, quiet, written


@pytest.fixture
def three_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "FILES_EACH", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1, 2})


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Only the last one says what the patient's second name is; the first one holds it in its description."""
    found = [an_instance(tmp_path / "in" / f"{number}.dcm", number=number) for number in range(1, 7)]
    an_instance(tmp_path / "in" / "1.dcm", number=1, SeriesDescription="dti of Zwetschgenbaum")
    an_instance(tmp_path / "in" / "6.dcm", number=6, OtherPatientNames="Zwetschgenbaum^Anne")
    return found


def test_several_processes_write_the_same_bytes_as_one_and_prove_them(
    files: list[Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """DEID-08: what one part of the study tells of the patient is taken out of the others."""
    alone = run(a_request(files, tmp_path / "alone"), quiet)
    request.getfixturevalue("three_processes")
    assert [len(part) for part in crew.shares(files)] == [2, 2, 2]
    together = run(a_request(files, tmp_path / "together"), quiet)
    assert together.passport.residues == []
    assert together.linking == alone.linking and together.passport.actions == alone.passport.actions
    assert together.passport.files == alone.passport.files
    outputs = written(tmp_path / "together")
    assert [path.read_bytes() for path in outputs] == [path.read_bytes() for path in written(tmp_path / "alone")]
    assert pydicom.dcmread(outputs[0]).SeriesDescription == "dti of [NAME_REMOVED]"


@pytest.mark.usefixtures("three_processes")
def test_one_broken_file_in_another_process_fails_the_study_and_leaves_nothing(files: list[Path], tmp_path: Path) -> None:
    """DEID-08"""
    files[5].write_bytes(files[5].read_bytes()[:-100])
    with pytest.raises(UnreadableInstance) as caught:
        run(a_request(files, tmp_path / "out"), quiet)
    assert "instance-0005" in caught.value.what
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.usefixtures("three_processes")
def test_a_leak_in_another_processs_part_is_found(files: list[Path], tmp_path: Path) -> None:
    """DEID-09"""
    assert run(a_request(files, tmp_path / "out"), quiet).passport.residues == []
    path = written(tmp_path / "out")[4]
    dataset = pydicom.dcmread(path)
    dataset.ProtocolName = "for ZWETSCHGENBAUM"
    dataset.save_as(path, enforce_file_format=True)
    found = verify(a_request(files, tmp_path / "out"), Profile.of({}), tmp_path / "out", quiet)
    assert {(one.instance, one.place) for one in found.residues} == {("instance-0004", "(0018,1030)")}


def test_parts_that_were_judged_apart_must_agree() -> None:
    same = Moved({b"1.2": b"2.25.1"}, 4)
    assert list(contradictions([same, Moved({b"1.2": b"2.25.1", b"1.3": b"2.25.2"}, 4), Moved({}, None)])) == []
    assert list(contradictions([same, Moved({}, 5)])) == ["dates are shifted differently"]
    for uids in ({b"1.2": b"2.25.9"}, {b"1.4": b"2.25.1"}):
        assert list(contradictions([same, Moved(uids, 4)])) == ["UID is replaced in two ways"]


@pytest.mark.parametrize("fault", [MemoryError(), crew.PartEnded(), ValueError("a value of the patient's")])
def test_the_fault_of_another_process_is_this_ones(fault: Exception) -> None:
    def sound() -> Generator[int, int, int]:
        return (yield 1)

    def broken() -> Generator[int, int, int]:
        yield 1
        raise fault

    with pytest.raises(MemoryError if isinstance(fault, MemoryError) else crew.PartEnded) as caught:
        crew.in_parts([sound, broken], lambda found: len(found))
    assert "patient" not in str(caught.value)


PROGRAM = """
import os, sys, msgspec
from appliance.deidentify import crew
from appliance.deidentify.passport import DeidRequest
from appliance.deidentify.run import run
crew.FILES_EACH = 2
os.sched_getaffinity = lambda process: {0, 1, 2}
def progress(share, step):
    if step == "de-identify":
        os.write(1, b"%d\\n" % os.getpid())  # one write: three processes share this pipe
        sys.stdin.readline()
run(msgspec.json.decode(sys.argv[1], type=DeidRequest), progress)
"""


def test_the_others_die_with_the_first_process(files: list[Path], tmp_path: Path) -> None:
    """DEID-08: nobody goes on writing into a draft that the next run makes anew."""
    command = [sys.executable, "-c", PROGRAM, msgspec.json.encode(a_request(files, tmp_path / "out")).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        processes = {int(child.stdout.readline()) for _ in range(3)}
        assert len(processes) == 3
        os.kill(child.pid, signal.SIGKILL)
    until(lambda: not any(map(_runs, processes)), "the end of the other processes")
    assert run(a_request(files, tmp_path / "out"), quiet).passport.clean


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
