"""Text of strangers shows inert and aligned: terminal escapes, markup, bidirectional overrides, wide characters."""

import pytest
from rich.cells import cell_len

from tests.tui import facts
from tests.tui.conftest import console_over, screen_text, settled, until
from tests.tui.facts import study_row
from tests.tui.world import World
from tui.inert import fit, inert

HOSTILE = [
    "\x1b[2J\x1b[31mred",
    "\x9b31mC1",
    "[bold red]markup[/] [@click=app.quit]x[/]",
    "a\u202eKRAM\u202c b\u2066c\u2069",
    "zero\u200bwidth\u00adsoft",
    "e" + "\u0301" * 40 + "x",
    "山田^太郎=やまだ",
    "line\nbreak\ttab\r\x00\x07bell",
    "\ud800lone",
    "\U000e0041tag",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_left_that_a_terminal_would_obey(text: str) -> None:
    clean = inert(text)
    assert all(letter.isprintable() for letter in clean)
    assert not any(letter in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u00ad" for letter in clean)
    assert clean.count("\u0301") <= 2


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("width", [1, 2, 7, 30])
def test_every_text_fits_its_cells_exactly(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_markup_is_shown_and_not_read() -> None:
    assert inert("[bold]x[/]") == "[bold]x[/]"


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_patients_and_descriptions_leave_every_column_in_its_place(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    json_safe = text.encode("utf-8", "replace").decode()
    monkeypatch.setitem(facts.PATIENT, "patient_name", json_safe)
    monkeypatch.setitem(facts.PATIENT, "accession", json_safe)
    world = World([study_row(0, "PROCESSING", group=json_safe, step=json_safe, sender=json_safe, products=[json_safe])])
    async with console_over(world).run_test(size=(100, 30)) as pilot:
        await settled(pilot, rows=1)
        await pilot.press("r")
        await until(pilot, lambda: "PHI shown" in screen_text(pilot), "the reveal")
        lines = screen_text(pilot).splitlines()
        header = next(line for line in lines if "Patient" in line and "Status" in line)
        row = next(line for line in lines if "Processing" in line)
        before = row[: row.index("◐")]
        assert cell_len(before) == header.index("Status")
        assert row.endswith("14:32")
        await pilot.press("enter", "r")
        await until(pilot, lambda: "PHI shown" in screen_text(pilot), "the reveal in the detail")
        shown = screen_text(pilot)
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert all(cell_len(line) <= 100 for line in shown.splitlines())


async def test_hostile_error_answers_show_inert(world: World) -> None:
    async with console_over(world).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"[red]x[/]:1", "enter")
        await until(pilot, lambda: "There is no filter called '[red]x[/]'" in screen_text(pilot), "the message as it is")
