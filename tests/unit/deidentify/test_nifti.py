"""A study that came as NIfTI: header text, extensions, gzip's own memory and sidecar keys; the verifier sees what is left."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from appliance.deidentify.errors import BadRequest, UnreadableInstance
from appliance.deidentify.nifti import output_path
from appliance.deidentify.nifti_checks import verify_bundle
from appliance.deidentify.passport import DeidAnswer, DeidRequest, SourceFile
from appliance.deidentify.run import run
from tests.unit.deidentify.planted import a_request, an_instance, quiet

WHO = ("Wolkenstein", "Cassiopeia", "PX-88-4417", "Eulenklinik", "19440229", "MRQUARZ7", "20240311", "10:15:22")
SIDECAR = {
    "Modality": "MR",
    "Manufacturer": "Siemens",
    "MagneticFieldStrength": 3,
    "EchoTime": 0.082,
    "SliceTiming": [0.0, 1.25, 2.5],
    "ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION"],
    "PhaseEncodingDirection": "j-",
    "CoilString": "HEA;Wolkenstein",
    "SeriesDescription": "DTI_64 for Cassiopeia, MRN 7734991",
    "PatientName": "Wolkenstein^Cassiopeia",
    "patient_id": "PX-88-4417",
    "PatientBirthDate": "19440229",
    "PatientAge": "093Y",
    "PatientSex": "F",
    "InstitutionName": "Eulenklinik",
    "StationName": "MRQUARZ7",
    "AcquisitionTime": "10:15:22.25",
    "AcquisitionDateTime": "20240311T101522",
    "Wolkenstein": 1,
}


def a_bundle(folder: Path, *, packed: bool = True, second: bool = False, sidecar: object = SIDECAR) -> DeidRequest:
    """Image, gradients and sidecar with an identity in every corner."""
    folder.mkdir(parents=True)
    data = np.arange(4 * 5 * 3 * 2, dtype=np.int16).reshape(4, 5, 3, 2)
    kind = nibabel.Nifti2Image if second else nibabel.Nifti1Image
    image = kind(data, np.diag([2.0, 2.0, 2.5, 1.0]))  # type: ignore[no-untyped-call]
    image.header["descrip"] = b"TE=82;Time=101522.25;Wolkenstein"
    image.header["aux_file"], image.header["intent_name"] = b"PX-88-4417", b"Cassiopeia"
    if not second:
        image.header["db_name"], image.header["data_type"] = b"Eulenklinik", b"Wolkens"
    image.header.extensions.append(Nifti1Extension("comment", b"seen at Eulenklinik on 20240311"))
    nibabel.save(image, folder / "plain.nii")
    whole = (folder / "plain.nii").read_bytes() + b"Wolkenstein behind the image"
    path = folder / ("x.nii.gz" if packed else "x.nii")
    if packed:
        with path.open("wb") as raw, gzip.GzipFile("Wolkenstein_19440229.nii", "wb", fileobj=raw, mtime=1710152122) as packer:
            packer.write(whole)
    else:
        path.write_bytes(whole)
    (folder / "x.bval").write_text("0 1000\n")
    (folder / "x.bvec").write_text("0 1\n0 0\n0 0\n")
    (folder / "x.json").write_text(json.dumps(sidecar))
    names = [path.name, "x.bval", "x.bvec", "x.json"]
    files = [SourceFile(instance=f"i{n}", series="s1", path=str(folder / name)) for n, name in enumerate(names)]
    return DeidRequest(
        order="o", files=files, out_folder=str(folder.parent / "out"), pseudonym="p", secret="5a" * 32, section={}
    )


def _all_bytes(folder: Path) -> bytes:
    found = b""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            found += str(path.relative_to(folder)).encode() + content
            found += gzip.decompress(content) if content[:2] == b"\x1f\x8b" else b""
    return found


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("second", [False, True])
def test_nothing_that_identifies_stays_in_nifti_and_the_image_is_the_same(tmp_path: Path, packed: bool, second: bool) -> None:
    """DEID-01, DEID-07, DEID-09: text fields, extensions, gz names, bytes behind the image, sidecar keys by an allow-list."""
    request = a_bundle(tmp_path / "in", packed=packed, second=second)
    answer: DeidAnswer = run(request, quiet)
    assert answer.passport.residues == [] and len(answer.passport.files) == 4
    out = tmp_path / "out"
    content = _all_bytes(out).lower()
    assert [token for token in WHO if token.lower().encode() in content] == []
    name = ".nii.gz" if packed else ".nii"
    before: Any = nibabel.load(tmp_path / "in" / f"x{name}")
    after: Any = nibabel.load(out / "s1" / f"i0{name}")
    assert np.array_equal(np.asarray(before.dataobj), np.asarray(after.dataobj)) and np.array_equal(before.affine, after.affine)
    assert not after.header.extensions and after.header["descrip"] == b""
    kept = json.loads((out / "s1" / "i3.json").read_text())
    assert (kept["EchoTime"], kept["SliceTiming"], kept["PatientSex"], kept["PatientAge"]) == (
        0.082,
        [0.0, 1.25, 2.5],
        "F",
        "090Y",
    )
    assert kept["ImageType"] == SIDECAR["ImageType"] and "REMOVED" in kept["SeriesDescription"]
    assert not set(kept) & {"PatientName", "patient_id", "InstitutionName", "AcquisitionTime", "Wolkenstein"}


BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "i0.nii": lambda one: one[:148] + b"Wolkenstein" + one[159:],
    "i0.nii ": lambda one: one[:4] + b"PX-88" + one[9:],
    "i0.nii  ": lambda one: one[:356] + b"x" + one[357:],
    "i0.nii   ": lambda one: one[:-1] + b"\x7f",
    "i0.nii    ": lambda one: one + b"more",
    "i1.bval": lambda one: one + b"# Wolkenstein\n",
    "i3.json": lambda one: one.replace(b'"Siemens"', b'"Wolkenstein"'),
    "i3.json ": lambda one: one.replace(b'"EchoTime"', b'"Echo_Time"'),
    "i3.json  ": lambda one: one.replace(b"0.082", b"0.083"),
    "i3.json   ": lambda one: one.replace(b'"090Y"', b'"093Y"'),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_the_verifier_sees_every_break(tmp_path: Path, broken: str) -> None:
    """DEID-09: broken in ten ways."""
    request = a_bundle(tmp_path / "in", packed=False)
    run(request, quiet)
    path = tmp_path / "out" / "s1" / broken.strip()
    changed = BREAKS[broken](path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    _, residues, _ = verify_bundle(request, tmp_path / "out", {one.instance: output_path(one) for one in request.files})
    assert residues and not any(token in str(residues) for token in WHO)


def test_a_gzip_that_remembers_its_name_is_a_finding(tmp_path: Path) -> None:
    request = a_bundle(tmp_path / "in")
    run(request, quiet)
    path = tmp_path / "out" / "s1" / "i0.nii.gz"
    plain = gzip.decompress(path.read_bytes())
    with path.open("wb") as raw, gzip.GzipFile("Wolkenstein.nii", "wb", fileobj=raw, mtime=0) as packer:
        packer.write(plain)
    _, residues, _ = verify_bundle(request, tmp_path / "out", {one.instance: output_path(one) for one in request.files})
    assert [one.place for one in residues] == ["gzip header"]


def test_what_is_no_nifti_study_fails_as_a_whole_and_leaves_nothing(tmp_path: Path) -> None:
    """DEID-08"""
    request = a_bundle(tmp_path / "in", sidecar=["no", "object"])
    with pytest.raises(UnreadableInstance):
        run(request, quiet)
    (tmp_path / "in" / "x.json").write_text("{}")
    (tmp_path / "in" / "x.bvec").write_text("0 1 Wolkenstein")
    with pytest.raises(UnreadableInstance):
        run(request, quiet)
    (tmp_path / "in" / "x.bvec").write_text("0 1\n0 0\n0 0\n")
    whole = (tmp_path / "in" / "x.nii.gz").read_bytes()
    (tmp_path / "in" / "x.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableInstance):
        run(request, quiet)
    assert not (tmp_path / "out").exists() and sorted(one.name for one in tmp_path.iterdir()) == ["in"]
    mixed = a_request([an_instance(tmp_path / "a.dcm"), tmp_path / "in" / "x.json"], tmp_path / "out")
    with pytest.raises(BadRequest):
        run(mixed, quiet)


@pytest.mark.needs_data
def test_a_real_conversion_keeps_what_a_computation_needs(real_data: Path, tmp_path: Path) -> None:
    """DEID-07: dcm2niix's own sidecar; institution, station and serial number go."""
    folder = real_data / "nifti_dwi_philips_32dir"
    paths = sorted(path for path in folder.iterdir() if path.name.startswith("1201"))
    files = [SourceFile(instance=f"i{n}", series="s", path=str(path)) for n, path in enumerate(paths)]
    request = DeidRequest(order="o", files=files, out_folder=str(tmp_path / "out"), pseudonym="p", secret="5a" * 32, section={})
    assert run(request, quiet).passport.residues == []
    kept = json.loads(next((tmp_path / "out").rglob("*.json")).read_text())
    assert {"EchoTime", "EstimatedTotalReadoutTime", "PhaseEncodingAxis", "WaterFatShift"} <= set(kept)
    assert not [word for word in ("NIMHANS", "17247", "PMSN", "13:41") if word in json.dumps(kept)]
