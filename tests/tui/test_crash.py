"""A fault in the console itself leaves no patient on the terminal."""

import subprocess
import sys
from pathlib import Path

from tests.tui.facts import PATIENT

CRASH = """
import asyncio
from tests.tui.conftest import console_over
from tests.tui.facts import PATIENT
from tests.tui.world import World

def broken():
    identity = dict(PATIENT)
    raise KeyError(identity["patient_name"])

async def main():
    console = console_over(World())
    async def work():
        broken()
    async with console.run_test() as pilot:
        KIND
        await pilot.pause(0.2)

asyncio.run(main())
"""


def crash(kind: str) -> str:
    """What a crashed console leaves on its terminal."""
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-c", CRASH.replace("KIND", kind).replace("asyncio.run(main())", ENDING)],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    return run.stdout + run.stderr


ENDING = """
try:
    asyncio.run(main())
except Exception:
    pass  # run_test raises it once more; a console on a terminal does not
"""


def test_a_fault_in_a_message_handler_names_places_and_no_values() -> None:
    told = crash("console.call_later(broken)")
    assert "The console ended unexpectedly (KeyError)" in told
    assert "broken" in told
    assert PATIENT["patient_name"] not in told


def test_a_fault_in_a_worker_names_places_and_no_values() -> None:
    told = crash("console.run_worker(work())")
    assert "The console ended unexpectedly" in told
    assert PATIENT["patient_name"] not in told
