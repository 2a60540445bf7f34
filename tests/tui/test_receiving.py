"""Receiving in the console and at the prompt: associations, senders, pauses, quarantine, the disk."""

import json

from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.facts import identifier
from tests.tui.test_commands import Run, ranvier
from tests.tui.world import World

__all__ = ["ranvier"]


async def test_the_system_page_explains_associations_and_lists_senders(world: World) -> None:
    """REC-02, REC-06, REC-13: each with what helps; what may not send and what was learned stand out."""
    world.days_until_full = 9.0
    async with console_over(world).run_test(size=(110, 40)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await until(pilot, lambda: "full in about 9 days" in screen_text(pilot), "the page with the disk's days")
        await pilot.press("a")
        await until(pilot, lambda: "CT2 from 10.10.20.9" in screen_text(pilot), "the associations")
        assert "add the class to the private storage classes" in screen_text(pilot)
        await pilot.press("escape", "s")
        await until(pilot, lambda: "OLD_CT" in screen_text(pilot), "the senders")
        shown = screen_text(pilot)
        assert "180 s" in shown
        assert "may not send" in shown


async def test_receiving_and_delivery_are_paused_with_a_question_and_every_page_shows_it(world: World) -> None:
    """REC-14: shown on every page until somebody resumes."""
    async with console_over(world).run_test(size=(110, 40)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await until(pilot, lambda: "Health" in screen_text(pilot), "the page")
        for key in ("I", "D"):
            await until(
                pilot, lambda: "Health" in screen_text(pilot) and "Pause " not in screen_text(pilot).split("Health")[0], ""
            )
            await pilot.press(key)
            await until(pilot, lambda: "No" in screen_text(pilot) and "?" in screen_text(pilot), "the question")
            await pilot.press("y")
            part = {"I": "receiving", "D": "delivery"}[key]
            await until(pilot, lambda part=part: world.parts_paused[part], "it is paused")  # type: ignore[misc]
        for page in ("1", "2", "6", "7"):
            await pilot.press(page)
            await until(pilot, lambda: "paused: receiving, delivery" in screen_text(pilot), f"page {page} says so")
        await pilot.press("I", "D")
        await until(pilot, lambda: "paused:" not in screen_text(pilot), "nothing is paused any more")


async def test_a_quarantined_study_is_released_with_a_question(world: World) -> None:
    """REC-05."""
    world.studies[0].update(state="QUARANTINED", word="Quarantined", order=None)
    async with console_over(world).run_test(size=(110, 40)) as pilot:
        await settled(pilot)
        await pilot.press("F")
        await until(pilot, lambda: "Release from quarantine?" in screen_text(pilot), "the question")
        await pilot.press("y")
        path = f"/api/studies/{world.studies[0]['study']}/release"
        await until(pilot, lambda: ("POST", path) in world.requests, "it is released")


def test_the_prompt_shows_senders_and_associations_and_pauses(ranvier: Run) -> None:
    """REC-13, REC-14: the same without the console."""
    assert "OLD_CT" in ranvier("receiving", "senders").stdout
    assert json.loads(ranvier("receiving", "associations", "--json").stdout)["items"][0]["caller"] == "CT2"
    assert ranvier("receiving", "pause").returncode == 0
    assert ranvier("receiving", "show").returncode == 1
    assert ranvier("receiving", "resume").returncode == 0
    assert ranvier("receiving", "show").returncode == 0
    assert ranvier("delivery", "pause").returncode == 0
    assert ranvier("delivery", "show").returncode == 1
    assert ranvier("delivery", "resume").returncode == 0
    assert ranvier("studies", "release", identifier(1)).returncode == 0
