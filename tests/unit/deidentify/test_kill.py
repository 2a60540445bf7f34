import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from appliance.deidentify.run import passport_path, run
from tests.unit.deidentify.planted import a_request, an_instance, quiet, written

PROGRAM = """
import sys, msgspec
from appliance.deidentify.passport import DeidRequest
from appliance.deidentify.run import run
def progress(share, step):
    print(share, flush=True)
    sys.stdin.readline()
run(msgspec.json.decode(sys.argv[1], type=DeidRequest), progress)
"""


def test_a_killed_run_leaves_no_folder_and_the_next_one_is_whole(tmp_path: Path) -> None:
    """DEID-08: killed at every step of progress, nothing partial has the final name; running again gives the same study."""
    files = [an_instance(tmp_path / "in" / f"{number}.dcm", number=number) for number in range(1, 4)]
    request = a_request(files, tmp_path / "out")
    steps = 0
    while _killed_after(steps, request):
        assert not (tmp_path / "out").exists()
        steps += 4
    assert steps >= 8
    answer = run(request, quiet)
    assert answer.passport.clean and len(written(tmp_path / "out")) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", passport_path(tmp_path / "out").name]


def _killed_after(steps: int, request: object) -> bool:
    """Lets a run make so many steps, then kills it; false when it had ended by then."""
    command = [sys.executable, "-c", PROGRAM, msgspec.json.encode(request).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout
        for _ in range(steps):
            if not child.stdout.readline():
                return False
            child.stdin.write("\n")
            child.stdin.flush()
        if not child.stdout.readline():
            return False
        os.kill(child.pid, signal.SIGKILL)
    return True
