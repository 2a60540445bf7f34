"""Quality control in the console: pictures below the findings, and consent to the repair of a gradient table."""

from pathlib import Path

import pytest
from PIL import Image
from textual.pilot import Pilot

from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.world import World, a_picture, with_a_flipped_table
from tui.widgets.halves import HALF, drawn

REPAIR = "/repair-gradients"


@pytest.fixture
def flipped(world: World) -> World:
    """A study whose gradient table is wrong."""
    world.qc = with_a_flipped_table()
    return world


async def _at_its_qc(pilot: Pilot[int]) -> None:
    await settled(pilot)
    await pilot.press("j", "j", "j", "e")
    await until(pilot, lambda: "can be repaired (D)" in screen_text(pilot), "the proposal")


def _asked_for(world: World) -> list[str]:
    return [path for method, path in world.requests if method == "POST" and path.endswith(REPAIR)]


async def test_the_picture_of_a_warning_stands_below_it(flipped: World) -> None:
    """QC-04, QC-06: a picture in the console, in half blocks, fetched once."""
    async with console_over(flipped).run_test(size=(120, 50)) as pilot:
        await _at_its_qc(pilot)
        await until(pilot, lambda: HALF * 60 in screen_text(pilot), "the picture")
        await pilot.press("i", "e")
        await until(pilot, lambda: HALF * 60 in screen_text(pilot), "the picture again")
    assert sum(path.endswith("/picture") for _, path in flipped.requests) == 1


async def test_who_does_not_look_at_quality_control_fetches_no_picture(flipped: World) -> None:
    """The audit keeps who saw what; opening a study is not looking at its pictures."""
    async with console_over(flipped).run_test(size=(120, 50)) as pilot:
        await settled(pilot)
        await pilot.press("j", "j", "j", "enter")
        await until(pilot, lambda: "Age and sex are missing." in screen_text(pilot), "the summary")
    assert not any(path.endswith("/picture") for _, path in flipped.requests)


async def test_a_picture_is_saved_where_the_console_was_started(
    flipped: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with console_over(flipped).run_test(size=(120, 30)) as pilot:
        await _at_its_qc(pilot)
        await pilot.press("v")
        await until(pilot, lambda: "Motion between volumes (warning)" in screen_text(pilot), "the choice")
        await pilot.press("down", "enter")
        await until(pilot, lambda: any(tmp_path.iterdir()), "the file")
    (saved,) = tmp_path.iterdir()
    assert Image.open(saved).size == (80, 40)


async def test_a_repair_is_agreed_to_after_a_question_and_enter_alone_means_no(flipped: World) -> None:
    """QC-04: repair with consent, from the console."""
    async with console_over(flipped).run_test(size=(120, 30)) as pilot:
        await _at_its_qc(pilot)
        await pilot.press("D")
        await until(pilot, lambda: "Repair the gradient table?" in screen_text(pilot), "the question")
        assert "the images stay as they were received" in " ".join(screen_text(pilot).replace("│", " ").split())
        await pilot.press("enter")
        await until(pilot, lambda: "Repair the gradient table?" not in screen_text(pilot), "the question to be gone")
        assert _asked_for(flipped) == []
        await pilot.press("D")
        await until(pilot, lambda: "Repair the gradient table?" in screen_text(pilot), "the question")
        await pilot.press("y")
        await until(pilot, lambda: len(_asked_for(flipped)) == 1, "the consent")


async def test_only_an_administrator_is_offered_the_repair(flipped: World) -> None:
    flipped.role = "user"
    async with console_over(flipped).run_test(size=(120, 30)) as pilot:
        await _at_its_qc(pilot)
        await pilot.press("D")
        await pilot.pause()
        assert "Repair the gradient table?" not in screen_text(pilot)


def test_a_picture_keeps_its_shape_and_what_is_none_is_not_drawn() -> None:
    shown = drawn(a_picture(), 40)
    assert shown is not None
    lines = shown.plain.split("\n")
    assert {len(line) for line in lines} == {40}
    assert len(lines) == 10, "two pixels a cell"
    assert drawn(b"no picture", 40) is None
    assert drawn(a_picture()[:60], 40) is None
