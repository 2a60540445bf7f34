"""The stage that writes a report's files: all of them or none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import storage
from appliance.reports import as_pdf, render
from appliance.reports.content import PageIdentity
from tests.unit.reports.samples import HOSTILE, IDENTITY, ORDER, a_failure, a_report, a_request


def silent(_fraction: float, _step: str) -> None:
    """Nobody watches."""


def test_the_files_have_the_order_s_name(tmp_path: Path) -> None:
    """RES-01: names of reports and failure reports."""
    answer = render.run(a_request(tmp_path / "r"), silent)
    assert answer.files == {name: f"{ORDER}_report.{name}" for name in ("json", "txt", "pdf", "png")}
    assert sorted(file.name for file in (tmp_path / "r").iterdir()) == sorted(answer.files.values())
    answer = render.run(a_request(tmp_path / "f", a_failure(), formats=["pdf", "txt"]), silent)
    assert answer.files == {"pdf": f"{ORDER}_failure.pdf", "txt": f"{ORDER}_failure.txt"}


def test_a_second_version_stands_beside_the_first_and_leaves_it_alone(tmp_path: Path) -> None:
    """RES-01: corrected reports are `_report_v2`."""
    folder = tmp_path / "r"
    render.run(a_request(folder), silent)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    render.run(a_request(folder, a_report(version=2, supersedes="x"), formats=["pdf", "json"]), silent)
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(after) - set(before) == {f"{ORDER}_report_v2.pdf", f"{ORDER}_report_v2.json"}
    assert {name: after[name] for name in before} == before


def test_a_report_made_again_after_a_death_is_the_same(tmp_path: Path) -> None:
    render.run(a_request(tmp_path / "r"), silent)
    first = {file.name: file.read_bytes() for file in (tmp_path / "r").iterdir()}
    render.run(a_request(tmp_path / "r"), silent)
    assert {file.name: file.read_bytes() for file in (tmp_path / "r").iterdir()} == first


def test_progress_rises_to_one(tmp_path: Path) -> None:
    seen: list[float] = []
    render.run(a_request(tmp_path / "r"), lambda fraction, step: seen.append(fraction))
    assert seen == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_when_one_format_cannot_be_written_there_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_request: object) -> bytes:
        raise ValueError("flowable with text of Ranvier^Louise too large")

    monkeypatch.setattr(as_pdf, "make", broken)
    with pytest.raises(render.NotWritten) as caught:
        render.run(a_request(tmp_path / "r"), silent)
    assert "Ranvier^Louise" not in caught.value.what
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_tried_again_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = storage._write_all, [0]

    def full(handle: int, chunk: bytes) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise OSError(28, os.strerror(28))
        real(handle, chunk)

    monkeypatch.setattr(storage, "_write_all", full)
    with pytest.raises(render.NoRoom) as caught:
        render.run(a_request(tmp_path / "r"), silent)
    assert caught.value.after == 60
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(render.UnknownFormat):
        render.run(a_request(tmp_path / "r", formats=["pdf", "docx"]), silent)
    with pytest.raises(render.UnknownFormat):
        render.render(a_request(tmp_path / "r"), "docx")
    assert list(tmp_path.iterdir()) == []


def test_every_text_format_is_free_of_control_characters_and_direction_overrides(tmp_path: Path) -> None:
    identity = PageIdentity(patient_name=HOSTILE, patient_id=HOSTILE, birth_date=HOSTILE)
    render.run(a_request(tmp_path / "r", a_report(site=HOSTILE, caveats=[HOSTILE]), page_identity=identity), silent)
    for extension in ("txt", "json"):
        text = (tmp_path / "r" / f"{ORDER}_report.{extension}").read_text()
        assert "{{7*7}}" in text
        assert not [one for one in text if one in "\x1b\r\u202e\x9b"]
        assert "\\u001b" not in text


def test_one_format_can_be_made_in_memory_with_the_identity(tmp_path: Path) -> None:
    made = render.render(a_request(tmp_path, page_identity=IDENTITY), "txt")
    assert b"PAT-0042" in made
    assert list(tmp_path.iterdir()) == []


def test_importing_the_contract_loads_no_heavy_library() -> None:
    code = (
        "import sys; import appliance.reports.content, appliance.reports.render, appliance.reports.section;"
        "import appliance.delivery.section, appliance.delivery.destinations, appliance.delivery.body;"
        "heavy = ('reportlab', 'PIL', 'pypdfium2', 'pydicom', 'pynetdicom', 'httpx', 'numpy');"
        "print([one for one in heavy if one in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
