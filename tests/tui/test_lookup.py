"""Finding a patient's studies and seeing where data goes, in the console and at the prompt."""

import json

from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.facts import PATIENT, identifier
from tests.tui.test_commands import Run, ranvier
from tests.tui.world import World
from tui.screens.dialogs import AskLookup
from tui.screens.studies import StudiesPage

__all__ = ["ranvier"]


async def test_an_exact_accession_number_leads_to_the_studies_which_stay_hidden(world: World) -> None:
    """UI-01: console lookup by hashed value; the row stays redacted."""
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+f")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskLookup), "the question")
        await pilot.press(*PATIENT["accession"], "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesPage), "the list again")
        wanted = f"id:{identifier(2)},{identifier(3)}"
        page = pilot.app.screen
        assert isinstance(page, StudiesPage)
        await until(pilot, lambda: page.shown.filter == wanted, "the filter")
        assert ("/api/lookup", {"kind": "accession", "value": PATIENT["accession"]}) in world.bodies
        assert PATIENT["patient_name"] not in screen_text(pilot)
        assert world.revealed == []


async def test_the_system_page_shows_where_data_goes(world: World) -> None:
    """UI-12: the data-flow page in the console."""
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await until(pilot, lambda: "Health" in screen_text(pilot), "the page")
        await pilot.press("f")
        await until(pilot, lambda: "PACS@pacs.example:11112" in screen_text(pilot), "the data flow")
        shown = screen_text(pilot)
        assert "Identified  yes" in shown
        assert "Encrypted   no" in shown


def test_the_prompt_finds_studies_without_the_value_on_its_command_line(ranvier: Run) -> None:
    found = ranvier("studies", "find", "patient", given=PATIENT["patient_id"] + "\n")
    assert found.returncode == 0
    assert [line.split("\t")[0] for line in found.stdout.splitlines()] == [identifier(2), identifier(3)]
    assert PATIENT["patient_id"] not in found.stdout
    nothing = ranvier("studies", "find", "accession", given="other\n")
    assert nothing.returncode == 1


def test_the_prompt_shows_where_data_goes(ranvier: Run) -> None:
    """UI-12: the word data-flow."""
    lines = ranvier("data-flow").stdout
    assert "PACS@pacs.example:11112" in lines
    assert json.loads(ranvier("data-flow", "--json").stdout)["items"][0]["identified"] == "yes"
