"""The console where people sign in by single sign-on: PC-38."""

from textual.widgets import Input

from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.world import World
from tui.screens.login import LoginScreen

ONLY = {"password": False, "single_sign_on": True, "single_sign_on_path": "/api/saml/login"}


async def test_without_passwords_the_form_asks_for_a_code_of_the_browser(world: World) -> None:
    """ "SAML only" hides the password form."""
    world.ways = ONLY
    async with console_over(world, signed_in=False).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, LoginScreen), "the sign-in")
        await until(pilot, lambda: getattr(pilot.app.focused, "id", "") == "code", "the field of the code")
        assert not pilot.app.screen.query("#password")
        await until(pilot, lambda: "/api/saml/login?next=console" in screen_text(pilot).replace("\n", ""), "the hint")
        await pilot.press(*"wrong", "enter")
        await until(pilot, lambda: "This code is wrong." in screen_text(pilot), "the refusal")
        assert pilot.app.screen.query_one("#code", Input).value == ""
        await pilot.press(*"AAAA-BBBB-CCCC", "enter")
        await settled(pilot)
        assert not isinstance(pilot.app.screen, LoginScreen)


async def test_with_both_ways_a_key_changes_to_the_code(world: World) -> None:
    world.ways = {**ONLY, "password": True}
    async with console_over(world, signed_in=False).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, LoginScreen), "the sign-in")
        await until(pilot, lambda: "F2: single sign-on." in screen_text(pilot), "the offer")
        assert pilot.app.screen.query("#password")
        await pilot.press("f2")
        await until(pilot, lambda: getattr(pilot.app.focused, "id", "") == "code", "the field of the code")
        assert not pilot.app.screen.query("#password")


async def test_without_single_sign_on_nothing_changes(world: World) -> None:
    async with console_over(world, signed_in=False).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: ("GET", "/api/sign-in-ways") in world.requests, "the question")
        await pilot.press("f2")
        await pilot.pause()
        assert pilot.app.screen.query("#password")
