"""dciodvfy (dicom3tools) looks at images before and after de-identification: what leaves has no error that it had not before.

Two are wanted: Safe Harbor has the serial number of the device removed, and `safe-harbor` all dates and times, which enhanced
objects require.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.phantoms import a_small_diffusion_study
from tests.servers import program
from tests.unit.deidentify.planted import an_instance, deidentified, written
from tests.unit.deidentify.test_real_studies import VENDORS

PROFILES = ("safe-harbor-shifted", "safe-harbor", "ps3.15-basic")


SERIAL_NUMBER = re.compile(r"/DeviceSerialNumber\(0018,1000\)> - Missing attribute")
DATES = re.compile(r"/\w*(?:Date|Time)\([0-9a-f,]{9}\)> - Missing attribute")
WANTED = {"safe-harbor-shifted": (SERIAL_NUMBER,), "safe-harbor": (SERIAL_NUMBER, DATES), "ps3.15-basic": ()}


def errors_of(path: Path) -> set[str]:
    """What dciodvfy calls an error in a file."""
    done = subprocess.run([program("dciodvfy", "dicom3tools"), "-new", path], capture_output=True, text=True, errors="replace")
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}


def new_errors(files: list[Path], out: Path, profile: str) -> list[tuple[str, str]]:
    """The errors of the outputs that their sources do not have and that the profile does not want."""
    assert deidentified(files, out, profile=profile).passport.residues == []
    pairs = zip(files, written(out), strict=True)
    found = [(after.name, error) for before, after in pairs for error in sorted(errors_of(after) - errors_of(before))]
    return [(name, error) for name, error in found if not any(one.search(error) for one in WANTED[profile])]


def test_the_judge_sees_a_missing_attribute(tmp_path: Path) -> None:
    """Or its silence would prove nothing."""
    whole, lacking = an_instance(tmp_path / "a.dcm"), an_instance(tmp_path / "b.dcm", Modality=None)
    assert [error for error in errors_of(lacking) - errors_of(whole) if "Modality" in error]


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_adds_an_error_to_a_phantom(profile: str, tmp_path: Path) -> None:
    """DEID-09"""
    files = a_small_diffusion_study(tmp_path / "study").files[:6]
    assert new_errors([*files, an_instance(tmp_path / "planted.dcm")], tmp_path / "out", profile) == []


@pytest.mark.needs_data
@pytest.mark.parametrize("vendor", VENDORS)
def test_no_profile_adds_an_error_to_a_vendors_images(vendor: str, real_data: Path, tmp_path: Path) -> None:
    """DEID-09"""
    files = sorted(real_data.glob(VENDORS[vendor]))[:3]
    for profile in PROFILES:
        assert new_errors(files, tmp_path / profile, profile) == []
