"""What a stage writes for itself goes with it, also when its worker was killed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from appliance.compute.scratch import scratch, sweep

REPOSITORY = Path(__file__).parents[3]
OWNER = """
from appliance.compute.scratch import scratch
with scratch() as folder:
    (folder / "converted.nii").write_bytes(b"images")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_without_an_owner_is_removed_and_one_in_use_is_not(own_place: Path) -> None:
    """PRO-04: images of a patient do not stay behind a worker that was killed."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    argv = [sys.executable, "-c", OWNER]
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as killed,
        scratch() as ours,
    ):
        assert killed.stdout is not None
        theirs = Path(killed.stdout.readline().strip())
        assert sweep() == 0
        assert (theirs / "converted.nii").exists()
        killed.kill()
        killed.wait()
        assert sweep() == 1
        assert list(own_place.iterdir()) == [ours]
    assert not list(own_place.iterdir())


def test_what_only_bears_the_name_stays(own_place: Path) -> None:
    (own_place / "ranvier-stage-notes").write_text("a file")
    (own_place / "ranvier-stage-link").symlink_to(own_place)
    assert sweep() == 0
    assert len(list(own_place.iterdir())) == 2
