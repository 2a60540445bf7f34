"""Limits that hold: memory of all processes together, silence, output, the fence around a stage, control groups (PRO-04)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.compute import landlock, watch
from appliance.compute.local import (
    MIB,
    Limits,
    MachineOutOfMemory,
    OutOfMemory,
    StageCancelled,
    StageDied,
    StageEnded,
    StageHung,
    run_stage,
)
from tests.servers import until
from tests.unit.pipeline.programs import HOARD, Gate, Request, Stage, alive, silent


async def test_children_that_exceed_the_memory_together_are_ended_with_used_and_allowed_figures(
    stage: Stage, tmp_path: Path
) -> None:
    """PRO-04: each child is below the limit, all together are not."""
    note = tmp_path / "pids"
    hoard = "import os, signal; kept = " + HOARD.format(mb=60) + "; signal.pause()"
    stage.is_program(
        f"children = [subprocess.Popen([{sys.executable!r}, '-c', {hoard!r}]) for _ in range(3)]\n"
        f"open({str(note)!r}, 'w').write(' '.join(str(one.pid) for one in children))\n"
        "signal.pause()"
    )
    with pytest.raises(OutOfMemory) as ended:
        await run_stage("qc", Request(), Limits(memory_mb=150, timeout_s=60), progress=silent)
    assert ended.value.code == "out-of-memory"
    assert ended.value.facts["allowed_mb"] == 150
    assert 150 <= int(str(ended.value.facts["used_mb"])) < 400
    assert "150 MB" in ended.value.what
    # They were killed with their stage; the kernel takes their memory back in its own time.
    until(lambda: not any(alive(int(pid)) for pid in note.read_text().split()), "the end of the children")


def test_pages_that_children_share_are_counted_once() -> None:
    body = (
        "import os, signal\n"
        "kept = " + HOARD.format(mb=60) + "\n"
        "for _ in range(4):\n"
        "    if not os.fork():\n"
        "        break\n"
        "os.write(1, b'ready\\n')\n"
        "signal.pause()\n"
    )
    leader = subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True, start_new_session=True)
    family = watch.Family(leader.pid)
    try:
        assert leader.stdout is not None
        assert [leader.stdout.readline() for _ in range(5)] == ["ready\n"] * 5
        assert family.used_bytes(1 << 62) > 5 * 60 * MIB, "each by itself"
        assert family.used_bytes(150 * MIB) < 150 * MIB, "together"
    finally:
        family.end()
        leader.wait()


async def test_a_process_that_left_the_session_is_ended_with_the_stage(
    stage: Stage, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "pid"
    stage.is_program(
        'child = subprocess.Popen(["tail", "-f", "/dev/null"], start_new_session=True)\n'
        f"open({str(note)!r}, 'w').write(str(child.pid))\n" + gate.WAIT + "say(answer=[1])\n"
    )
    look = watch.Family.used_bytes

    def looked(family: watch.Family, suspicious: int) -> int:
        used = look(family, suspicious)
        if note.exists() and note.read_text() and int(note.read_text()) in {one.pid for one in family.members()}:
            gate.open()
        return used

    monkeypatch.setattr(watch.Family, "used_bytes", looked)
    await run_stage("qc", Request(), Limits(timeout_s=60), progress=silent)
    assert not alive(int(note.read_text()))


async def test_a_stage_that_says_nothing_is_ended_as_hung_and_one_that_speaks_is_not(stage: Stage, gate: Gate) -> None:
    """Time is moved on between two words of the stage: less than the silence that is allowed, then more."""
    loop = asyncio.get_running_loop()
    real, moved, step = loop.time, [0.0], [60.0]
    loop.time = lambda: real() + moved[0]  # type: ignore[method-assign]

    async def progress(_fraction: float, _step: str) -> None:
        moved[0] += step[0]
        gate.open()

    limits = Limits(quiet_s=100, timeout_s=1_000_000)
    stage.is_program("for number in range(6):\n    say(progress=number / 6, step='on')\n    " + gate.WAIT + "say(answer=[1])")
    assert await run_stage("qc", Request(), limits, progress=progress) == b"[1]"
    step[0] = 101.0
    stage.is_program('say(progress=0.1, step="begun"); signal.pause()')
    with pytest.raises(StageHung, match="gave no sign for 100 s"):
        await run_stage("qc", Request(), limits, progress=progress)


async def test_a_stage_ended_by_the_kernel_for_want_of_memory_is_reported_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PRO-04: SIGKILL by the kernel's OOM killer (its counter rose meanwhile) is told from any other."""
    stage.is_program("os.kill(os.getpid(), 9)")
    counted = iter([4, 5])
    monkeypatch.setattr(watch, "kernel_oom_kills", lambda: next(counted))
    with pytest.raises(MachineOutOfMemory, match="no memory left"):
        await run_stage("qc", Request(), Limits(), progress=silent)
    monkeypatch.setattr(watch, "kernel_oom_kills", lambda: 5)
    with pytest.raises(StageDied, match="SIGKILL") as died:
        await run_stage("qc", Request(), Limits(), progress=silent)
    assert died.value.code == "stage-died"


async def test_a_cancelled_stage_leaves_nothing_and_tells_how_long_that_took(stage: Stage, record_property: object) -> None:
    """PRO-05: the time from asking to the last process being gone is reported (bench `compute` measures it)."""
    stage.is_program('say(progress=0.1, step="begun")\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()')
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    asked: list[float] = []

    async def progress(_fraction: float, _step: str) -> None:
        asked.append(loop.time())
        stop.set()

    with pytest.raises(StageCancelled):
        await run_stage("qc", Request(), Limits(timeout_s=60), progress=progress, stop=stop)
    assert callable(record_property)
    record_property("seconds_from_cancel_to_gone", round(loop.time() - asked[0], 3))


# --- output ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("os.symlink('/etc/passwd', out + '/map.nii')", "output-not-plain", "1 symbolic links"),
        ("os.makedirs(out + '/a'); os.symlink('/', out + '/a/b')", "output-not-plain", "1 symbolic links"),
        ("os.mkfifo(out + '/pipe')", "output-not-plain", "1 pipes, sockets or devices"),
        ("open(out + '/one', 'w'); os.link(out + '/one', out + '/two')", "output-not-plain", "2 hard links"),
        ("open(out + '/big', 'wb').write(os.urandom(3 << 20))", "output-too-large", "2 MB are allowed"),
    ],
)
async def test_output_that_is_not_plain_or_too_large_is_refused_by_name(
    stage: Stage, tmp_path: Path, body: str, code: str, says: str
) -> None:
    """Row 25 of the faults: writes outside (through links), garbage, oversize."""
    out = tmp_path / "out"
    out.mkdir()
    stage.is_program(f"out = {str(out)!r}; {body}; say(answer=[1])")
    with pytest.raises(StageEnded) as ended:
        await run_stage("qc", Request(), Limits(out_mb=2), progress=silent, out_folder=out)
    assert (ended.value.error.kind, ended.value.error.code) == ("failed", code)
    assert says in ended.value.error.what


async def test_a_stage_that_fills_its_folder_is_ended_while_it_runs(stage: Stage, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    stage.is_program(
        f"for number in range(16):\n    open({str(out)!r} + f'/{{number}}', 'wb').write(os.urandom(1 << 20))\nsignal.pause()"
    )
    with pytest.raises(StageEnded) as ended:
        await run_stage("qc", Request(), Limits(out_mb=8, timeout_s=60), progress=silent, out_folder=out)
    assert ended.value.error.code == "output-too-large"


async def test_folders_that_a_stage_closed_are_measured_and_can_be_removed(stage: Stage, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    stage.is_program(
        f"os.makedirs({str(out)!r} + '/a/b'); open({str(out)!r} + '/a/b/big', 'wb').write(os.urandom(3 << 20))\n"
        f"os.chmod({str(out)!r} + '/a', 0); say(answer=[1])"
    )
    with pytest.raises(StageEnded) as ended:
        await run_stage("qc", Request(), Limits(out_mb=2), progress=silent, out_folder=out)
    assert ended.value.error.code == "output-too-large"
    assert (out / "a").stat().st_mode & 0o700 == 0o700


# --- the fence -------------------------------------------------------------------------------------------------------

needs_landlock = pytest.mark.skipif(
    not landlock.version(), reason="this kernel has no Landlock, or it was not started with it (lsm=landlock)"
)
TRY = """
import json, socket, sys
from pathlib import Path
from appliance.compute import landlock
places = json.loads(sys.argv[1])
landlock.confine([Path(places["writable"])], unreadable=Path(places["home"]), readable=[Path(places["own"])])
def attempt(what):
    try:
        what()
        return "allowed"
    except OSError as fault:
        return type(fault).__name__
server = ("127.0.0.1", places["port"])
print(json.dumps({
    "write inside": attempt(lambda: Path(places["writable"], "a").write_text("a")),
    "write outside": attempt(lambda: Path(places["outside"], "a").write_text("a")),
    "append outside": attempt(lambda: open(places["outside"] + "/there", "a")),
    "truncate outside": attempt(lambda: open(places["outside"] + "/there", "w")),
    "delete outside": attempt(lambda: Path(places["outside"], "there").unlink()),
    "read outside": attempt(lambda: Path(places["outside"], "there").read_text()),
    "read the home": attempt(lambda: Path(places["home"], "key").read_text()),
    "read its own place": attempt(lambda: Path(places["own"], "program").read_text()),
    "connect": attempt(lambda: socket.create_connection(server, 5)),
}))
"""


@needs_landlock
def test_a_fenced_process_writes_only_in_its_folder_reads_no_home_and_has_no_network(tmp_path: Path) -> None:
    """Row 25 of the faults: a stage that writes outside its folder cannot."""
    import socket

    places = {name: str(tmp_path / name) for name in ("writable", "outside", "home")}
    places["own"] = places["home"] + "/products/own"
    for folder in places.values():
        Path(folder).mkdir(parents=True)
    for file in ("outside/there", "home/key", "home/products/own/program"):
        (tmp_path / file).write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        argument = json.dumps({**places, "port": server.getsockname()[1]})
        done = subprocess.run([sys.executable, "-c", TRY, argument], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {
        "write inside": "allowed",
        "write outside": "PermissionError",
        "append outside": "PermissionError",
        "truncate outside": "PermissionError",
        "delete outside": "PermissionError",
        "read outside": "allowed",
        "read the home": "PermissionError",
        "read its own place": "allowed",
        "connect": "PermissionError",
    }
    assert (tmp_path / "outside" / "there").read_text() == "x"


# --- cores -----------------------------------------------------------------------------------------------------------


async def test_stages_get_cores_of_their_own_while_there_are_any(
    stage: Stage, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program in the stage's place only says which cores it was given, so that one core is enough for the test."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {4, 7})
    stage.is_program('say(progress=0.1, step="begun")\n' + gate.WAIT + 'say(answer=sys.argv[sys.argv.index("--cores") + 1])')
    begun = []

    async def progress(_fraction: float, _step: str) -> None:
        begun.append(True)
        if len(begun) == 2:
            gate.open()
            gate.open()

    async def one() -> bytes:
        return await run_stage("qc", Request(), Limits(cores=1, timeout_s=60), progress=progress)

    assert sorted(await asyncio.gather(one(), one())) == [b'"4"', b'"7"']


# --- the end of all processes ------------------------------------------------------------------------------------------


def test_a_family_ends_also_what_is_born_while_it_ends(tmp_path: Path) -> None:
    """A program that keeps forking cannot outrun its end."""
    body = "import os, signal\nfor _ in range(30):\n    if os.fork() == 0:\n        signal.pause()\nsignal.pause()"
    leader = subprocess.Popen([sys.executable, "-c", body], start_new_session=True)
    family = watch.Family(leader.pid)
    try:
        until(lambda: len(family.members()) > 5, "children")
        family.end()
        leader.wait(20)
        assert family.members() == []
    finally:
        if leader.poll() is None:
            os.killpg(leader.pid, signal.SIGKILL)
            leader.wait()
