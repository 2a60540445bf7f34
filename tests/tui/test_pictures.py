"""Pictures of every screen in 80x24 and 100x30, with a stopped clock and fixed identifiers."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import console_over, endless_pause, screen_text, settled, table, until
from tests.tui.facts import PASSWORD, PATIENT
from tests.tui.nodes import pulls_in_every_state
from tests.tui.world import World
from tui.screens.login import LoginScreen
from tui.screens.studies import StudiesPage
from tui.screens.study import StudyScreen

Compare = Callable[..., bool]
Before = Callable[[Pilot[int]], Awaitable[None]]
SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((100, 30), id="100x30")]
both_sizes = pytest.mark.parametrize("size", SIZES)


def row(number: int) -> Before:
    """Puts the cursor on a study."""

    async def before(pilot: Pilot[int]) -> None:
        await settled(pilot)
        table(pilot).move_cursor(row=number)
        await pilot.pause()

    return before


def then(*steps: Any) -> Before:
    """Does one step after the other: keys to press, texts to wait for, functions to await."""

    async def before(pilot: Pilot[int]) -> None:
        for step in steps:
            if callable(step):
                await step(pilot)
            elif step.startswith("see:"):
                wanted = step.removeprefix("see:")
                await until(pilot, partial(_shows, pilot, wanted), repr(wanted))
            else:
                await pilot.press(step)
                await pilot.pause()

    return before


def _shows(pilot: Pilot[int], wanted: str) -> bool:
    return wanted in screen_text(pilot)


def opened(number: int, *keys: str) -> Before:
    """Opens a study's detail."""

    async def shown(pilot: Pilot[int]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, StudyScreen)
        await until(pilot, lambda: screen.study is not None, "the study")

    return then(row(number), "enter", shown, *keys)


async def typed(pilot: Pilot[int], text: str) -> None:
    """Types a text."""
    await pilot.press(*("underscore" if letter == "_" else letter for letter in text))


def signing_in(password: str) -> Before:
    """Types user and password and presses Enter."""

    async def before(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, LoginScreen), "the sign-in")
        await until(pilot, lambda: "database" in screen_text(pilot), "the service line")
        await typed(pilot, "admin")
        await pilot.press("tab")
        if password:
            await typed(pilot, password)
            await pilot.press("enter")

    return before


@both_sizes
def test_the_sign_in_shows_the_service_before_anybody_is_in(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    app = console_over(world, signed_in=False)
    assert snap_compare(app, terminal_size=size, run_before=signing_in(""))


@both_sizes
def test_a_wrong_password_says_how_many_tries_are_left(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    app = console_over(world, signed_in=False)
    assert snap_compare(app, terminal_size=size, run_before=then(signing_in("wrong"), "see:2 tries left"))


def test_a_locked_account_says_until_when(snap_compare: Compare, world: World) -> None:
    world.locked_until = "2026-11-22T13:37:00.000Z"
    app = console_over(world, signed_in=False)
    assert snap_compare(app, run_before=then(signing_in(PASSWORD), "see:locked until"))


def test_an_appliance_that_is_down_is_named_on_the_sign_in_with_what_to_do(snap_compare: Compare, world: World) -> None:
    world.down = True
    app = console_over(world, signed_in=False)
    assert snap_compare(app, run_before=then("see:Cannot reach"))


@both_sizes
def test_studies_are_listed_with_their_patients_hidden(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=row(0))


@both_sizes
def test_a_revealed_study_shows_its_patient_and_counts_down(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    steps = then(row(2), "r", f"see:{PATIENT['patient_name'][:9]}")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_marked_studies_carry_a_star(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    steps = then(row(1), "space", "space", "see:2 marked")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_a_filter_shows_its_matches_and_stays_visible(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    async def filtered(pilot: Pilot[int]) -> None:
        await pilot.press("slash")
        await typed(pilot, "status:qc_failed,delivered")
        await pilot.press("enter")
        await until(pilot, lambda: table(pilot).row_count == 2, "two matches")

    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(0), filtered))


@both_sizes
def test_a_bad_filter_says_what_is_wrong_where_and_keeps_the_list(
    snap_compare: Compare, world: World, size: tuple[int, int]
) -> None:
    async def filtered(pilot: Pilot[int]) -> None:
        await pilot.press("slash")
        await typed(pilot, "wrong:thing")
        await pilot.press("enter")
        await until(pilot, lambda: "There is no filter" in screen_text(pilot), "the message")

    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(0), filtered))


@both_sizes
def test_an_empty_list_says_where_to_send_the_first_study(snap_compare: Compare, size: tuple[int, int]) -> None:
    steps = then("see:10.10.20.50", "see:live")
    assert snap_compare(console_over(World([])), terminal_size=size, run_before=steps)


@both_sizes
def test_a_list_that_cannot_be_loaded_says_what_why_and_next(
    snap_compare: Compare, world: World, size: tuple[int, int]
) -> None:
    app = console_over(world, pause=endless_pause)

    async def down(pilot: Pilot[int]) -> None:
        await settled(pilot)
        page = pilot.app.screen
        assert isinstance(page, StudiesPage)
        page.rows = {}
        world.down = True
        world.cut()
        await pilot.press("f5")
        await until(pilot, lambda: "Nobody listens" in screen_text(pilot), "the error")
        await until(pilot, lambda: "retry" in screen_text(pilot), "the lost stream")

    assert snap_compare(app, terminal_size=size, run_before=down)


@both_sizes
@pytest.mark.parametrize(("key", "seen"), [("i", "Opened"), ("e", "Directions"), ("t", "filed from"), ("p", "whole brain")])
def test_a_study_shows_its_series_and_one_tab(
    snap_compare: Compare, world: World, size: tuple[int, int], key: str, seen: str
) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(opened(5), key, f"see:{seen}"))


@both_sizes
def test_a_study_that_failed_qc_says_why_and_what_to_do(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=opened(3))


@both_sizes
def test_the_detail_shows_the_patient_after_a_reveal(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    steps = then(opened(2), "r", f"see:{PATIENT['patient_id']}")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_the_status_window_says_where_an_order_stands(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    steps = then(row(4), "s", "see:Stage")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_cancelling_names_the_order_and_the_effect_and_offers_no_first(
    snap_compare: Compare, world: World, size: tuple[int, int]
) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(4), "x", "see:Keep"))


@both_sizes
def test_bypassing_warns_and_wants_a_reason(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(3), "b", "see:Reason", "enter"))


@both_sizes
def test_age_and_sex_are_asked_in_their_forms(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(3), "m", "see:Age"))


@both_sizes
def test_help_lists_every_key_of_the_page(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(3), "question_mark", "see:Keys"))


@both_sizes
def test_results_are_listed_with_their_deliveries(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(0), "2", "see:Report 0"))


@both_sizes
def test_settings_are_forms_with_what_changed_marked(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    steps = then(row(0), "6", "see:Site name", "down", "see:AE title", "enter", "X", "see:unsaved")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_the_system_page_shows_processes_queue_and_receiver(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(0), "7", "see:Receiver"))


@both_sizes
def test_pacs_nodes_are_listed_above_their_pulls(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    """A pull that runs, one that is done, one that failed."""
    world.archive.pulls = pulls_in_every_state()
    steps = then(row(0), "7", "see:Receiver", "n", "see:120 of 312", "tab", "down", "see:refuses")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_what_a_node_holds_is_listed_with_its_patients_hidden(
    snap_compare: Compare, world: World, size: tuple[int, int]
) -> None:
    steps = then(row(0), "7", "see:Receiver", "n", "see:ARCHIVE", "slash", "see:Modality", "ctrl+s", "see:3 studies", "space")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_groups_are_listed_with_how_far_they_are(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(0), "3", "see:PARK-01"))


@both_sizes
@pytest.mark.parametrize(("tab", "seen"), [(0, "2 of 2"), (1, "quartiles"), (2, "503")])
def test_a_group_shows_members_statistics_and_reports(
    snap_compare: Compare, world: World, size: tuple[int, int], tab: int, seen: str
) -> None:
    opened_group = ("3", "see:PARK-01", "enter", "see:2 of 2", *["right_square_bracket"] * tab, f"see:{seen}")
    assert snap_compare(console_over(world), terminal_size=size, run_before=then(row(0), *opened_group))


@both_sizes
def test_scheduled_tasks_are_listed_above_their_results(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    steps = then(row(0), "7", "see:Receiver", "t", "see:OSError")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_notices_say_what_was_told_and_what_was_held_back(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    steps = then(row(0), "7", "see:Receiver", "N", "see:suppressed")
    assert snap_compare(console_over(world), terminal_size=size, run_before=steps)


@both_sizes
def test_a_plain_terminal_gets_plain_characters_only(snap_compare: Compare, world: World, size: tuple[int, int]) -> None:
    async def ascii_only(pilot: Pilot[int]) -> None:
        assert screen_text(pilot).isascii()

    assert snap_compare(console_over(world, plain=True), terminal_size=size, run_before=then(row(2), ascii_only))


def test_the_light_theme_has_the_same_words(snap_compare: Compare, world: World) -> None:
    assert snap_compare(console_over(world), terminal_size=(100, 30), run_before=then(row(2), "ctrl+t"))


def test_a_terminal_under_80x24_gets_a_notice(snap_compare: Compare, world: World) -> None:
    assert snap_compare(console_over(world), terminal_size=(79, 23), run_before=then("see:at least 80x24"))


def test_a_wide_terminal_gets_wider_columns(snap_compare: Compare, world: World) -> None:
    assert snap_compare(console_over(world), terminal_size=(160, 40), run_before=row(2))
