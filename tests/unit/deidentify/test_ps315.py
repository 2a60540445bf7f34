from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import dictionary_VR

from appliance.deidentify import ps315
from appliance.deidentify.dictionary import dictionary_vr
from appliance.deidentify.profile import Profile
from appliance.deidentify.rules import Action
from tests.phantoms import a_small_diffusion_study
from tests.unit.deidentify.planted import TOKENS, an_instance, deidentified, left_in, written
from tests.unit.deidentify.test_real_studies import VENDORS, converted

BASIC = Profile.of({"profile": "ps3.15-basic"})
DATELESS = Profile.of({"profile": "ps3.15-basic", "shift_dates": False})
WITH_DEVICE = Profile.of({"profile": "ps3.15-basic", "retain_device_identity": True})
ALLOWED_BY = {
    "X": {Action.REMOVE},
    "Z": {Action.EMPTY, Action.REMOVE},
    "U": {Action.REPLACE_UID, Action.REMOVE},
    "D": {Action.DUMMY, Action.REPLACE_UID, Action.REMOVE, Action.EMPTY, Action.DESCEND},
}


def test_every_attribute_of_the_table_gets_its_action_or_that_of_an_option() -> None:
    """DEID-09, DEID-10: each row of Table E.1-1 against the profile without dates: removed, emptied, replaced, never kept."""
    wrong = []
    for tag, (action, options) in ps315.listed().items():
        vr = dictionary_vr(tag).split(" or ")[0]
        if not vr:
            continue
        found = DATELESS.rule(tag, vr).action
        wanted = set().union(*(ALLOWED_BY[one.strip("*")] for one in action.split("/")))
        if "clean descriptors" in (options or {}):
            wanted |= {Action.SCRUB, Action.DESCEND, Action.REMOVE, Action.EMPTY}
        if "clean structured content" in (options or {}) or "U*" in action:
            wanted |= {Action.DESCEND}
        if found not in wanted | {Action.REMOVE}:
            wrong.append((f"{tag:08X}", vr, action, str(found)))
    assert wrong == []


def test_the_table_is_the_standards_and_complete_enough() -> None:
    assert len(ps315.listed()) > 600
    assert ps315.listed()[0x00100010] == ("Z", {})
    assert ps315.listed()[0x0020000D][0] == "U"


@pytest.mark.parametrize(("tag", "action"), [("00080022", Action.SHIFT), ("00080032", Action.KEEP), ("0008002A", Action.SHIFT)])
def test_dates_move_with_the_option_and_go_without(tag: str, action: Action) -> None:
    """DEID-02, DEID-10"""
    number = int(tag, 16)
    assert BASIC.rule(number, dictionary_VR(number)).action is action
    assert DATELESS.rule(number, dictionary_VR(number)).action in (Action.REMOVE, Action.EMPTY, Action.DUMMY)


def test_the_device_stays_by_a_setting_alone() -> None:
    assert BASIC.rule(0x00181000, "LO").action is Action.DUMMY
    assert WITH_DEVICE.rule(0x00181000, "LO").action is Action.KEEP


def test_no_planted_identity_survives_the_basic_profile(tmp_path: Path) -> None:
    """DEID-10: the verifier passes it, and no token stands in any byte."""
    answer = deidentified([an_instance(tmp_path / "in.dcm")], tmp_path / "out", profile="ps3.15-basic")
    assert answer.passport.residues == []
    (output,) = written(tmp_path / "out")
    assert left_in(output, TOKENS) == []
    dataset = pydicom.dcmread(output)
    assert dataset.DeviceSerialNumber == "REMOVED"
    assert dataset.PatientName == "" and "PatientAge" not in dataset and dataset.PatientSex == ""
    codes = {item.CodeValue for item in dataset.DeidentificationMethodCodeSequence}
    assert codes == {"113100", "113104", "113105", "113107", "113111"}
    assert answer.passport.profile == "ps3.15-basic"


def test_the_gradients_survive_the_basic_profile(tmp_path: Path) -> None:
    study = a_small_diffusion_study(tmp_path / "study")
    assert deidentified(study.files, tmp_path / "out", profile="ps3.15-basic").passport.residues == []
    assert converted(study.files, tmp_path / "a") == converted(written(tmp_path / "out"), tmp_path / "b")


@pytest.mark.needs_data
@pytest.mark.parametrize("vendor", ["Siemens mosaic", "GE", "Canon"])
def test_the_vendors_gradients_survive_the_basic_profile(vendor: str, real_data: Path, tmp_path: Path) -> None:
    """DEID-05, DEID-10"""
    files = sorted(real_data.glob(VENDORS[vendor]))[:60]
    assert deidentified(files, tmp_path / "out", profile="ps3.15-basic").passport.residues == []
    assert converted(files, tmp_path / "a") == converted(written(tmp_path / "out"), tmp_path / "b")


def test_the_output_names_every_option_that_was_taken(tmp_path: Path) -> None:
    """DEID-10: all six options at once, by their codes (PS3.16, CID 7050)."""
    section = {"profile": "ps3.15-basic", "retain_device_identity": True, "drawn_text": "mask"}
    codes = {code for code, _ in Profile.of(section).codes}
    assert codes == {b"113100", b"113101", b"113104", b"113105", b"113107", b"113109", b"113111"}
    answer = deidentified(
        [an_instance(tmp_path / "in.dcm")], tmp_path / "out", profile="ps3.15-basic", retain_device_identity=True
    )
    assert answer.passport.residues == []
    assert pydicom.dcmread(written(tmp_path / "out")[0]).DeviceSerialNumber == "SN-70551-K"
