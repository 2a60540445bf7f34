"""Schedule and notices in the console: results, run now, on and off, cadence, what would go; what was told and what was not."""

from textual.pilot import Pilot

from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.test_keys import see
from tests.tui.world import World
from tui.screens.notices import NoticesPage
from tui.screens.schedule import SchedulePage


async def on_the_schedule(pilot: Pilot[int]) -> None:
    """Opens the page from System."""
    await settled(pilot)
    await pilot.press("7")
    await see(pilot, "Receiver")
    await pilot.press("t")
    await until(pilot, lambda: isinstance(pilot.app.screen, SchedulePage), "the page")
    await see(pilot, "maintenance")


async def test_tasks_show_their_cadence_next_run_and_last_results(world: World) -> None:
    """NOT-03: last result and next run visible, in the site's time zone."""
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await on_the_schedule(pilot)
        await see(pilot, "failed: OSError")
        shown = screen_text(pilot)
        assert "daily-3" in shown and "11-23 04:00:00" in shown and "2x" in shown and "2026-11-22 04:00:00" in shown
        await pilot.press("down")
        await see(pilot, "Rows of the audit leave")
        await pilot.press("escape", "1")
        await settled(pilot)
        await pilot.press("colon")
        await pilot.pause(0.1)
        await pilot.press(*"schedule")
        await see(pilot, "What runs by the clock")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SchedulePage), "the page")


async def test_what_deletes_is_weighed_before_it_runs_by_hand(world: World) -> None:
    """NOT-03, NOT-04: run now, after the dry run was shown."""
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await on_the_schedule(pilot)
        await pilot.press("R")
        await see(pilot, "2 studies with 3 orders")
        assert "Old but kept: 1 held" in screen_text(pilot) and world.schedule.asked == []
        await pilot.press("y")
        await see(pilot, "maintenance runs")
        await pilot.press("down", "R")
        await see(pilot, "audit-trail runs")
    assert world.schedule.asked == ["maintenance", "audit-trail"]


async def test_a_task_is_switched_off_after_a_question_and_on_again(world: World) -> None:
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await on_the_schedule(pilot)
        await pilot.press("space")
        await see(pilot, "until somebody switches it on again")
        await pilot.press("y")
        await see(pilot, "maintenance runs by hand only.")
        assert world.schedule.tasks[0]["switched_off"] is True
        await until(pilot, lambda: "⌧ off" in screen_text(pilot), "the state")
        await pilot.press("space")
        await see(pilot, "maintenance runs by the clock again.")
        assert world.schedule.tasks[0]["switched_off"] is False


async def test_the_cadence_is_a_preset_or_cron(world: World) -> None:
    """NOT-03: both are saved as settings."""
    world.settings["scheduler"] = {"cadence": "daily-3", "cron": "0 3 * * *"}
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await on_the_schedule(pilot)
        await pilot.press("C", "down", "enter")
        await see(pilot, "Maintenance runs every-5-minutes")
        await pilot.press("C", "end", "enter")
        await see(pilot, "Expression")
        await pilot.press(*"0 3", "ctrl+s")
        await see(pilot, "Five fields of numbers")
        await pilot.press(*" * * 1,4", "ctrl+s")
        await see(pilot, "Maintenance runs 0 3 * * 1,4")
    assert world.settings["scheduler"] == {"cadence": "cron", "cron": "0 3 * * 1,4"}


async def test_who_is_no_administrator_sees_the_schedule_and_changes_nothing(world: World) -> None:
    """PC-41."""
    world.role = "user"
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await on_the_schedule(pilot)
        labels = {hint.label for hint in pilot.app.screen.every_key()}  # type: ignore[attr-defined]
        assert not labels & {"Run now", "On or off", "Cadence", "What would go", "Notices"}


async def test_notices_show_what_was_told_what_failed_and_what_was_held_back_and_why(world: World) -> None:
    """NOT-02: sent, failed or suppressed with the reason."""
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await see(pilot, "Receiver")
        await pilot.press("N")
        await until(pilot, lambda: isinstance(pilot.app.screen, NoticesPage), "the page")
        await see(pilot, "report-delivery-failed")
        shown = screen_text(pilot)
        assert "cool-down 60 min" in shown and "⌧ suppressed" in shown and "● sent" in shown
        assert "due 2026-11-23 07:00:00" in shown
        await pilot.press("f", "down", "down", "down", "enter")
        await see(pilot, "only failed")
        await until(pilot, lambda: "cool-down" not in screen_text(pilot), "the rest to go")
        await pilot.press("enter")
        await see(pilot, "failed, attempt 3")
        await pilot.press("escape", "c")
        await see(pilot, "4 notices")
        await pilot.press("T")
        await see(pilot, "Notifications:")


async def test_without_notices_the_page_says_where_they_are_switched_on(world: World) -> None:
    world.schedule.notices = []
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await see(pilot, "Receiver")
        await pilot.press("N")
        await see(pilot, "Nothing was told to anybody yet.")
        assert "Settings, Notifications" in screen_text(pilot)
