"""Groups in the console: list, seek, make, members, statistics, reports, and the upload of a cohort."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.test_keys import see
from tests.tui.world import World
from tui.screens.group import GroupScreen
from tui.screens.groups import GroupsPage
from tui.screens.study import StudyScreen


async def on_the_groups(pilot: Pilot[int]) -> None:
    """Opens the page."""
    await settled(pilot)
    await pilot.press("3")
    await see(pilot, "PARK-01")


async def in_the_group(pilot: Pilot[int]) -> None:
    """Opens the first group."""
    await on_the_groups(pilot)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, GroupScreen), "the group")
    await see(pilot, "2 of 2 studies")


def labels(pilot: Pilot[int]) -> set[str]:
    """The keys that are offered."""
    return {hint.label for hint in pilot.app.screen.every_key()}  # type: ignore[attr-defined]


async def test_groups_are_listed_with_how_far_they_are_and_sought_by_name(world: World) -> None:
    """GRP-01: list and search; the last report with how it went, and when the next comes."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await on_the_groups(pilot)
        shown = screen_text(pilot)
        assert "171" in shown and "▲ failed" in shown and "11-26 06:00" in shown and "when done" in shown
        assert "2 wait for a person" in shown and "18 at work" in shown
        await pilot.press("down")
        await see(pilot, "installed is dti 1.1.0")
        await pilot.press("slash", *"msa", "enter")
        await until(pilot, lambda: "PARK-01" not in screen_text(pilot), "the search")
        assert "MSA-pilot" in screen_text(pilot)
        await pilot.press("c")
        await see(pilot, "PARK-01")


async def test_without_groups_the_page_says_what_one_is(world: World) -> None:
    world.cohorts.groups = []
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await see(pilot, "No groups.")
        assert "the same products" in screen_text(pilot)


async def test_a_group_is_made_with_its_products_and_a_name_that_is_taken_is_refused(world: World) -> None:
    """GRP-01: create."""
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await on_the_groups(pilot)
        await pilot.press("n", *"../x", "ctrl+s")
        await see(pilot, "Up to 40 letters")
        await pilot.press(*["backspace"] * 4, *"NEW 1", "tab", *"dti, dti-fw", "ctrl+s")
        await see(pilot, "Group NEW 1 uses dti 1.0.0, dti-fw 1.0.0.")
        assert ("/api/groups", {"group": "NEW 1", "products": ["dti", "dti-fw"]}) in world.bodies
        await pilot.press("n", *"PARK-01", "ctrl+s")
        await see(pilot, "There is a group PARK-01 already.")


@pytest.mark.parametrize("size", [(80, 24), (100, 30)])
async def test_a_group_shows_members_numbers_with_outliers_and_reports(world: World, size: tuple[int, int]) -> None:
    """GRP-02: the studies that stand out are named and open with a key."""
    async with console_over(world).run_test(size=size) as pilot:
        await in_the_group(pilot)
        await pilot.press("right_square_bracket")
        await see(pilot, "Fractional")
        shown = screen_text(pilot)
        assert "0.4312" in shown and "quartiles 0.41 and 0.45" in shown and "(0.91)" in shown
        await pilot.press("down")
        await see(pilot, "No outlier")
        await pilot.press("up", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the study that stands out")
        await pilot.press("escape", "right_square_bracket")
        await see(pilot, "HTTP 503")
        assert "0 of 1 sent" in screen_text(pilot) and "1 of 1 sent" in screen_text(pilot)
        await pilot.press("m")
        await see(pilot, 'group:"PARK-01"')


async def test_a_report_is_made_now_sent_and_saved_in_a_format(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GRP-02: on demand; the console saves on the machine that it runs on."""
    monkeypatch.chdir(tmp_path)
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await in_the_group(pilot)
        await pilot.press("R")
        await see(pilot, "Send the newest report again")
        await pilot.press("enter")
        await see(pilot, "Version 3: 171 of 200 studies have a result.")
        await pilot.press("R", "down", "enter")
        await see(pilot, "It goes to 1 destinations.")
        await pilot.press("R", "down", "down", "enter")
        await until(pilot, lambda: len(world.cohorts.asked) == 3, "the third wish")
        await pilot.press("d", "enter")
        await until(pilot, lambda: (tmp_path / "PARK-01_est.csv").exists(), "the file")
    assert world.cohorts.asked == [
        ("PARK-01", {"send": False}),
        ("PARK-01", {"send": True}),
        ("PARK-01", {"again": "newest"}),
    ]


async def test_newer_versions_are_accepted_and_an_empty_group_goes_after_a_question(world: World) -> None:
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await on_the_groups(pilot)
        assert "Accept versions" not in labels(pilot) and "Remove" not in labels(pilot)
        await pilot.press("down", "e")
        await see(pilot, "Further studies are analysed by dti 1.1.0")
        await pilot.press("y")
        await see(pilot, "MSA-pilot is fixed to dti 1.1.0.")
        await pilot.press("down", "x")
        await see(pilot, "It has no studies.")
        await pilot.press("y")
        await see(pilot, "Group empty one is gone.")
    assert [one["group"] for one in world.cohorts.groups] == ["PARK-01", "MSA-pilot"]


async def test_who_is_no_administrator_makes_reports_and_sends_none(world: World) -> None:
    """PC-41."""
    world.role = "user"
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await on_the_groups(pilot)
        await pilot.press("R")
        await see(pilot, "Make a report of the 200 studies")
        assert "send" not in screen_text(pilot).lower()
        await pilot.press("escape", "down")
        await see(pilot, "installed is dti 1.1.0")
        assert "Accept versions" not in labels(pilot)


async def test_a_cohort_is_uploaded_zip_by_zip_and_a_bad_one_is_named_and_stops_no_other(world: World, tmp_path: Path) -> None:
    """GRP-01: one ZIP for each study; quitting meanwhile is asked about."""
    for name in ("a.zip", "bad.zip", "c.ZIP"):
        (tmp_path / name).write_bytes(b"PK" + name.partition(".")[0].encode())
    (tmp_path / "notes.txt").write_text("no study")
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await on_the_groups(pilot)
        await pilot.press("U", *"/nowhere", "ctrl+s")
        await see(pilot, "There is no ZIP file.")
        await pilot.press(*["backspace"] * 8, *str(tmp_path), "ctrl+s")
        await see(pilot, "Upload of the cohort")
        shown = screen_text(pilot)
        assert "a.zip: 312 stored, 2 left out" in shown and "c.ZIP: 312 stored" in shown
        assert "bad.zip: This ZIP cannot be taken: it is no ZIP file." in shown
        await pilot.press("escape")
        page = pilot.app.screen
        assert isinstance(page, GroupsPage)
        page.uploading = "uploading 1 of 3"
        await pilot.press("ctrl+q")
        await see(pilot, "An upload is under way")
    assert world.cohorts.taken == [("PARK-01", b"PKa"), ("PARK-01", b"PKc")]


async def test_a_group_that_cannot_be_loaded_says_why(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await on_the_groups(pilot)
        world.down = True
        world.cut()
        await pilot.press("enter")
        await until(pilot, lambda: "Nobody listens" in screen_text(pilot), "the error")
