"""Stages in child processes: answers, errors, limits, cancel, time-out, and no process left behind."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest

from appliance import steps
from appliance.compute.local import Limits, StageCancelled, StageDied, StageEnded, StageTimedOut, run_stage
from appliance.house import House
from appliance.records.orders import OrderRow
from appliance.settings import Settings
from appliance.states import OrderState
from appliance.steps import Work
from tests.servers import until
from tests.unit.pipeline.programs import Request, Stage, alive, silent

NUMBERS = {
    **dict.fromkeys(("study_version", "priority", "percent", "attempt", "lease_until", "not_before", "failures"), 0),
    **dict.fromkeys(("created_at", "updated_at", "row_version"), 0),
    **dict.fromkeys(("delivery_failed", "cancel_asked"), False),
    "state": OrderState.QC,
}
"""The columns of an order that are no text."""


async def silent_teller(_stage: str, _fraction: float, _step: str) -> None:
    return None


async def test_a_stage_tells_its_progress_and_answers(stage: Stage) -> None:
    stage.is_program(
        'say(progress=0.5, step="half"); print("a library says hello"); say(answer={"twice": request["number"] * 2})'
    )
    told: list[tuple[float, str]] = []

    async def progress(fraction: float, step: str) -> None:
        told.append((fraction, step))

    assert msgspec.json.decode(await run_stage("qc", Request(), Limits(), progress=progress)) == {"twice": 14}
    assert told == [(0.5, "half")]


async def test_an_error_of_the_stage_comes_back_as_it_was_said(stage: Stage) -> None:
    stage.is_program('say(error={"kind": "failed", "code": "no-diffusion", "what": "None found."}); sys.exit(65)')
    with pytest.raises(StageEnded) as ended:
        await run_stage("qc", Request(), Limits(), progress=silent)
    assert (ended.value.error.kind, ended.value.error.code) == ("failed", "no-diffusion")


@pytest.mark.parametrize(
    ("body", "how"),
    [("os.kill(os.getpid(), 9)", "SIGKILL"), ("sys.exit(3)", "exit 3"), ('print("no answer at all")', "exit 0")],
)
async def test_a_stage_without_an_answer_is_tried_again(stage: Stage, body: str, how: str) -> None:
    stage.is_program(body)
    with pytest.raises(StageDied, match=how):
        await run_stage("qc", Request(), Limits(), progress=silent)


async def test_a_stage_that_takes_too_long_is_ended_with_all_it_started(stage: Stage, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    stage.is_program(
        'child = subprocess.Popen(["tail", "-f", "/dev/null"])\n'
        f'open("{note}", "w").write(f"{{os.getpid()}} {{child.pid}}")\nsignal.pause()'
    )
    with pytest.raises(StageTimedOut):
        await run_stage("qc", Request(), Limits(timeout_s=3), progress=silent)
    assert not any(alive(int(pid)) for pid in note.read_text().split())


async def test_a_cancelled_stage_ends_within_two_seconds(stage: Stage) -> None:
    """PRO-05: cancel at any point."""
    stage.is_program('say(progress=0.1, step="begun"); signal.pause()')
    stop = asyncio.Event()

    async def progress(_fraction: float, _step: str) -> None:
        stop.set()

    async with asyncio.timeout(30):
        with pytest.raises(StageCancelled):
            await run_stage("qc", Request(), Limits(), progress=progress, stop=stop)


async def test_a_real_stage_that_needs_too_much_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """PRO-04: a job that exceeds its memory is ended and reported."""
    from appliance.qc.finding import QcRequest

    with pytest.raises((StageEnded, StageDied)) as ended:
        await run_stage("qc", QcRequest(order="o", files=[], protocols={}), Limits(memory_mb=16), progress=silent)
    if isinstance(ended.value, StageEnded):
        assert ended.value.error.code in ("out-of-memory", "internal")


async def test_a_stage_dies_with_its_parent(tmp_path: Path) -> None:
    """A worker that is killed leaves no stage running."""
    note = tmp_path / "pid"
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, os, sys\n"
        "from appliance.compute import local\n"
        "from tests.unit.pipeline.programs import Request, silent\n"
        "async def main():\n"
        "    child = await asyncio.create_subprocess_exec(sys.executable, '-c', "
        "'import os, sys; from appliance.stage import _die_with; _die_with(os.getppid()); "
        "print(os.getpid(), flush=True); import signal; signal.pause()', "
        "stdout=asyncio.subprocess.PIPE, start_new_session=True)\n"
        f"    open({str(note)!r}, 'wb').write(await child.stdout.readline())\n"
        "    print('ready', flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    parent = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    assert await parent.stdout.readline() == b"ready\n"
    pid = int(note.read_text())
    parent.kill()
    await parent.wait()
    await asyncio.to_thread(until, lambda: not alive(pid), "the end of the stage")


@pytest.mark.parametrize(("limits", "kept"), [(True, (800, 3)), (False, (0, 0))])
async def test_the_setting_takes_off_cores_and_memory_and_leaves_time_and_output(
    house: House, monkeypatch: pytest.MonkeyPatch, limits: bool, kept: tuple[int, int]
) -> None:
    """PRO-04: a setting switches the core and memory limits off; everything else still holds."""
    given: list[Limits] = []

    async def run(_name: str, _request: object, asked: Limits, **_: object) -> bytes:
        given.append(asked)
        return b'{"number": 1}'

    monkeypatch.setattr(steps, "run_stage", run)
    section = msgspec.structs.replace(Settings().compute, limits=limits)
    row = msgspec.convert({one.name: "" for one in msgspec.structs.fields(OrderRow)} | NUMBERS, OrderRow, strict=False)
    settings = msgspec.structs.replace(Settings(), compute=section)
    work = Work(house, settings, row, 0, asyncio.Event(), silent_teller)
    asked = Limits(memory_mb=800, cores=3, timeout_s=60, quiet_s=5, out_mb=7)
    assert (await work.stage("product", Request(), asked, Request)).number == 1
    (found,) = given
    assert (found.memory_mb, found.cores) == kept
    assert (found.timeout_s, found.quiet_s, found.out_mb) == (60, 5, 7)
