"""Settings: forms made from the schema, errors on the field, a diff before saving, nothing typed is lost, no secret shown."""

import copy

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from appliance.settings import schema
from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.facts import SETTINGS_SCHEMA
from tests.tui.world import World
from tui.form import SECRET_KEPT, Unreadable, sections
from tui.screens.settings import SettingsPage
from tui.widgets.choice import Choice


async def see(pilot: Pilot[int], text: str) -> None:
    """Waits until a text is on the screen."""
    await until(pilot, lambda: text in screen_text(pilot), repr(text))


async def receiving(pilot: Pilot[int]) -> None:
    """Opens the section of the receiver and goes to its first field."""
    await settled(pilot)
    await pilot.press("6")
    await see(pilot, "Site name")
    await pilot.press("down")
    await see(pilot, "AE title")
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.focused, Input), "the first field")


async def into_port(pilot: Pilot[int], value: str) -> None:
    """Types a new port."""
    pilot.app.screen.query_one("#f-receive-port", Input).focus()
    await pilot.press("end", "backspace", "backspace", "backspace", *value)


def test_every_kind_of_field_is_read_from_the_schema() -> None:
    kinds = {field.key: field.kind for section in sections(SETTINGS_SCHEMA) for field in section.fields}
    assert kinds["receive.port"] == "whole"
    assert kinds["receive.allowed_callers"] == "list"
    assert kinds["receive.open_orders"] == kinds["receive.late_instances"] == "choice"
    assert kinds["delivery.token"] == "secret"
    assert kinds["delivery.destinations"] == "json"


def test_certificates_and_keys_have_room_for_their_lines() -> None:
    """UI-09: a PEM pasted into one line would lose all but the first."""
    fields = {field.key: field for section in sections(schema()) for field in section.fields}
    for name in ("tls_certificate", "tls_key", "tls_authority"):
        assert fields[f"access.{name}"].tall
        assert fields[f"receive.{name}"].tall
    assert fields["access.tls_key"].kind == "secret"
    assert not fields["access.port"].tall


def test_what_is_shown_reads_back_to_the_same_value() -> None:
    values = {
        "receive.port": 104,
        "receive.allowed_callers": ["A", "B"],
        "receive.open_orders": False,
        "delivery.destinations": [{}],
    }
    for field in (field for section in sections(SETTINGS_SCHEMA) for field in section.fields):
        if field.key in values:
            assert field.read(field.show(values[field.key])) == values[field.key]


def test_a_number_that_is_none_is_refused_before_anything_is_sent() -> None:
    port = next(field for field in sections(SETTINGS_SCHEMA)[1].fields if field.name == "port")
    with pytest.raises(Unreadable):
        port.read("eleven")


async def test_a_change_is_shown_before_it_is_saved_with_what_restarts(world: World) -> None:
    """PC-32, UI-05: typed fields with help; a diff before saving."""
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await receiving(pilot)
        await into_port(pilot, "11112")
        await see(pilot, "1 unsaved change")
        await pilot.press("ctrl+s")
        await see(pilot, "receive.port: 104 › 11112")
        assert "Restart needed: receive." in screen_text(pilot)
        assert not any(path == "/api/settings" for path, _ in world.bodies)
        await pilot.press("y")
        await until(pilot, lambda: world.settings["receive"]["port"] == 11112, "the save")
        await see(pilot, "version 4")
        assert "unsaved" not in screen_text(pilot)


async def test_a_refused_value_is_told_under_its_field_and_kept(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await receiving(pilot)
        await into_port(pilot, "99999")
        await pilot.press("ctrl+s")
        await see(pilot, "Save these settings?")
        await pilot.press("y")
        await see(pilot, "expected `int` <= 65535")
        assert pilot.app.screen.query_one("#f-receive-port", Input).value == "99999"
        assert world.settings_version == 3


async def test_somebody_elses_save_is_told_and_the_typing_is_kept(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24), notifications=True) as pilot:
        await receiving(pilot)
        await into_port(pilot, "11112")
        page = pilot.app.screen
        assert isinstance(page, SettingsPage)
        page._view = type(page._view)(version=2, settings=page._view.settings)
        await pilot.press("ctrl+s")
        await see(pilot, "Save these settings?")
        await pilot.press("y")
        await see(pilot, "Somebody else saved")
        await until(pilot, lambda: page._view.version == 3, "the newer settings")
        assert page.drafts == {"receive.port": "11112"}


async def test_what_was_typed_survives_other_pages_and_quitting_asks(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await receiving(pilot)
        await into_port(pilot, "11112")
        await pilot.press("escape", "1")
        await settled(pilot)
        await pilot.press("q")
        await see(pilot, "is not saved and will be lost")
        await pilot.press("n", "6")
        await see(pilot, "1 unsaved change")
        assert pilot.app.screen.query_one("#f-receive-port", Input).value == "11112"


async def test_a_field_is_undone_and_a_choice_is_changed_with_space(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await receiving(pilot)
        choice = pilot.app.screen.query_one("#f-receive-open-orders", Choice)
        choice.focus()
        await pilot.press("space")
        await see(pilot, "< off >")
        page = pilot.app.screen
        assert isinstance(page, SettingsPage)
        assert page.drafts == {"receive.open_orders": "off"}
        await pilot.press("ctrl+z")
        await see(pilot, "< on >")
        assert page.drafts == {}


async def test_a_secret_is_said_to_be_set_and_never_shown_nor_sent_back(world: World) -> None:
    """PC-35: secrets are never shown again."""
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await receiving(pilot)
        await pilot.press("escape", "down")
        await see(pilot, "set; type to replace")
        assert SECRET_KEPT not in screen_text(pilot)
        pilot.app.screen.query_one("#f-delivery-token", Input).focus()
        await pilot.press(*"hunter2")
        assert "hunter2" not in screen_text(pilot)
        await pilot.press("ctrl+s")
        await see(pilot, "delivery.token: changed")
        assert "hunter2" not in screen_text(pilot)


async def test_who_is_no_administrator_reads_settings_and_cannot_change_them(world: World) -> None:
    """PC-41: role user may not change settings."""
    world.role = "user"
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("6")
        await see(pilot, "read only")
        assert all(field.disabled for field in pilot.app.screen.query(Input))


async def test_a_field_that_cannot_be_set_says_why_below_it_and_takes_no_keys(world: World) -> None:
    """UI-04: what this version does not read is shown as unavailable with the reason; conditions are shown too."""
    schema = copy.deepcopy(SETTINGS_SCHEMA)
    fields = schema["$defs"]["receive"]["properties"]
    fields["quiet_seconds"]["x-unavailable"] = "nothing reads it"
    fields["ae_title"]["x-applies-when"] = "receive.late_instances=sometimes|never"
    world.schema = schema
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await receiving(pilot)
        quiet, title = (pilot.app.screen.query_one(f"#f-receive-{name}", Input) for name in ("quiet-seconds", "ae-title"))
        assert (quiet.disabled, title.disabled) == (True, True)
        assert "not available: nothing reads it" in screen_text(pilot)
        assert "only with receive.late_instances" in screen_text(pilot)


async def test_a_connection_is_tested_as_it_stands_in_the_form_before_it_is_saved(world: World) -> None:
    """PC-34: test buttons take what was typed."""
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await receiving(pilot)
        await pilot.press("escape", "down")
        await see(pilot, "Result destinations")
        typed = pilot.app.screen.query_one("#f-delivery-destinations", TextArea)
        typed.text = '[{"name": "PACS", "host": "pacs.example"}, {"name": "old", "host": "old.example"}]'
        await see(pilot, "1 unsaved change")
        await pilot.press("ctrl+t")
        await see(pilot, "PACS: works")
        assert "delivery PACS: C-ECHO succeeded." in screen_text(pilot)
        assert "old: does not work" in screen_text(pilot)
        assert not any(path == "/api/settings" for path, _ in world.bodies)
        await pilot.press("escape")
        typed.text = "["
        await pilot.press("ctrl+t")
        await see(pilot, "is not JSON")


async def test_a_test_object_is_stored_after_a_question_that_names_the_patient(world: World) -> None:
    """RES-02: a second button, which asks."""
    async with console_over(world).run_test(size=(100, 30), notifications=True) as pilot:
        await receiving(pilot)
        await pilot.press("escape", "down")
        await see(pilot, "Result destinations")
        typed = pilot.app.screen.query_one("#f-delivery-destinations", TextArea)
        typed.text = '[{"protocol": "rest", "name": "HIS"}, {"protocol": "dicom-sr", "name": "PACS", "host": "pacs.example"}]'
        await see(pilot, "1 unsaved change")
        await pilot.press("ctrl+o")
        await see(pilot, "Store a test object?")
        assert "RANVIER^TEST (ID RANVIER-TEST)" in " ".join(screen_text(pilot).split())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsPage), "the form again")
        assert not [path for path, _ in world.bodies if path.endswith("test-object")]
        await pilot.press("ctrl+o", "y")
        await see(pilot, "RANVIER-TEST was stored at PACS.")
        assert "HIS: works" not in screen_text(pilot)
