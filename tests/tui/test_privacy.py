"""No patient on any screen before a reveal, and none after its 30 seconds."""

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import StoppedClock, console_over, screen_text, settled, table, until
from tests.tui.facts import PATIENT, identifier
from tests.tui.world import World
from tui.screens.study import StudyScreen
from tui.widgets.cells import PatientText

BOTH_SIZES = pytest.mark.parametrize("size", [(80, 24), (100, 30), (200, 60)])


def identity_on(pilot: Pilot[int]) -> list[str]:
    """Which parts of the patient's identity can be read."""
    shown = screen_text(pilot)
    whole = [value for key, value in PATIENT.items() if key not in {"sex", "study_date"} and value in shown]
    # Narrow columns cut values: the first letters would tell as much.
    return whole + [value[:5] for value in (PATIENT["patient_name"], PATIENT["accession"]) if value[:5] in shown]


@BOTH_SIZES
async def test_no_page_shows_a_patient_before_a_reveal(world: World, size: tuple[int, int]) -> None:
    """UI-01: identifiers are hidden until revealed; the API is not even asked for them."""
    async with console_over(world).run_test(size=size) as pilot:
        await settled(pilot)
        seen = [identity_on(pilot)]
        for key in ("enter", "e", "t", "p", "i", "escape", "2", "7", "1"):
            await pilot.press(key)
            await pilot.pause(0.05)
            seen.append(identity_on(pilot))
    assert not any(seen)
    assert world.revealed == []


@BOTH_SIZES
async def test_a_reveal_ends_by_itself_after_30_seconds(world: World, size: tuple[int, int]) -> None:
    """UI-01: a reveal covers the chosen rows and ends by itself."""
    clock = StoppedClock()
    console = console_over(world, clock=clock)
    async with console.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("down", "r")
        await until(pilot, lambda: bool(identity_on(pilot)), "the reveal")
        assert world.revealed == [[identifier(1)]]
        assert "PHI shown 30 s" in screen_text(pilot)
        clock.forward(29)
        console.tick()
        await until(pilot, lambda: "PHI shown 1 s" in screen_text(pilot), "the countdown")
        assert identity_on(pilot)
        clock.forward(2)
        console.tick()
        await until(pilot, lambda: "PHI hidden" in screen_text(pilot), "the end")
        assert not identity_on(pilot)
        assert not console.reveals.held


async def test_nothing_drawn_late_shows_a_patient_even_if_the_tick_is_late(world: World) -> None:
    clock = StoppedClock()
    console = console_over(world, clock=clock)
    async with console.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("r")
        await until(pilot, lambda: bool(identity_on(pilot)), "the reveal")
        clock.forward(31)
        world.change(4, "FAILED")
        await until(pilot, lambda: "✖ Failed" in screen_text(pilot), "the live update")
        assert not identity_on(pilot)


@pytest.mark.parametrize("leave", ["2", "7", "enter"])
async def test_another_page_hides_the_patients_of_the_one_before(world: World, leave: str) -> None:
    console = console_over(world)
    async with console.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("r")
        await until(pilot, lambda: bool(identity_on(pilot)), "the reveal")
        await pilot.press(leave)
        await until(pilot, lambda: not console.reveals.held, "hiding")
        await pilot.press("escape" if leave == "enter" else "1")
        await until(pilot, lambda: len(pilot.app.screen.query("LiveTable")) == 1, "the list")
        assert not identity_on(pilot)


async def test_another_size_of_the_terminal_hides_the_patients(world: World) -> None:
    console = console_over(world)
    async with console.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("r")
        await until(pilot, lambda: bool(identity_on(pilot)), "the reveal")
        await pilot.resize_terminal(90, 28)
        await until(pilot, lambda: not console.reveals.held, "hiding")
        await pilot.pause()
        assert not identity_on(pilot)


async def test_the_end_of_a_session_hides_the_patients(world: World) -> None:
    console = console_over(world)
    async with console.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("r")
        await until(pilot, lambda: bool(identity_on(pilot)), "the reveal")
        world.sessions.clear()
        await pilot.press("f5")
        await until(pilot, lambda: "Sign in again" in screen_text(pilot), "the sign-in")
        assert not console.reveals.held
        assert not identity_on(pilot)


async def test_a_reveal_that_answers_after_the_page_was_left_shows_nothing(world: World) -> None:
    console = console_over(world)
    async with console.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        page = pilot.app.screen
        await pilot.press("2")
        await until(pilot, lambda: pilot.app.screen is not page, "the other page")
        page.reveal([identifier(0)])  # type: ignore[attr-defined]
        await until(pilot, lambda: world.revealed != [], "the answer")
        await pilot.pause(0.05)
        assert not console.reveals.held


async def test_marked_studies_are_revealed_in_one_audited_call(world: World) -> None:
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("space", "space", "r")
        await until(pilot, lambda: bool(identity_on(pilot)), "the reveal")
    assert world.revealed == [[identifier(0), identifier(1)]]


async def test_a_study_without_accession_reads_none_and_not_hidden(world: World) -> None:
    """PC-04: None is shown where the study has none."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        line = next(line for line in screen_text(pilot).splitlines() if "QC failed" in line)
        assert "None" in line


async def test_revealed_values_cannot_be_selected_with_the_mouse_or_pictured(world: World) -> None:
    console = console_over(world)
    async with console.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the study")
        assert all(text.allow_select for text in pilot.app.screen.query(PatientText))
        await pilot.press("r")
        await until(pilot, lambda: bool(identity_on(pilot)), "the reveal")
        assert not any(text.allow_select for text in pilot.app.screen.query(PatientText))
        with pytest.raises(PermissionError):
            console.save_screenshot()


async def test_all_rows_are_hidden_by_cells_of_one_length(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        hidden = {str(table(pilot).get_row_at(row)[2]) for row in range(8)}
    assert hidden == {"▒▒▒▒▒▒▒▒"}
