"""Live updates go into rows and never move the cursor; broken streams are told, bridged and resumed."""

from tests.tui.conftest import StoppedClock, console_over, endless_pause, screen_text, settled, table, until
from tests.tui.facts import eight_studies, identifier, study_row
from tests.tui.world import World
from tui.app import POLL_S
from tui.screens.studies import StudiesPage


def page_of(app: object) -> StudiesPage:
    """The studies page on top."""
    page = app.screen  # type: ignore[attr-defined]
    assert isinstance(page, StudiesPage)
    return page


async def test_a_new_study_appears_above_and_the_cursor_stays_on_its_row(world: World) -> None:
    """PC-02: every study is listed as soon as its first object arrives."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("down", "down", "down")
        assert page_of(pilot.app).table.current == identifier(3)
        world.studies.insert(0, study_row(-1, "RECEIVING", instances=1))
        world.emit("instances-arrived", identifier(-1))
        await until(pilot, lambda: table(pilot).row_count == 9, "the new study")
        await pilot.pause()
        assert page_of(pilot.app).table.current == identifier(3)
        assert table(pilot).cursor_coordinate.row == 4


async def test_a_row_changes_its_state_without_a_key_press(world: World) -> None:
    """PO-23: progress and status changes reach an open list without a key press."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("down", "down")
        world.change(2, "DELIVERED")
        await until(pilot, lambda: screen_text(pilot).count("● Delivered") == 2, "the new state")
        assert page_of(pilot.app).table.current == identifier(2)


async def test_progress_goes_into_its_row_without_asking_the_api(world: World) -> None:
    async with console_over(world).run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        asked = len(world.requests)
        world.emit("progress", identifier(4), {"percent": 71, "step": "maps 6/7", "stage": "products"})
        await until(pilot, lambda: "Processing 71%" in screen_text(pilot), "the percent")
        assert "maps 6/7" in screen_text(pilot)
        assert len(world.requests) == asked


async def test_cells_that_did_not_change_are_left_alone(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        written: list[str] = []
        original = table(pilot).update_cell
        table(pilot).update_cell = lambda *given, **more: (written.append(given[0]), original(*given, **more))  # type: ignore[assignment, func-returns-value]
        world.change(4, "FAILED")
        await until(pilot, lambda: "✖ Failed" in screen_text(pilot), "the new state")
        assert set(written) == {identifier(4)}


async def test_a_study_that_left_the_list_takes_the_cursor_to_a_row_that_exists(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("G")
        world.studies.pop()
        world.emit("study-quarantined")
        await until(pilot, lambda: table(pilot).row_count == 7, "the row to go")
        await pilot.pause()
        assert page_of(pilot.app).table.current in {row["study"] for row in world.studies}


async def test_a_broken_stream_resumes_after_the_last_event(world: World) -> None:
    """UI-04: the stream resumes with Last-Event-ID; nothing is lost."""
    console = console_over(world)
    async with console.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        world.emit("study-stable", identifier(0))
        await until(pilot, lambda: world.requests.count(("GET", "/api/studies")) >= 2, "the event's request")
        world.cut()
        await until(pilot, lambda: len(world.stream_headers) == 2 and console.live.connected, "the second connection")
    assert world.stream_headers == ["", "101"]


async def test_a_broken_stream_is_told_and_the_list_asks_every_five_seconds(world: World) -> None:
    clock = StoppedClock()
    console = console_over(world, clock=clock, pause=endless_pause)
    async with console.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        world.cut()
        await until(pilot, lambda: "live ✖ retry 1 s" in screen_text(pilot), "the words")
        world.studies.pop()
        clock.forward(POLL_S + 1)
        console.tick()
        await until(pilot, lambda: table(pilot).row_count == 7, "the polled list")


async def test_an_api_that_goes_away_leaves_the_last_rows_with_their_age(world: World) -> None:
    clock = StoppedClock()
    console = console_over(world, clock=clock, pause=endless_pause)
    async with console.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        world.down = True
        world.cut()
        clock.forward(14)
        await pilot.press("f5")
        await until(pilot, lambda: "data 14 s old" in screen_text(pilot), "the age")
        assert table(pilot).row_count == 8
        assert "Cannot reach http://gw01:3001." in screen_text(pilot)
        world.down = False
        await pilot.press("f5")
        await until(pilot, lambda: "8 of 8" in screen_text(pilot), "the list again")


async def test_the_list_is_paged_on_the_server_in_200_rows() -> None:
    """PC-15: 10,000 studies are paged on the server."""
    world = World([study_row(number, "DELIVERED") for number in range(1000)])
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot, rows=200)
        assert "1-200 of 1,000" in screen_text(pilot)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "201-400 of 1,000" in screen_text(pilot), "the second page")
        assert page_of(pilot.app).table.current == identifier(200)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "1-200 of 1,000" in screen_text(pilot), "the first page")


async def test_other_peoples_sessions_end_on_the_sign_in_above_the_kept_screen(world: World) -> None:
    """PC-42: after the session the next key shows the sign-in over the kept screen."""
    console = console_over(world)
    async with console.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("down", "down")
        world.sessions.clear()
        await pilot.press("f5")
        await until(pilot, lambda: "Your session has ended" in screen_text(pilot), "the sign-in")
        await pilot.press("shift+tab", "tab")
        await pilot.press(*"Correct-Horse-7-Battery", "enter")
        await settled(pilot)
        assert page_of(pilot.app).table.current == identifier(2)


async def test_a_detail_follows_its_study(world: World) -> None:
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "? QC" in screen_text(pilot), "the detail")
        world.change(1, "FAILED", detail="dcm2niix made no images.")
        await until(pilot, lambda: "dcm2niix made no images." in screen_text(pilot), "the reason")


async def test_another_theme_colours_the_rows_that_are_there(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        before = page_of(pilot.app).table.get_cell(identifier(3), "state").style
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert page_of(pilot.app).table.get_cell(identifier(3), "state").style != before


def test_the_fake_world_has_every_state_once() -> None:
    assert len({row["state"] for row in eight_studies()}) == 8
