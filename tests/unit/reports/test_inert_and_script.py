"""Texts from outside: harmless in every format, and names in other scripts in the order they are read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.reports import paper
from appliance.reports.inert import inert, inert_struct
from appliance.reports.script import MISSING, drawable, in_visual_order, joined
from tests.unit.reports.samples import HOSTILE, a_picture, a_report, a_section


def test_control_and_format_characters_go_and_the_rest_stays() -> None:
    assert inert("a\x1b[31mb\r\nc\x00\u202ed\u2066e\x9b \t f") == "a[31mb cde f"
    assert inert("Müller <b>&amp;</b> {{7*7}} $HOME =1+1") == "Müller <b>&amp;</b> {{7*7}} $HOME =1+1"
    assert inert("می\u200cخواهم") == "می\u200cخواهم"


@given(st.text())
def test_inert_text_is_one_line_and_stays_as_it_is_the_second_time(text: str) -> None:
    once = inert(text)
    assert len(once.splitlines()) <= 1
    assert inert(once) == once
    assert all(ord(one) >= 32 for one in once)


def test_every_text_of_a_report_is_made_inert_but_paths_still_lead_to_their_files(tmp_path: Path) -> None:
    odd = tmp_path / "two  spaces"
    odd.mkdir()
    picture = a_picture(odd / "fa.png", HOSTILE)
    found = inert_struct(a_report(sections=[a_section([picture], notes=[HOSTILE], provenance={HOSTILE: HOSTILE})]))
    assert Path(found.sections[0].pictures[0].path).is_file()
    assert found.sections[0].pictures[0].title == inert(HOSTILE)
    assert found.sections[0].notes == [inert(HOSTILE)]
    assert found.sections[0].provenance == {inert(HOSTILE): inert(HOSTILE)}
    assert found.instances == 680


def test_hebrew_is_turned_into_reading_order_within_a_line_of_latin() -> None:
    assert in_visual_order("Patient: יעל כהן   ID: 1") == "Patient: ןהכ לעי   ID: 1"
    assert in_visual_order("שם (א) x") == "(א) םש x"


@pytest.mark.parametrize(
    ("letters", "shapes"),
    [
        ("محمد", "\ufee3\ufea4\ufee4\ufeaa"),  # initial, medial, medial, final
        ("دار", "\ufea9\ufe8d\ufead"),  # letters that never join forward
        ("سلام", "\ufeb3\ufefc\ufee1"),  # lam and alef as one
        ("ء", "\ufe80"),
    ],
)
def test_arabic_letters_take_the_form_that_their_neighbours_ask_for(letters: str, shapes: str) -> None:
    assert joined(letters) == shapes


def test_arabic_vowel_marks_do_not_break_the_joining() -> None:
    assert [one for one in joined("مُحَمَّد") if one >= "\ufe80"] == list("\ufee3\ufea4\ufee4\ufeaa")


def test_what_the_font_lacks_is_marked() -> None:
    assert drawable("Hong 홍", paper.glyphs()) == f"Hong {MISSING}"
    assert drawable("Łukasz Ünal Ελένη Жанна ✔", paper.glyphs()) == "Łukasz Ünal Ελένη Жанна ✔"
    assert MISSING not in drawable("محمد الأحمد يعל", paper.glyphs())


@given(st.text())
def test_any_text_can_be_drawn(text: str) -> None:
    known = paper.glyphs()
    assert all(one.isascii() or ord(one) in known for one in drawable(text, known))
