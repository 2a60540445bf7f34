import pytest

from appliance.deidentify.rules import Kind
from appliance.deidentify.scrub import Identity, Scrubber, is_gradient


def scrubber() -> Scrubber:
    identity = Identity()
    identity.add_name("Müller-Lüdenscheidt^Ng Anna^^Dr")
    identity.add_name("Wang^XiaoDong=王^小东=")
    identity.add_value("MRN-7734-991", Kind.IDENTIFIER)
    identity.add_value("Thornwick Memorial Hospital", Kind.PLACE)
    return Scrubber(identity)


@pytest.mark.parametrize(
    "text",
    [
        "SSN 078-05-1120", "call +1-330-555-0147", "tel (330) 555-0147", "m.q@example.org",
        "http://a.example/p?x=1", "www.a.example/x", "at 10.44.7.21", "MRN: 7734991", "RN-4711", "ACCT#99887",
        "born 17.04.1951", "on 2024-03-11", "20240311", "4 March 2024", "March 4, 2024", "1.2.840.113619.2.44.7088985.14091324",
    ],
)  # fmt: skip
def test_patterns_leave_a_mark_and_no_figure(text: str) -> None:
    """DEID-05"""
    cleaned = scrubber().free_text(text)
    assert "_REMOVED]" in cleaned
    assert not any(letter.isdigit() for letter in cleaned)


@pytest.mark.parametrize(
    "text",
    [
        "MULLER scan", "Mueller", "müller_luedenscheidt", "LÜDENSCHEIDT^NG ANNA", "for Anna", "xXiaoDongx", "王小东", "小东",
        "mrn 7734 991", "MRN7734991", "thornwick", "Thornwick-Memorial-Hospital", "Ng, lives here",
    ],
)  # fmt: skip
def test_every_spelling_of_the_patients_own_words_goes(text: str) -> None:
    cleaned = scrubber().free_text(text)
    assert "_REMOVED]" in cleaned
    assert not {"muller", "mueller", "anna", "xiaodong", "7734", "thornwick"} & set(cleaned.casefold().split())


@pytest.mark.parametrize(
    "text",
    [
        "ep2d_diff_mddw_64_p2_1000", "DTI 30 dir b=1000/2000 TE 82.5", "AX T2 FLAIR 3mm", "channel planning", "Banner Hospital",
        "cmrr_mbep2d_diff_MB3", "FoV 216*216", "WIP dti_ax SENSE 2.5", "Johannesburg",
    ],
)  # fmt: skip
def test_technical_descriptions_stay(text: str) -> None:
    assert scrubber().free_text(text) == text


def test_gradients_are_known_by_their_grammar_alone() -> None:
    assert is_gradient("b=1500(0.445,0.000,0.895)") and is_gradient("b=0")
    assert not is_gradient("b=1500(0.4,0.0,0.8) Miller") and not is_gradient("b=1500 19510417")


def test_a_reading_by_a_character_set_that_is_not_the_declared_one_adds_no_word_of_two_letters() -> None:
    """UTF-8 read as Latin-1 gives letters by chance (山田: å and ç), and AC is a word of PET."""
    identity = Identity()
    identity.add_name("Yamada^Tarou=山田^太郎")
    identity.add_name("Yamada^Tarou=山田^太郎".encode().decode("latin-1"), sure=False)
    assert Scrubber(identity).free_text("PET AC 3D") == "PET AC 3D"
