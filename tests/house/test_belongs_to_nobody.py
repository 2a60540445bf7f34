"""The project names no machine, no package host and no workplace: it must build and read the same anywhere."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.house.lock import without_hosts
from tests.house.tree import ROOT, files_of_the_project, name_of

# Written in parts, so that this file passes its own test.
_WORDS = {
    "a path of one machine": r"(?<![\w.$}{])/(?:wo" + r"rk|fa" + r"rm)/\w",
    "a package host": r"(?:py"
    + r"pi\.org|python"
    + r"hosted\.org|registry\.npm"
    + r"js|npm"
    + r"js\.org|deb\.deb"
    + r"ian\.org)",
    "a home folder": r"/(?:home/(?!ranvier\b|USER\b|guest\b)[a-z]\w*/|ro" + r"ot/)",
    "a workplace's word": r"shared/refer" + r"ence|DEVELO" + r"PERS\.md|before-" + r"stop|fa" + r"rm-(?:bench|studio)",
}
_BINARY = {".png", ".dcm", ".gz", ".pdf", ".nii", ".ttf", ".woff2", ".ico"}


def _texts() -> list[Path]:
    return [path for path in files_of_the_project() if path.suffix not in _BINARY]


@pytest.mark.parametrize("what", sorted(_WORDS))
def test_no_file_names_what_is_not_the_projects_own(what: str) -> None:
    found = []
    for path in _texts():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if re.search(_WORDS[what], line):
                found.append(f"{name_of(path)}:{number}")
    assert not found


def test_the_lock_says_what_and_never_where_from() -> None:
    text = (ROOT / "uv.lock").read_text()
    assert "://" not in text
    assert without_hosts(text) == text


def test_every_locked_file_has_its_hash() -> None:
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    files = [file for one in locked for file in (*one.get("wheels", []), *([one["sdist"]] if "sdist" in one else []))]
    assert len(files) > len(locked)
    assert all(file["hash"].startswith("sha256:") for file in files)


def test_hosts_are_taken_out_of_a_fresh_lock() -> None:
    fresh = (
        'source = { registry = "https://index.example/simple" }\n'
        'sdist = { url = "https://files.example/packages/ab/cd/thing-1.0.tar.gz", hash = "sha256:00", size = 1 }\n'
    )
    assert without_hosts(fresh) == (
        'source = { registry = "" }\nsdist = { filename = "thing-1.0.tar.gz", hash = "sha256:00", size = 1 }\n'
    )
