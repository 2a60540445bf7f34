"""The lock belongs to this pyproject.toml; seen without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.lock import uv
from tests.house.tree import ROOT


def _check(folder: Path) -> subprocess.CompletedProcess[str]:
    # Without cache and network uv can only compare; it answers 0 when the lock still satisfies every requirement.
    argv = [uv(), "lock", "--check", "--offline", "--no-cache", "--no-config", "--python", sys.executable]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, env=environment, timeout=120)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_lock_is_current(project: Path) -> None:
    done = _check(project)
    assert done.returncode == 0, f"{done.stderr}\nRun: python tests/house/lock.py"


def test_a_lock_that_misses_a_requirement_would_be_noticed(project: Path) -> None:
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text().replace("dependencies = [\n", 'dependencies = [\n  "a-new-thing>=1",\n', 1))
    assert _check(project).returncode != 0
