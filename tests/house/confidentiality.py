"""Makes `appliance/deidentify/e1_1.json`, PS3.15 Table E.1-1 as data, out of what others have read from the standard.

    pip download --no-deps dicom-anonymizer==2.1.0 dicom-standard==0.1.0
    python -m tests.house.confidentiality dicom_anonymizer-2.1.0-*.whl dicom_standard-0.1.0-*.whl

The column of the Basic Profile is of edition 2026c (dicom-anonymizer, Kitware Europe, BSD 3-Clause), those of the options of
2020 (dicom-standard, Innolitics, MIT): attributes that came later have null there and get the action of the Basic Profile,
save that dates are shifted.
"""

import ast
import json
import sys
import zipfile
from pathlib import Path

from tests.house.tree import ROOT

TARGET = ROOT / "appliance" / "deidentify" / "e1_1.json"
BASIC = "dicomanonymizer/dicom_anonymization_databases/dicomfields_2026c.py"
OPTIONS = "dicom_standard-0.1.0.data/data/standard/confidentiality_profile_attributes.json"
LISTS = {
    "D_TAGS": "D",
    "Z_TAGS": "Z",
    "X_TAGS": "X",
    "U_TAGS": "U",
    "Z_D_TAGS": "Z/D",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}
COLUMNS = {
    "rtnLongModifDatesOpt": "modified dates",
    "rtnDevIdOpt": "device identity",
    "cleanDescOpt": "clean descriptors",
    "cleanStructContOpt": "clean structured content",
    "rtnPatCharsOpt": "patient characteristics",
}


def basic_column(wheel: Path) -> dict[str, str]:
    """Tag -> action; repeating groups are left out, the profile removes them whole."""
    tree = ast.parse(zipfile.ZipFile(wheel).read(BASIC))
    found: dict[str, str] = {}
    for one in tree.body:
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and one.targets[0].id in LISTS:
            for tag in ast.literal_eval(one.value):
                if len(tag) == 2:
                    found[f"{tag[0]:04X}{tag[1]:04X}"] = LISTS[one.targets[0].id]
    return found


def option_columns(wheel: Path) -> dict[str, dict[str, str]]:
    """Tag -> option -> K (kept) or C (cleaned)."""
    rows = json.loads(zipfile.ZipFile(wheel).read(OPTIONS))
    return {row["id"].upper(): {name: row[key] for key, name in COLUMNS.items() if key in row} for row in rows}


def main(arguments: list[str]) -> int:
    """Writes the file."""
    basic, options = basic_column(Path(arguments[0])), option_columns(Path(arguments[1]))
    rows = [f' "{tag}": {json.dumps([action, options.get(tag)])}' for tag, action in sorted(basic.items())]
    TARGET.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
