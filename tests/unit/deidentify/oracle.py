"""What other people's anonymisers take out of one file with every attribute of PS3.15 Table E.1-1; they are no dependencies.

`python -m tests.unit.deidentify.oracle PYTHON` runs them with the interpreter of a throw-away environment that has dicognito,
deid and dicom-anonymizer, and with gdcmanon (Debian package libgdcm-tools), and writes `oracle.json` for the quick test.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from appliance.deidentify import ps315
from appliance.deidentify.dictionary import dictionary_vr
from tests.unit.deidentify.planted import an_instance

RECORDED = Path(__file__).with_name("oracle.json")
_VALUES = {
    **dict.fromkeys(("LO", "SH", "ST", "LT", "UT", "UC", "PN"), "Wolkenstein"),
    "AE": "ROUTER_AE",
    "CS": "WOLKEN",
    "DA": "20240311",
    "TM": "101522",
    "DT": "20240311101522",
    "UI": "1.2.3.4.5.99",
    "DS": "4417",
    "IS": "4417",
    "AS": "061Y",
    "UR": "https://portal.example.org",
}
_LEFT_OUT = {0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00100020}
PEERS = {
    "dicognito": """
import sys, pydicom
from dicognito.anonymizer import Anonymizer
dataset = pydicom.dcmread(sys.argv[1])
Anonymizer(seed="1").anonymize(dataset)
dataset.save_as(sys.argv[2])
""",
    "dicom-anonymizer": """
import sys
from dicomanonymizer import anonymize_dicom_file
anonymize_dicom_file(sys.argv[1], sys.argv[2])
""",
    "deid": """
import sys, os
from deid.config import DeidRecipe
from deid.dicom import get_identifiers, replace_identifiers
found = replace_identifiers(dicom_files=[sys.argv[1]], deid=DeidRecipe(), ids=get_identifiers([sys.argv[1]]), save=False,
                            strip_sequences=False, remove_private=True)
found[0].save_as(sys.argv[2])
""",
}


def an_instance_with_everything(path: Path) -> Path:
    """The planted instance, and besides every attribute of Table E.1-1 that is no sequence."""
    dataset = pydicom.dcmread(an_instance(path))
    for tag in sorted(ps315.listed()):
        vr = dictionary_vr(tag).split(" or ")[0]
        if tag not in dataset and tag not in _LEFT_OUT and vr in _VALUES and tag >> 16 not in (0x0000, 0x0002, 0xFFFA):
            dataset.add_new(tag, vr, _VALUES[vr])
    dataset.save_as(path)
    return path


def values(dataset: Dataset, above: str = "") -> dict[str, str]:
    """Place -> value of everything but pixels, to any depth."""
    found: dict[str, str] = {}
    for element in dataset:
        place = f"{above}{element.tag.group:04X}{element.tag.element:04X}"
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                found |= values(item, f"{place}.{number}.")
        elif element.tag.group != 0x7FE0:
            found[place] = str(element.value)
    return found


def changed(before: Path, after: Path) -> list[str]:
    """The places of the source that are gone or hold something else."""
    old, new = values(pydicom.dcmread(before)), values(pydicom.dcmread(after))
    return sorted(place for place, value in old.items() if value and new.get(place) != value)


def gdcmanon(source: Path, target: Path) -> None:
    """The profile that gdcmanon calls dumb mode knows no list of its own; the other one needs a certificate."""
    key, certificate = target.with_suffix(".key"), target.with_suffix(".crt")
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=x", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    subprocess.run(["gdcmanon", "-c", certificate, "-e", source, target], check=True, capture_output=True)


def taken_out(python: str, folder: Path) -> dict[str, list[str]]:
    """Peer -> the places that it takes out."""
    source = an_instance_with_everything(folder / "in.dcm")
    found = {}
    for name, script in PEERS.items():
        target = folder / f"{name}.dcm"
        subprocess.run([python, "-c", script, str(source), str(target)], check=True, capture_output=True, cwd=folder)
        found[name] = changed(source, target)
    gdcmanon(source, folder / "gdcmanon.dcm")
    return found | {"gdcmanon": changed(source, folder / "gdcmanon.dcm")}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        RECORDED.write_text(json.dumps(taken_out(sys.argv[1], Path(scratch)), indent=0) + "\n")
