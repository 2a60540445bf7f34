"""What every process loads stays light: a heavy library is imported where a stage or one process needs it."""

import json
import subprocess
import sys

import pytest

HEAVY = [
    "pydicom",
    "pynetdicom",
    "numpy",
    "scipy",
    "nibabel",
    "dipy",
    "PIL",
    "reportlab",
    "httpx",
    "apprise",
    "textual",
    "litestar",
    "highdicom",
    "paramiko",
]
LOADED = "import sys, json, importlib; importlib.import_module(sys.argv[1]); print(json.dumps(sorted(sys.modules)))"


def _loaded(module: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", LOADED, module], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", ["appliance.settings", "appliance.house", "appliance.events"])
def test_the_settings_load_no_heavy_library(module: str) -> None:
    assert not _loaded(module) & set(HEAVY)


def test_the_worker_loads_no_library_that_only_a_stage_needs() -> None:
    assert not _loaded("appliance.work") & {
        "pydicom",
        "numpy",
        "scipy",
        "nibabel",
        "dipy",
        "PIL",
        "reportlab",
        "highdicom",
        "paramiko",
        "textual",
        "litestar",
    }


def test_the_console_loads_nothing_of_the_house() -> None:
    loaded = _loaded("tui.app")
    assert not {name for name in loaded if name.split(".")[0] in {"appliance", "api", "piccolo", "pydicom", "numpy", "PIL"}}
