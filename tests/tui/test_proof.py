"""De-identification in the console and as a command: preview, passport, proof once more, linking table."""

import csv
import json
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.facts import PATIENT
from tests.tui.test_commands import Run, ranvier
from tests.tui.world import World
from tui.screens.proof import PreviewDialog

__all__ = ["ranvier"]


async def _asked(pilot: Pilot[int]) -> None:
    await settled(pilot)
    await pilot.press("g", "j", "j", "j", "enter")
    await until(pilot, lambda: "Age and sex are missing." in screen_text(pilot), "the study")
    await pilot.press("w")
    await until(pilot, lambda: "Prove it again" in screen_text(pilot), "the choice")


async def test_a_preview_shows_what_would_leave_and_closes_when_nobody_reads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEID-09: what-if in the console; patient values do not stay on the screen."""
    monkeypatch.setattr("tui.screens.proof.SHOWN_S", 2.0)
    async with console_over(world).run_test(size=(120, 40)) as pilot:
        await _asked(pilot)
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: "PatientName" in screen_text(pilot), "the preview")
        shown = screen_text(pilot)
        assert PATIENT["patient_name"] in shown and "(gone)" in shown and "StudyID" not in shown
        await until(pilot, lambda: not isinstance(pilot.app.screen, PreviewDialog), "its end")
        assert PATIENT["patient_name"] not in screen_text(pilot)
    (asked,) = [body for path, body in world.bodies if path.endswith("-preview")]
    assert asked == {"what_if": {"profile": "safe-harbor"}}


async def test_the_passport_is_shown_saved_and_proven_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with console_over(world).run_test(size=(120, 40)) as pilot:
        for wish, seen in ((4, "310 instances of 312"), (4, "replace UID"), (7, "still proven")):
            await _asked(pilot)
            await pilot.press(*["down"] * wish, "enter")
            await until(pilot, lambda seen=seen: seen in screen_text(pilot), seen)  # type: ignore[misc]
            await pilot.press("escape", "escape")
        await _asked(pilot)
        await pilot.press(*["down"] * 5, "enter")
        await until(pilot, lambda: any(tmp_path.iterdir()), "the file")
    (saved,) = tmp_path.iterdir()
    assert saved.name.endswith("_passport.pdf") and saved.read_bytes().startswith(b"%PDF")


async def test_the_linking_table_is_exported_after_a_question_and_offered_to_administrators(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEID-10: console."""
    monkeypatch.chdir(tmp_path)
    async with console_over(world).run_test(size=(120, 40)) as pilot:
        await _asked(pilot)
        await pilot.press("end", "enter")
        await until(pilot, lambda: "can undo" in screen_text(pilot), "the question")
        await pilot.press("y")
        await until(pilot, lambda: any(tmp_path.iterdir()), "the file")
    (saved,) = tmp_path.iterdir()
    with saved.open() as lines:
        assert list(csv.reader(lines)) == [["original", "new"], ["1.2.3", "2.25.4"]]
    world.role = "user"
    async with console_over(world).run_test(size=(120, 40)) as pilot:
        await _asked(pilot)
        assert "linking table" not in screen_text(pilot)


def test_the_same_as_commands(ranvier: Run, world: World, tmp_path: Path) -> None:
    """DEID-09, DEID-10: headless twins of the console's keys."""
    study, order = world.studies[3]["study"], world.studies[3]["order"]
    preview = ranvier("deid", "preview", study, "--profile", "safe-harbor", "--set", "mask_zip_codes=on")
    assert preview.returncode == 0 and "(gone)" in preview.stdout and "3 attributes change, 1 stay" in preview.stderr
    assert world.bodies[-1][1]["what_if"] == {"profile": "safe-harbor", "mask_zip_codes": True}
    saved = ranvier("deid", "passport", order, "--out", str(tmp_path / "out"))
    document = json.loads(Path(saved.stdout.strip()).read_text())
    assert document["order"] == order
    verified = ranvier("deid", "verify", order)
    assert (verified.returncode, "still proven" in verified.stdout) == (0, True)
    world.proven = False
    assert ranvier("deid", "verify", order).returncode == 1
    assert ranvier("deid", "linking", study).stdout.splitlines() == ["original,new", "1.2.3,2.25.4"]
