"""The two commands of the README, as far as they go without making an environment: the wizard and the demonstration."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance import launch
from tests.journeys.world import PASSWORD, REPOSITORY
from tests.servers import two_free_ports


def command(*words: str, home: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "RANVIER_HOME": str(home), "HOME": str(home.parent)}
    return {"args": [sys.executable, "-m", "appliance", *words], "text": True, "env": environment, "stdin": subprocess.DEVNULL}


def ranvier(*words: str, home: Path, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**command(*words, home=home), capture_output=True, timeout=timeout, check=False)


def test_the_demonstration_brings_a_phantom_to_a_report_and_ends_cleanly(tmp_path: Path) -> None:
    """APP-02, PRO-01: without a terminal the demonstration ends after the report; run again it goes on with what is there, and
    who does not want to wait ends it with Ctrl-C and leaves nothing behind that runs."""
    home = tmp_path / "demo"
    done = ranvier("demo", "--home", str(home), home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("phantom study 1", "Sending", "Quality control", "De-identification", "Tensor", "Delivered", "PDF"):
        assert word in done.stdout
    pdf = next(line.split()[-1] for line in done.stdout.splitlines() if line.strip().startswith("PDF"))
    assert Path(pdf).read_bytes().startswith(b"%PDF-")
    assert launch.running(home) is None
    assert oct((home / "demo-password").stat().st_mode & 0o777) == "0o600"

    said = ""
    words = command("demo", "--home", str(home), home=home)
    # Who runs the tests in the background has them ignore Ctrl-C, and so would the demonstration.
    words["args"] = ["env", "--default-signal=INT", *words["args"]]
    with subprocess.Popen(**words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as again:
        assert again.stdout is not None
        for line in again.stdout:
            said += line
            if "Quality control" in line:
                again.send_signal(signal.SIGINT)
                break
        said += again.stdout.read()
    assert again.returncode == 130, said
    assert "phantom study 2" in said
    assert "Traceback" not in said
    assert launch.running(home) is None


def answers(folder: Path, **other: object) -> Path:
    dicom_port, http_port = two_free_ports()
    words: dict[str, object] = {
        "data_folder": str(folder / "home"),
        "ae_title": "GW01",
        "dicom_port": dicom_port,
        "http_port": http_port,
        "password": PASSWORD,
        **other,
    }
    lines = [f"{key} = {str(value).lower() if isinstance(value, (bool, int)) else repr(value)}" for key, value in words.items()]
    file = folder / "answers.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_wizard_sets_up_from_a_file_and_starts(tmp_path: Path) -> None:
    """APP-02: unattended first boot; a second run keeps what is there."""
    home = tmp_path / "home"
    file = answers(tmp_path)
    try:
        for _ in range(2):
            done = ranvier("init", "--answers", str(file), home=home)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "The appliance is up" in done.stdout
            assert launch.running(home) is not None
    finally:
        stopped = ranvier("stop", home=home)
    assert stopped.stdout.strip() == "stopped"
    assert launch.running(home) is None


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"ae_title": "much too long for an AE title"}, "ae_title"),
        ({"dicom_port": 70000}, "dicom_port"),
        ({"password": "short"}, "password"),
        ({"mode": "elsewhere"}, "mode"),
        ({"data_folder": "not/absolute"}, "data_folder"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_answer_is_named_and_nothing_is_written(tmp_path: Path, wrong: dict[str, object], word: str) -> None:
    """APP-02: each answer is checked before anything is written."""
    file = answers(tmp_path, **wrong)
    done = ranvier("init", "--answers", str(file), "--no-start", home=tmp_path / "home")
    assert done.returncode == 78
    assert word in done.stderr
    assert not (tmp_path / "home" / "ranvier.db").exists()


def test_without_a_terminal_the_wizard_says_how_to_go_on(tmp_path: Path) -> None:
    done = ranvier("init", home=tmp_path / "home")
    assert done.returncode == 78
    assert "--answers" in done.stderr
