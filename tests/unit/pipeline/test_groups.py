"""Control groups: the kernel's own where this process may make one, and a stand-in tree everywhere (PRO-04)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.compute import cgroup
from appliance.compute.local import Limits, OutOfMemory, run_stage
from tests.house.tree import ROOT
from tests.unit.pipeline.programs import HOARD, Request, Stage, alive, silent

HIERARCHY = next(
    (one for one in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")) if (one / "cgroup.procs").exists()), None
)
"""Where control groups v2 are mounted; none on a machine that has v1 only."""


def why_no_delegation() -> str:
    """Why no unit with `Delegate=yes` can be started here; empty where it can."""
    if HIERARCHY is None or "memory" not in (HIERARCHY / "cgroup.controllers").read_text().split():
        return "control groups v2 of this machine have no memory controller (it is bound to v1)"
    if not Path("/run/systemd/system").is_dir():
        return "systemd does not run here: nobody can delegate a control group"
    return ""


def why_no_group() -> str:
    """Why this process may not make a control group of its own; empty where it may."""
    if HIERARCHY is None:
        return "there are no control groups v2 on this machine"
    return "" if os.access(HIERARCHY, os.W_OK) and os.geteuid() == 0 else "only root may make a control group by itself"


DELEGATED = """
import asyncio, sys
from appliance.compute import cgroup
from appliance.compute.local import Limits, OutOfMemory, run_stage
from tests.unit.pipeline.programs import Request, silent

base = cgroup.subtree()
print("delegated" if base else "not delegated", flush=True)
sys.executable = sys.argv[1]

async def main():
    try:
        await run_stage("qc", Request(), Limits(memory_mb=64, timeout_s=60), progress=silent)
    except OutOfMemory as ended:
        print(ended.facts["used_mb"], ended.facts["allowed_mb"], len(list(base.glob("ranvier-stage-*"))))

asyncio.run(main())
"""


@pytest.mark.skipif(bool(why_no_delegation()), reason=why_no_delegation())
def test_the_kernel_itself_ends_a_stage_that_wants_more_than_its_group_may_have(stage: Stage, tmp_path: Path) -> None:
    """PRO-04: no stand-in: a unit with `Delegate=yes`, as in the image."""
    stage.is_program("kept = " + HOARD.format(mb=200) + "; signal.pause()")
    scope = ["systemd-run", *([] if os.geteuid() == 0 else ["--user"]), "--quiet", "--scope", "-p", "Delegate=yes"]
    argv = [*scope, sys.executable, "-c", DELEGATED, str(tmp_path / "python")]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120)
    if not done.stdout.startswith("delegated"):
        pytest.skip(f"systemd gives no scope with a memory controller: {(done.stderr or done.stdout).strip()[-200:]}")
    used, allowed, left = (int(one) for one in done.stdout.split()[1:])
    assert (allowed, left) == (64, 0)
    assert 60 <= used <= 70, "the kernel's own figure"


@pytest.mark.skipif(bool(why_no_group()), reason=why_no_group())
def test_a_real_group_takes_a_process_with_its_children_and_ends_them_all() -> None:
    """PRO-04: the kernel's own files, without a limit: this needs no delegation and no controller."""
    assert HIERARCHY is not None
    group = cgroup.Group(HIERARCHY / f"ranvier-test-{os.getpid()}")
    group.folder.mkdir()
    body = (
        "import os, signal, sys\nsys.stdin.readline()\n"
        "for _ in range(3):\n    os.fork()\n"
        "os.write(1, b'born\\n')\nsignal.pause()"
    )
    child = subprocess.Popen([sys.executable, "-c", body], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        group.take(child.pid)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        assert [child.stdout.readline() for _ in range(8)] == ["born\n"] * 8
        pids = [int(line) for line in (group.folder / "cgroup.procs").read_text().split()]
        assert len(pids) == 8
    finally:
        group.end()
        child.wait()
    assert not any(alive(pid) for pid in pids)
    assert not group.folder.exists()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    unit = tmp_path / "cgroup" / "system.slice" / "ranvier.service"
    unit.mkdir(parents=True)
    (unit / "cgroup.controllers").write_text("cpu memory pids\n")
    (unit / "cgroup.subtree_control").write_text("\n")
    (unit / "cgroup.procs").write_text("11\n12\n")
    (tmp_path / "own").write_text("1:name=x:/\n0::/system.slice/ranvier.service\n")
    return tmp_path


def subtree(tree: Path, delegated: bool = True) -> Path | None:
    return cgroup.subtree(tree / "cgroup", tree / "own", lambda folder: delegated and folder.name == "ranvier.service")


def test_the_processes_of_a_delegated_unit_move_into_a_leaf_before_stages_get_groups(tree: Path) -> None:
    unit = subtree(tree)
    assert unit is not None
    assert (unit / "ranvier-main" / "cgroup.procs").read_text() == "12\n", "the kernel takes one process a write"
    assert (unit / "cgroup.subtree_control").read_text() == "+memory +cpu +pids\n"
    (tree / "own").write_text("0::/system.slice/ranvier.service/ranvier-main\n")
    (unit / "cgroup.subtree_control").write_text("memory cpu pids\n")
    assert subtree(tree) == unit


def test_a_group_that_systemd_did_not_hand_over_is_left_alone(tree: Path) -> None:
    assert subtree(tree, delegated=False) is None
    assert not (tree / "cgroup/system.slice/ranvier.service/ranvier-main").exists()


def test_a_stages_group_has_its_limits_and_tells_of_the_kernels_kills(tree: Path) -> None:
    group = cgroup.make(subtree(tree), memory_mb=512, cores=2)
    assert group is not None
    assert (group.folder / "memory.max").read_text() == "536870912\n"
    group.take(99)
    assert (group.folder / "cgroup.procs").read_text() == "99\n"
    assert group.oom_kills() == 0
    (group.folder / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    (group.folder / "memory.peak").write_text("536870900\n")
    assert (group.oom_kills(), group.peak_bytes()) == (2, 536870900)


async def test_a_death_in_a_group_that_ran_out_of_memory_is_reported_with_the_groups_figures(
    stage: Stage, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = subtree(tree)
    monkeypatch.setattr(cgroup, "subtree", lambda: unit)
    stage.is_program(
        f"import glob; folder = glob.glob({str(unit)!r} + '/ranvier-stage-*')[0]\n"
        "open(folder + '/memory.events', 'w').write('oom_kill 1\\n')\n"
        f"open(folder + '/memory.peak', 'w').write(str(150 << 20))\n"
        "os.kill(os.getpid(), 9)"
    )
    with pytest.raises(OutOfMemory) as ended:
        await run_stage("qc", Request(), Limits(memory_mb=150), progress=silent)
    assert (ended.value.facts["used_mb"], ended.value.facts["allowed_mb"]) == (150, 150)
