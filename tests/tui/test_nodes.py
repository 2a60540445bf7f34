"""PACS nodes in the console: test them, find on them, mark, pull, follow, and pull priors."""

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import StoppedClock, console_over, screen_text, settled, until
from tests.tui.facts import PATIENT, identifier
from tests.tui.test_keys import see
from tests.tui.world import World, problem
from tui.screens.ask_node import AskNode
from tui.screens.found import FoundPage
from tui.screens.nodes import NodesPage
from tui.widgets.live_table import LiveTable


async def on_the_nodes(pilot: Pilot[int]) -> None:
    """Opens the page from System."""
    await settled(pilot)
    await pilot.press("7")
    await see(pilot, "Receiver")
    await pilot.press("n")
    await until(pilot, lambda: isinstance(pilot.app.screen, NodesPage), "the page")
    await see(pilot, "pacs.example:11112")


async def found(pilot: Pilot[int], rows: int = 3) -> None:
    """Finds by modality on the first node."""
    await on_the_nodes(pilot)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, AskNode), "the search")
    await pilot.press("ctrl+s")
    await answers(pilot, rows)


async def answers(pilot: Pilot[int], rows: int) -> None:
    """Waits for the answers of a node."""

    def there() -> bool:
        page = pilot.app.screen
        return isinstance(page, FoundPage) and page.ready and page.query_one(LiveTable).row_count == rows

    await until(pilot, there, f"{rows} answers")


def patients_on(pilot: Pilot[int]) -> list[str]:
    """Which parts of the patient can be read."""
    shown = screen_text(pilot)
    return [value for value in (PATIENT["patient_name"][:5], PATIENT["patient_id"][:5], "2026-11-2") if value in shown]


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 40)])
async def test_nodes_are_listed_with_how_they_give_and_the_page_opens_from_the_palette_too(
    world: World, size: tuple[int, int]
) -> None:
    """REC-10: the configured nodes, of both kinds."""
    async with console_over(world).run_test(size=size) as pilot:
        await on_the_nodes(pilot)
        shown = screen_text(pilot)
        assert "ARCHIVE" in shown and "C-MOVE" in shown and "DICOMweb" in shown and "No pulls yet" in shown
        await pilot.press("escape", "1")
        await settled(pilot)
        await pilot.press("colon")
        await pilot.pause(0.1)
        await pilot.press(*"pacs nodes")
        await see(pilot, "Test them, find studies on them")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, NodesPage), "the page")


async def test_without_a_node_the_page_says_where_one_is_entered(world: World) -> None:
    world.archive.nodes = []
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await see(pilot, "Receiver")
        await pilot.press("n")
        await see(pilot, "No PACS node yet.")
        assert "Settings, PACS nodes" in screen_text(pilot)


async def test_a_node_is_tested_with_its_saved_settings(world: World) -> None:
    """REC-10: tested by C-ECHO."""
    world.settings["nodes"] = {"nodes": [{"name": "ARCHIVE", "host": "pacs.example"}], "web": [{"name": "web one"}]}
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await on_the_nodes(pilot)
        await pilot.press("T")
        await see(pilot, "node ARCHIVE: C-ECHO succeeded.")
        await pilot.press("escape", "down", "T")
        await see(pilot, "web one: does not work")


async def test_who_is_no_administrator_is_not_offered_the_test(world: World) -> None:
    world.role = "user"
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await on_the_nodes(pilot)
        labels = {hint.label for hint in pilot.app.screen.every_key()}  # type: ignore[attr-defined]
        assert "Find studies" in labels and "Test" not in labels


async def test_a_search_names_its_keys_and_says_what_is_wrong_with_them(world: World) -> None:
    """REC-10: find by patient and study fields."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await on_the_nodes(pilot)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskNode), "the search")
        await see(pilot, "Description")
        await pilot.press(*"4711", "tab", "tab", "tab", *"2024", "ctrl+s")
        await see(pilot, "A date is YYYYMMDD")
        await pilot.press(*"0101-", "ctrl+s")
        await answers(pilot, 3)
    asked = world.archive.found[0]
    assert (asked["patient_id"], asked["study_date"], asked["modality"]) == ("4711", "20240101-", "MR")
    assert asked["reveal"] is False


async def test_answers_hide_their_patients_until_the_chosen_one_is_revealed_for_30_seconds(world: World) -> None:
    """UI-01: only the chosen answer is asked for with its patient, and it ends by itself."""
    clock = StoppedClock()
    console = console_over(world, clock=clock)
    async with console.run_test(size=(140, 30)) as pilot:
        await found(pilot)
        assert not patients_on(pilot)
        await pilot.press("down", "r")
        await until(pilot, lambda: bool(patients_on(pilot)), "the reveal")
        assert f"{PATIENT['patient_id']}1" in screen_text(pilot)
        assert f"{PATIENT['patient_id']}0" not in screen_text(pilot)
        shown = [asked for asked in world.archive.found if asked["reveal"]]
        assert [(one["pick"], one.get("level", "STUDY")) for one in shown] == [("pick-STUDY-1", "STUDY")]
        clock.forward(31)
        console.tick()
        await see(pilot, "PHI hidden")
        assert not patients_on(pilot)


async def test_what_was_typed_of_a_patient_is_not_shown_with_the_next_search(world: World) -> None:
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await on_the_nodes(pilot)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskNode), "the search")
        await pilot.press(*"PX7712", "ctrl+s")
        await answers(pilot, 3)
        assert "PX7712" not in screen_text(pilot)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskNode), "the search again")
        await see(pilot, "MR")
        assert "PX7712" not in screen_text(pilot)


async def test_answers_are_paged_at_the_node(world: World) -> None:
    """REC-10: paging."""
    world.archive.studies = 230
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await found(pilot, 200)
        await see(pilot, "1-200 studies and more")
        await pilot.press("right_square_bracket")
        await answers(pilot, 30)
        await see(pilot, "201-230 studies")
        assert [asked["skip"] for asked in world.archive.found] == [0, 200]
        await pilot.press("left_square_bracket")
        await answers(pilot, 200)


async def test_marked_studies_are_pulled_after_one_question_and_followed_to_their_end(world: World) -> None:
    """REC-10: pull from the console, with progress."""
    clock = StoppedClock()
    console = console_over(world, clock=clock)
    async with console.run_test(size=(100, 30), notifications=True) as pilot:
        await found(pilot)
        await pilot.press("space", "space")
        await see(pilot, "2 marked")
        await pilot.press("P")
        await see(pilot, "Pull 2 studies?")
        assert "C-MOVE" in screen_text(pilot)
        await pilot.press("y")
        await see(pilot, "2 pulls asked for")
        assert ("/api/nodes/ARCHIVE/pulls", {"picks": ["pick-STUDY-0", "pick-STUDY-1"]}) in world.bodies
        assert len(world.archive.keys) == 1 and len(world.archive.keys[0]) == 32
        assert "marked" not in screen_text(pilot).splitlines()[-2]
        asked = len(world.archive.found)
        await pilot.press("escape")
        await see(pilot, "2 open")
        assert len(world.archive.found) == asked
        world.archive.pulls[0].update(state="RUNNING", completed=120, remaining=192)
        clock.forward(3)
        console.tick()
        await see(pilot, "120 of 312")
        world.archive.pulls[0].update(state="DONE", completed=312, remaining=0, study=identifier(1))
        world.archive.pulls[1].update(state="FAILED", detail="ARCHIVE is away.")
        world.emit("pull-done")
        await see(pilot, "312 came")
        await pilot.press("tab", "down")
        await see(pilot, "ARCHIVE is away.")


async def test_the_question_remains_unanswered_and_nothing_is_pulled(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await found(pilot)
        await pilot.press("P")
        await see(pilot, "Pull 1 study?")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, FoundPage), "the answers")
        assert world.archive.pulls == []


async def test_series_and_instances_of_an_answer_are_found_and_pulled_alone(world: World) -> None:
    """REC-10: find at series and image level."""
    async with console_over(world).run_test(size=(80, 24), notifications=True) as pilot:
        await found(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: world.archive.found[-1].get("pick") == "pick-STUDY-1", "the series")
        await answers(pilot, 3)
        await see(pilot, "3 series")
        await pilot.press("down", "P")
        await see(pilot, "Pull 1 series?")
        await pilot.press("y")
        await see(pilot, "1 pull asked for")
        assert world.bodies[-1][1] == {"picks": ["pick-SERIES-1"]}
        await pilot.press("enter")
        await see(pilot, "3 instances")
        assert world.archive.found[-1]["level"] == "IMAGE"
        await pilot.press("escape", "escape")
        await see(pilot, "3 studies")


async def test_a_node_that_refuses_is_told_in_words_with_what_to_do(world: World) -> None:
    """REC-10: refused answers."""
    detail = "The PACS node ARCHIVE refuses the query with A900H."
    world.archive.refusal = problem(422, "query-refused", "Refused", detail, next_step="Ask with other keys.")
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await on_the_nodes(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskNode), "the search")
        await pilot.press("ctrl+s")
        await see(pilot, "refuses the query with A900H")
        await see(pilot, "Next: Ask with other keys.")
        world.archive.refusal = None
        await pilot.press("f5")
        await answers(pilot, 3)


async def test_priors_are_pulled_from_an_answer_that_is_here_and_from_the_list_of_studies(world: World) -> None:
    """REC-10: the priors of a patient."""
    path = f"/api/studies/{identifier(0)}/priors"
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await found(pilot)
        await pilot.press("N")
        await see(pilot, "Pull the patient's other studies?")
        await pilot.press("y")
        await see(pilot, "ARCHIVE is asked for 1 study")
        assert (path, {"node": "ARCHIVE", "modality": "MR"}) in world.bodies
        world.archive.priors = 0
        await pilot.press("1")
        await settled(pilot)
        await pilot.press("N")
        await see(pilot, "Other MR studies from")
        await pilot.press("down", "enter")
        await see(pilot, "web one holds no other MR study")
        assert world.bodies[-1] == (path, {"node": "web one", "modality": "MR"})


async def test_an_open_pull_is_cancelled_after_a_question(world: World) -> None:
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await found(pilot)
        await pilot.press("P")
        await see(pilot, "Pull 1 study?")
        await pilot.press("y")
        await see(pilot, "1 pull asked for")
        await pilot.press("escape")
        await see(pilot, "1 open")
        await pilot.press("tab", "x")
        await see(pilot, "Cancel pull")
        await pilot.press("y")
        await see(pilot, "Cancelled")
        assert world.archive.pulls[0]["state"] == "CANCELLED"
