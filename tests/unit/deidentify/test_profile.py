import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag

from appliance.deidentify.private_tags import ALLOWED, FIXED_SIZE, allowed
from appliance.deidentify.profile import Profile
from appliance.deidentify.rules import Action
from appliance.deidentify.table import TABLE

SHIFTED = Profile.of({})
DATELESS = Profile.of({"profile": "safe-harbor"})

# The list of the reference text, by category, and the additions of the instructions for use.
GONE = """
00100010 00101001 00101005 00102297 00102298 00080090 00081048 00081050 00081060 00081070 00321032 00400006
00101040 00101080 00101081 00101090 00080080 00080081 00081010 00081040 00321060 00080092
00102154 00102155 00080094
00100020 00101000 00101002 00100021 00200010 00181000 00402016 00402017 00080050
00080082 00080096 00081049 00081052 00081062 00081072 00081080 00081084
00324000 00402001 40084000
"""
SHIFTED_DATES = "00080020 00080021 00080022 00080023 0008002A 00100030 00400002 00400004 00400244 00400250"
TIMES = "00080030 00080031 00080032 00080033 00400003 00400005 00400245 00400251"
CLEANED = "00204000 0008103E 00081030"


def rule(profile: Profile, tag: str) -> Action:
    number = int(tag, 16)
    return profile.rule(number, dictionary_VR(number)).action


@pytest.mark.parametrize("tag", GONE.split())
def test_what_the_reference_deletes_is_removed_or_emptied(tag: str) -> None:
    """DEID-01: the reference list and its additions, tag by tag, in both profiles."""
    for profile in (SHIFTED, DATELESS):
        assert rule(profile, tag) in (Action.REMOVE, Action.EMPTY)


@pytest.mark.parametrize("group", [0x0010, 0x0032])
def test_whole_groups_go_save_what_the_analysis_needs(group: int) -> None:
    """DEID-01: groups 0010 and 0032 as a whole; age, sex, size, weight and the shifted birth date are the exceptions."""
    from pydicom._dicom_dict import DicomDictionary

    tags = [tag for tag in DicomDictionary if tag >> 16 == group and "or" not in dictionary_VR(tag)]
    kept = {keyword_for_tag(tag) for tag in tags if rule(SHIFTED, f"{tag:08X}") not in (Action.REMOVE, Action.EMPTY)}
    assert kept == (
        {"PatientSex", "PatientAge", "PatientSize", "PatientWeight", "PatientBirthDate"} if group == 0x10 else set()
    )


@pytest.mark.parametrize("tag", SHIFTED_DATES.split())
def test_dates_shift_or_go(tag: str) -> None:
    """DEID-02"""
    assert rule(SHIFTED, tag) is Action.SHIFT
    assert rule(DATELESS, tag) in (Action.REMOVE, Action.EMPTY)


@pytest.mark.parametrize("tag", TIMES.split())
def test_times_stay_while_dates_shift(tag: str) -> None:
    """DEID-02"""
    assert rule(SHIFTED, tag) is Action.KEEP
    assert rule(DATELESS, tag) in (Action.REMOVE, Action.EMPTY)


@pytest.mark.parametrize("tag", CLEANED.split())
def test_descriptions_are_scrubbed(tag: str) -> None:
    assert rule(SHIFTED, tag) is Action.SCRUB


def test_every_line_of_the_table_is_an_attribute_of_the_dictionary_with_a_reason() -> None:
    for tag, line in TABLE.items():
        assert keyword_for_tag(tag), f"{tag:08X}"
        assert line.reason


def test_names_go_wherever_they_stand() -> None:
    assert SHIFTED.rule(0x00189999, "PN").action is Action.REMOVE
    assert SHIFTED.rule(0x60000022, "PN").action is Action.REMOVE


def test_what_claims_to_be_something_else_goes() -> None:
    """A number that comes as text, bytes or a person is not what the dictionary says."""
    assert SHIFTED.rule(0x00189087, "FD").action is Action.KEEP
    for vr in ("LT", "OB", "UN", "PN"):
        assert SHIFTED.rule(0x00189087, vr).action is Action.REMOVE


def test_unknown_attributes_overlays_curves_documents_and_signatures_go() -> None:
    for tag, vr in ((0x00180001, "LO"), (0x60003000, "OW"), (0x50003000, "OW"), (0x00420011, "OB"), (0xFFFAFFFA, "SQ"),
                    (0x04000561, "SQ"), (0xFFFCFFFC, "OB"), (0x00880200, "SQ"), (0x00282000, "OB")):  # fmt: skip
        assert SHIFTED.rule(tag, vr).action is Action.REMOVE, f"{tag:08X}"


def test_private_attributes_go_unless_listed_by_their_creator() -> None:
    """DEID-05: the b-value of Siemens, GE, Philips, UIH stays; the same number under another creator does not."""
    assert allowed(0x0019, "SIEMENS MR HEADER", 0x0C) == "IS"
    assert allowed(0x0043, "GEMS_PARM_01", 0x39) == "IS"
    assert allowed(0x2001, "Philips Imaging DD 001", 0x03) == "FL"
    assert allowed(0x0065, "Image Private Header", 0x37) == "FD"
    assert allowed(0x0019, "ACME", 0x0C) == ""
    assert allowed(0x0009, "GEMS_IDEN_01", 0x30) == ""


def test_the_private_list_holds_no_opaque_bytes() -> None:
    forms = {form for block in ALLOWED.values() for form in block.values()}
    assert forms <= {"CS", "SH", "LO", "ST", "DS", "IS", "SQ", "CSA image", "CSA series", *FIXED_SIZE}
