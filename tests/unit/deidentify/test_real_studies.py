import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import dcm2niix
import pydicom
import pytest

from appliance.deidentify.errors import BurnedInText, NotAnImageInput
from appliance.deidentify.walker import walk
from tests.phantoms import a_small_diffusion_study
from tests.unit.deidentify.planted import deidentified, left_in, written

VENDORS = {
    "Siemens mosaic": "siemens_e11_mosaic_dwi/*/*.dcm",
    "Siemens enhanced": "siemens_xa30_enhanced_study/10_*/*.dcm",
    "GE": "ge_pioneer_classic_dwi_phantom/*/i*",
    "Philips": "philips_achieva_classic_dwi/*/*.dcm",
    "UIH": "uih_umr770_study/12_*/*.dcm",
    "Canon": "canon_galan_classic_dwi/*/*.dcm",
}


def converted(files: Iterable[Path], folder: Path) -> dict[str, bytes]:
    """What the converter makes of some files: gradients and image, without the sidecar."""
    source = folder / "source"
    source.mkdir(parents=True)
    for number, path in enumerate(files):
        (source / f"{number:05d}.dcm").symlink_to(path)
    command = [dcm2niix.bin, "-f", "x_%s", "-z", "n", "-b", "n", "-o", str(folder), str(source)]
    subprocess.run(command, capture_output=True, check=True)
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".bval", ".bvec", ".nii")}
    # The NIfTI field `descrip` (bytes 148-227) holds the time of acquisition.
    return {name: content[:148] + content[228:] if name.endswith(".nii") else content for name, content in found.items()}


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("vendor", "section"),
    [
        *((vendor, {}) for vendor in VENDORS),
        *((vendor, {"profile": "safe-harbor"}) for vendor in ("Siemens mosaic", "GE", "UIH")),
    ],
)
def test_gradients_and_image_are_the_same_after_as_before(
    vendor: str, section: dict[str, str], real_data: Path, tmp_path: Path
) -> None:
    """DEID-05, DEID-07, DEID-09: private data is cut to what conversion needs, and that suffices, for five vendors."""
    files = sorted(real_data.glob(VENDORS[vendor]))[:200]
    answer = deidentified(files, tmp_path / "out", **section)
    assert answer.passport.residues == []
    before, after = converted(files, tmp_path / "a"), converted(written(tmp_path / "out"), tmp_path / "b")
    assert {".bval", ".bvec", ".nii"} <= {Path(name).suffix for name in before}
    assert before == after


def test_a_phantom_converts_to_the_same_gradients_and_keeps_no_identity(tmp_path: Path) -> None:
    """DEID-01, DEID-07: the twin of the vendors' test, with a known identity."""
    study = a_small_diffusion_study(tmp_path / "study")
    answer = deidentified(study.files, tmp_path / "out")
    assert answer.passport.residues == []
    outputs = written(tmp_path / "out")
    assert converted(study.files, tmp_path / "a") == converted(outputs, tmp_path / "b")
    tokens = [*study.identity_tokens, *study.uids, study.patient.study_date]
    assert [left for path in outputs for left in left_in(path, tokens)] == []


@pytest.mark.needs_data
def test_every_token_of_the_answer_key_is_gone(real_data: Path, tmp_path: Path) -> None:
    """DEID-01: names, numbers, places, dates; age and time of day are kept by the profile, declared drawn text is refused."""
    folder = real_data / "phi_deidentification"
    key = json.loads((folder / "answer_key.json").read_text())
    tokens = [*key["tokens"], key["person"]["dob"], key["person"]["study"]]
    clean = [folder / entry["file"] for entry in key["files"] if entry["BurnedInAnnotation"] != "YES"]
    answer = deidentified(clean, tmp_path / "out")
    assert answer.passport.residues == []
    assert any("drawn into the pixels" in note for note in answer.passport.notes)
    for path in written(tmp_path / "out"):
        assert left_in(path, tokens) == []
        shown = str(pydicom.dcmread(path)).lower()
        assert [token for token in tokens if token.lower() in shown] == []
    for entry in key["files"]:
        if entry["BurnedInAnnotation"] == "YES":
            with pytest.raises(BurnedInText):
                deidentified([folder / entry["file"]], tmp_path / "burned")


@pytest.mark.needs_data
def test_documents_and_captures_of_the_data_folder_are_refused(real_data: Path, tmp_path: Path) -> None:
    listed = [real_data / "phi_deidentification" / "injected" / "encapsulated_pdf.dcm"]
    listed += sorted((real_data / "phi_deidentification" / "pydicom_deid_data").glob("*.dcm"))
    listed += sorted((real_data / "siemens_xa30_enhanced_study" / "99_Phoenix_Document").glob("*.dcm"))
    for path in listed:
        with pytest.raises(NotAnImageInput):
            deidentified([path], tmp_path / "out")


@pytest.mark.needs_data
def test_names_in_every_character_set_are_gone(real_data: Path, tmp_path: Path) -> None:
    """DEID-01: the bytes and the letters of names in nine character sets; copied into a description, they go there too."""
    for path in sorted((real_data / "charsets" / "derived_mr").glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        name = dataset["PatientName"].value
        planted = tmp_path / path.name
        dataset.SeriesDescription = f"for {str(name).replace('=', ' ').replace('^', ' ')}"[:60]
        dataset.save_as(planted, enforce_file_format=True)
        for source in (path, planted):
            out = tmp_path / ("out-" + source.parent.name + source.stem)
            answer = deidentified([source], out)
            assert answer.passport.residues == [], path.name
            content = written(out)[0].read_bytes()
            assert not [part for part in _parts(source) if part in content], path.name


def _parts(path: Path) -> list[bytes]:
    """The encoded parts of the patient's name as they stand in the file, of at least four bytes."""
    value = next(leaf.value for leaf in walk(path.read_bytes()).leaves if leaf.place == (0x00100010,))
    return [part for part in value.replace(b"=", b"^").replace(b" ", b"^").split(b"^") if len(part) >= 4]


@pytest.mark.needs_data
def test_a_siemens_header_keeps_numbers_and_nothing_of_the_memory_between_them(real_data: Path, tmp_path: Path) -> None:
    """The dump of the scanner's memory holds UIDs, paths and the date; the rebuilt one has the diffusion and the slices."""
    source = sorted((real_data / "siemens_e11_mosaic_dwi").glob("*/*.dcm"))[3]
    deidentified([source], tmp_path / "out")
    before, after = (pydicom.dcmread(path) for path in (source, written(tmp_path / "out")[0]))
    for element in (0x10, 0x20):
        old = before.private_block(0x0029, "SIEMENS CSA HEADER")[element].value
        new = after.private_block(0x0029, "SIEMENS CSA HEADER")[element].value
        assert len(new) < len(old) / 2
        assert b"2024" not in new and b"67060" not in new and b"XProtocol" not in new
    assert b"sSliceArray.ucMode" in new and b"B_value" in after.private_block(0x0029, "SIEMENS CSA HEADER")[0x10].value
