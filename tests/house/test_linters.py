"""The linters, as tests: one command runs everything, and one closing line tells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files_of_the_project
from tests.servers import program

_BIN = Path(sys.executable).parent


def _no_complaint(*argv: str | Path) -> None:
    done = subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.fail(f"{done.stdout}{done.stderr}\n{Path(argv[0]).name} ended with {done.returncode}", pytrace=False)


def test_ruff_would_format_nothing() -> None:
    _no_complaint(_BIN / "ruff", "format", "--check", ".")


def test_ruff_has_no_complaint() -> None:
    _no_complaint(_BIN / "ruff", "check", "--output-format", "concise", ".")


def test_mypy_in_strict_mode_has_no_complaint() -> None:
    _no_complaint(_BIN / "mypy")


def test_imports_go_downstairs_only() -> None:
    """The contracts of pyproject.toml; each is a sentence that says what would be broken."""
    _no_complaint(_BIN / "lint-imports", "--no-cache")


def _shell_scripts() -> list[Path]:
    return [path for path in files_of_the_project() if path.read_bytes()[:40].startswith((b"#!/bin/sh", b"#!/bin/bash"))]


def test_shellcheck_has_no_complaint() -> None:
    scripts = _shell_scripts()
    assert {"init.sh", "run"} <= {path.name for path in scripts}
    _no_complaint(program("shellcheck", "shellcheck"), *scripts)


@pytest.mark.parametrize("name", ["init.sh", "tests/run", ".ci/run"])
def test_what_a_newcomer_runs_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
