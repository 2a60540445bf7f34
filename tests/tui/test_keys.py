"""The console is used with keys only; every key of the key line does what it says."""

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import console_over, screen_text, settled, table, until
from tests.tui.facts import PASSWORD, USER, identifier
from tests.tui.world import World
from tui.app import PAGES
from tui.screens.login import LoginScreen
from tui.screens.studies import StudiesPage
from tui.screens.study import StudyScreen


async def see(pilot: Pilot[int], text: str) -> None:
    """Waits until a text is on the screen."""
    await until(pilot, lambda: text in screen_text(pilot), repr(text))


async def test_an_account_with_a_second_factor_is_asked_for_its_code(world: World) -> None:
    """UI-06: the code's field appears when it is wanted; a wrong code leaves the password as it is."""
    world.second_factor = "287082"
    async with console_over(world, signed_in=False).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, LoginScreen), "the sign-in")
        await pilot.press(*USER, "enter", *PASSWORD, "enter")
        await until(pilot, lambda: bool(pilot.app.screen.query("#code")), "the field of the code")
        await until(pilot, lambda: getattr(pilot.app.focused, "id", "") == "code", "the keys in it")
        await pilot.press(*"000000", "enter")
        await until(pilot, lambda: world.bodies[-1][1].get("code") == "000000", "the wrong code to be sent")
        await until(pilot, lambda: pilot.app.screen.query_one("#code", Input).value == "", "the field to be empty again")
        await pilot.press(*"287082", "enter")
        await settled(pilot)
        assert not isinstance(pilot.app.screen, LoginScreen)


async def test_a_whole_visit_works_without_a_mouse(world: World) -> None:
    """PC-46, PC-01: sign in, look, decide, read the report, sign out, by keys."""
    console = console_over(world, signed_in=False)
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, LoginScreen), "the sign-in")
        await pilot.press(*USER, "enter", *PASSWORD, "enter")
        await settled(pilot)
        await pilot.press("j", "j", "j", "enter")
        await see(pilot, "Age and sex are missing.")
        await pilot.press("right_square_bracket")
        await see(pilot, "Give the age (m).")
        await pilot.press("m")
        await see(pilot, "Age and sex")
        await pilot.press(*"63", "enter", "f", "enter")
        await until(pilot, lambda: any(path.endswith("/metadata") for path, _ in world.bodies), "the answer")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesPage), "the list")
        await pilot.press("G", "k", "p")
        await see(pilot, "FA, whole brain")
        await pilot.press("escape", "2")
        await see(pilot, "HIS delivery failed")
        await pilot.press("enter")
        await see(pilot, "not for clinical use")
        await pilot.press("escape", "7")
        await see(pilot, "RANVIER_SCP")
        await pilot.press("1")
        await settled(pilot)
    assert next(body for path, body in world.bodies if path.endswith("/metadata")) == {"age": "063Y", "sex": "F"}


async def test_cancel_needs_a_yes_and_enter_alone_means_no(world: World) -> None:
    """PC-09: cancel after a confirmation."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("j", "j", "j", "j", "x")
        await see(pilot, "Cancel order")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesPage), "the list")
        assert not any(path.endswith("/cancel") for _, path in world.requests)
        await pilot.press("x")
        await see(pilot, "Cancel order")
        await pilot.press("y")
        await until(pilot, lambda: any(path.endswith("/cancel") for _, path in world.requests), "the cancel")
        await until(pilot, lambda: screen_text(pilot).count("⌧ Cancelled") == 2, "the new state")


async def test_several_marked_orders_are_cancelled_with_one_question(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("j", "space", "space", "x")
        await see(pilot, "Cancel 2 orders?")
        await pilot.press("y")
        await until(pilot, lambda: sum(path.endswith("/cancel") for _, path in world.requests) == 2, "both")


async def test_a_bypass_needs_a_reason_and_is_sent_with_it(world: World) -> None:
    """PC-12: bypass after a warning, with a reason."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("j", "j", "j", "b", "enter")
        await see(pilot, "Give a reason")
        await pilot.press(*"telephone", "enter")
        await until(pilot, lambda: any(path.endswith("/bypass") for path, _ in world.bodies), "the bypass")
    assert world.bodies[-1][1] == {"reason": "telephone"}


async def test_force_stable_asks_first(world: World) -> None:
    """PC-14: a study can be forced stable."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("F")
        await see(pilot, "Take as complete now?")
        await pilot.press("y")
        await until(pilot, lambda: ("POST", f"/api/studies/{identifier(0)}/force-stable") in world.requests, "the call")


async def test_retry_sends_an_undelivered_report_again(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press(*"jjjjj", "R")
        await until(pilot, lambda: ("POST", f"/api/deliveries/{identifier(5, 3)}/resend") in world.requests, "the call")


@pytest.mark.parametrize("key", ["b", "F", "R", "U"])
async def test_a_user_who_is_no_administrator_is_not_offered_what_the_api_would_deny(world: World, key: str) -> None:
    """PC-41: keys are hidden in the console."""
    world.role = "user"
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        rows = {"b": 3, "F": 0, "R": 5, "U": 4}
        table(pilot).move_cursor(row=rows[key])
        await pilot.pause()
        label = {"b": "Bypass", "F": "Stable", "R": "Retry", "U": "Urgent"}[key]
        assert label not in screen_text(pilot).splitlines()[-1]
        await pilot.press(key)
        await pilot.pause(0.05)
        assert isinstance(pilot.app.screen, StudiesPage)


async def test_an_order_is_made_urgent_and_routine_again_by_key(world: World) -> None:
    """PRO-05: priority by hand, seen in the list and in the queue's figures."""
    path = f"/api/orders/{identifier(44, 1)}/priority"
    world.waiting = 1
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await see(pilot, "1 waiting, 12 min")
        await pilot.press(*"jjjj", "U")
        await see(pilot, "Processing 43% !")
        await until(pilot, lambda: ("PUT", path) in world.requests, "the call")
        await see(pilot, "1 waiting (1 urgent)")
        await pilot.press("s")
        await see(pilot, "Priority")
        await pilot.press("escape", "U")
        await until(pilot, lambda: world.bodies[-1] == (path, {"priority": "routine"}), "routine again")
        await until(pilot, lambda: "Processing 43% !" not in screen_text(pilot), "the mark to go")


async def test_processing_is_paused_after_a_question_and_resumed_by_the_same_key(world: World) -> None:
    """PRO-05: pause and resume; both the queue's page and the list say that nothing is started."""
    world.waiting = 1
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await see(pilot, "1 waiting, 2 running, done in about 12 min")
        await see(pilot, "on this appliance, 2 orders at once")
        await see(pilot, "P Pause processing")
        await pilot.press("P", "enter")
        assert not world.paused, "Enter alone means no"
        await pilot.press("P")
        await see(pilot, "Pause processing?")
        await pilot.press("y")
        await see(pilot, "done in about 12 min, paused")
        await see(pilot, "P Resume processing")
        await pilot.press("1")
        await see(pilot, "processing paused, 1 waiting")
        await pilot.press("7", "P")
        await until(pilot, lambda: not world.paused, "the call")
        await until(pilot, lambda: ", paused" not in screen_text(pilot), "the queue to go on")


async def test_the_system_page_says_that_the_limits_are_off(world: World) -> None:
    """PRO-04: System shows that core and memory limits are off."""
    world.limits = False
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await see(pilot, "core and memory limits are switched off")


async def test_a_change_that_open_orders_forbid_is_said_on_its_field(world: World) -> None:
    """PRO-07: the console shows the refusal where it was made, with the orders that are in the way."""
    field = {"enum": ["local", "cloud", "hub"], "title": "Processing mode", "description": "Where products run."}
    properties = {"compute": {"description": "Processing", "properties": {"mode": field}}}
    world.schema = {"properties": properties}
    world.settings = {"compute": {"mode": "local"}}
    world.refusals = {"compute.mode": "cannot change while orders are open: 8f7a11c2"}
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("6")
        await see(pilot, "Processing mode")
        await pilot.press("right")
        await see(pilot, "Where products run")
        await pilot.press("right", "ctrl+s")
        await see(pilot, "cloud")
        await pilot.press("y")
        await see(pilot, "cannot change while orders are open: 8f7a11c2")


async def test_a_bad_filter_keeps_the_list_and_escape_goes_back_to_it(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"wrong:x", "enter")
        await see(pilot, "There is no filter called 'wrong'.")
        assert table(pilot).row_count == 8
        assert isinstance(pilot.app.focused, Input)
        await pilot.press("escape")
        await until(pilot, lambda: table(pilot).has_focus, "the list's focus")
        assert "There is no filter" not in screen_text(pilot)


async def test_a_filter_is_sent_to_the_server_and_c_clears_it(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"status:failed", "enter")
        await see(pilot, "0 of 8 match.")
        assert "c clears the filter" in screen_text(pilot)
        await pilot.press("c")
        await until(pilot, lambda: table(pilot).row_count == 8, "all studies")


async def test_digits_go_into_the_filter_while_it_is_typed_and_change_pages_otherwise(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"27")
        assert pilot.app.screen.query_one("#filter", Input).value == "27"
        await pilot.press("escape", "2")
        await see(pilot, "[2 Results]")


async def test_every_page_of_the_tab_line_opens_on_its_number(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for entry in PAGES:
            await pilot.press(entry.key)
            await see(pilot, f"[{entry.key} {entry.title}]")


async def test_the_detail_closes_with_escape_and_a_page_does_not(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the detail")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesPage), "the list")
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, StudiesPage)


async def test_y_copies_the_identifier_and_the_second_time_shows_it_to_copy_by_hand(world: World) -> None:
    console = console_over(world)
    async with console.run_test(notifications=True, size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("y")
        await until(pilot, lambda: console.clipboard == identifier(0), "the copy")
        await see(pilot, "Copied")
        await pilot.press("y")
        await see(pilot, "Copy by hand")


async def test_help_is_made_from_the_bindings_and_enter_runs_one(world: World) -> None:
    """PC-01: help lists the keys of the page."""
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        page = pilot.app.screen
        assert isinstance(page, StudiesPage)
        labels = {hint.label for hint in page.every_key()}
        await pilot.press("question_mark")
        await see(pilot, "Enter runs one")
        for label in ("Filter", "Reveal", "Open"):
            assert label in labels and label in screen_text(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Enter runs one" not in screen_text(pilot), "help to close")


async def test_the_palette_finds_pages_and_actions(world: World) -> None:
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("colon")
        await pilot.pause(0.1)
        await pilot.press(*"results")
        await see(pilot, "Go to page 2")
        await pilot.press("enter")
        await see(pilot, "[2 Results]")


async def test_no_action_needs_alt_or_a_function_key_alone(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for screen in (pilot.app.screen,):
            by_action: dict[str, list[str]] = {}
            for key, found in screen.active_bindings.items():
                by_action.setdefault(found.binding.action, []).append(key)
            only = {
                action: keys
                for action, keys in by_action.items()
                if all(key.startswith(("alt+", "f")) and key != "f" for key in keys) and not action.startswith("command")
            }
    assert set(only) <= {"refresh"}, "F5 has the palette's Refresh beside it"


async def test_a_report_is_saved_under_its_name_and_never_over_another_file(
    world: World, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PO-16: the download is named <order>_report.<ext>."""
    monkeypatch.chdir(str(tmp_path))
    async with console_over(world).run_test(notifications=True, size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        await see(pilot, "HIS delivery failed")
        await pilot.press("d")
        await see(pilot, "Download report")
        await pilot.press("enter")
        await see(pilot, "Saved")
        await pilot.press("d")
        await see(pilot, "Download report")
        await pilot.press("enter")
        await see(pilot, "already a file of this name")


async def test_the_theme_changes_and_is_kept(world: World, tmp_path: object) -> None:
    from pathlib import Path

    from tui.preferences import load

    console = console_over(world)
    console._preferences_file = Path(str(tmp_path)) / "ranvier" / "console.json"
    async with console.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: console.theme == "ranvier-light", "the theme")
    assert load(console._preferences_file).theme == "ranvier-light"
