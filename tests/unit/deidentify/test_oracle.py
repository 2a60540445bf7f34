"""Whatever other anonymisers take out, ours takes out as well, or the profile says why it stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag

from tests.unit.deidentify import oracle
from tests.unit.deidentify.planted import deidentified, written

PATIENT = "PS3.15 Retain Patient Characteristics; age over 89 becomes 90 (DEID-07)"
DIFFUSION = "private, on the list of what diffusion conversion needs (DEID-05)"
CLASS = "names a class of the standard or a code, no object and nobody (PS3.3)"
MEASURED = "a duration of the measurement, which the product needs"
JUSTIFIED = {
    "PatientSex": PATIENT,
    "PatientAge": PATIENT,
    "PatientSize": PATIENT,
    "PatientWeight": PATIENT,
    "00190010": DIFFUSION,
    "0019100C": DIFFUSION,
    "0019100D": DIFFUSION,
    "0019100E": DIFFUSION,
    "00510010": DIFFUSION,
    "SOPClassUID": CLASS,
    "ReferencedSOPClassUID": CLASS,
    "CodeValue": CLASS,
    "CodingSchemeDesignator": CLASS,
    "ContextGroupVersion": CLASS,
    "ContextGroupLocalVersion": CLASS,
    "EchoTime": MEASURED,
    "RepetitionTime": MEASURED,
}
"""What stays although some peer takes it out."""


def _unexplained(places: list[str], ours: set[str], profile: str) -> list[str]:
    found = []
    for place in places:
        tag = int(place.rsplit(".", 1)[-1], 16)
        name = keyword_for_tag(tag) or place.rsplit(".", 1)[-1]
        # DEID-02: times are kept while dates are shifted.
        time_stays = profile != "safe-harbor" and not tag >> 16 & 1 and dictionary_VR(tag) == "TM"
        if place not in ours and name not in JUSTIFIED and not time_stays:
            found.append(f"{place} {name}")
    return found


@pytest.mark.parametrize("profile", ["safe-harbor-shifted", "safe-harbor", "ps3.15-basic"])
def test_what_others_take_out_is_taken_out_or_explained(tmp_path: Path, profile: str) -> None:
    """DEID-01, DEID-09: dicognito, deid, dicom-anonymizer and gdcmanon, on every attribute of Table E.1-1."""
    source = oracle.an_instance_with_everything(tmp_path / "in.dcm")
    answer = deidentified([source], tmp_path / "out", profile=profile)
    assert answer.passport.residues == []
    ours = set(oracle.changed(source, written(tmp_path / "out")[0]))
    recorded: dict[str, list[str]] = json.loads(oracle.RECORDED.read_text())
    assert {name: len(places) > 40 for name, places in recorded.items()} == dict.fromkeys([*oracle.PEERS, "gdcmanon"], True)
    assert {name: _unexplained(places, ours, profile) for name, places in recorded.items()} == {name: [] for name in recorded}
    assert len(ours) > max(len(places) for places in recorded.values()) * (0.9 if profile == "safe-harbor" else 0.8)


def test_gdcmanon_takes_out_today_what_is_recorded(tmp_path: Path) -> None:
    """The one peer that Debian has, run as it is now."""
    source = oracle.an_instance_with_everything(tmp_path / "in.dcm")
    oracle.gdcmanon(source, tmp_path / "out.dcm")
    recorded = json.loads(oracle.RECORDED.read_text())["gdcmanon"]
    assert set(oracle.changed(source, tmp_path / "out.dcm")) == set(recorded)


@pytest.mark.long
def test_the_peers_take_out_today_what_is_recorded(tmp_path: Path) -> None:
    """DEID-01: the peers in a throw-away environment; what newer versions take out more is then seen by the quick test."""
    python = os.environ.get("RANVIER_PEERS", "")
    if not python:
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "peers"], check=True)
        python = str(tmp_path / "peers" / "bin" / "python")
        wanted = ("dicognito", "deid", "dicom-anonymizer")
        made = subprocess.run([python, "-m", "pip", "install", "-q", *wanted], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("no package index to take the peers from")
    found = oracle.taken_out(python, tmp_path)
    recorded: dict[str, list[str]] = json.loads(oracle.RECORDED.read_text())
    assert {name: sorted(set(places) - set(recorded[name])) for name, places in found.items()} == {name: [] for name in found}
